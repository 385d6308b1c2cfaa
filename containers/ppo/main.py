"""Entry point of the image: main.py serve, main.py train, or main.py simulate.
Chooses what to import, so that serving never loads what only training needs; no rule of its own."""

import os
import sys

_USAGE = """usage: main.py serve
       main.py train
       main.py simulate EPISODES SEED FILE    write episodes of the shipped simulator, JSON Lines"""


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 for done, 1 where it failed, 2 for wrong use."""
    match arguments:
        case ["serve"]:
            from serving.run import serve  # noqa: PLC0415 - see the docstring

            return serve()
        case ["train"]:
            _use_one_thread()
            from training.job import train  # noqa: PLC0415

            return train()
        case ["simulate", count, seed, path] if count.isdecimal() and seed.isdecimal():
            from simulator.episodes import write_episodes  # noqa: PLC0415

            with open(path, "w", encoding="utf-8") as file:
                write_episodes(file, count=int(count), seed=int(seed))
            return 0
        case _:
            print(_USAGE, file=sys.stderr)
            return 2


def _use_one_thread() -> None:
    """More would cost time on networks of this size, and sums would depend on their number."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ["XLA_FLAGS"] = (
        "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1 "
        + os.environ.get("XLA_FLAGS", "")
    )
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
