"""Train a reward model on this machine, as SageMaker would: the container's own code, no Docker.
Run by `make train-reward`; the folder it leaves holds the archive, the report and the pictures."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

from tools.tarball import pack

ROOT = Path(__file__).resolve().parents[1]
CONTAINER = ROOT / "containers" / "ppo" / "main.py"
PYTHON = ROOT / ".local" / "venv" / "ppo" / "bin" / "python"


class TrainingFailed(Exception):
    """The trainer refused or died; the message is what SageMaker would call FailureReason."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.train_reward", description=__doc__)
    parser.add_argument("--episodes", type=Path, help="a file or folder of JSON Lines")
    parser.add_argument(
        "--simulate", type=int, default=2_000, help="episodes of the shipped simulator instead"
    )
    parser.add_argument("--out", type=Path, default=ROOT / ".local" / "reward")
    parser.add_argument("--hyperparameter", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    for each in given.hyperparameter:
        if "=" not in each:
            parser.error(f"--hyperparameter {each!r} is not NAME=VALUE")
    hyperparameters = dict(each.split("=", 1) for each in given.hyperparameter)
    try:
        episodes = given.episodes or simulate(given.out / "episodes.jsonl", given.simulate, seed=1)
        archive = train(episodes, given.out, hyperparameters)
    except TrainingFailed as error:
        print(f"training failed: {error}", file=sys.stderr)
        return 1
    print(f"archive   {archive}")
    for path in sorted((given.out / "ml" / "output" / "data").iterdir()):
        print(f"          {path}")
    return 0


def simulate(path: Path, count: int, *, seed: int) -> Path:
    """Write episodes of the container's simulator, the same ones for a seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [str(PYTHON), str(CONTAINER), "simulate", str(count), str(seed), str(path)]
    if subprocess.run(command, check=False).returncode != 0:
        raise TrainingFailed("the simulator wrote no episodes; what it said stands above")
    return path


def train(
    episodes: Path, out: Path, hyperparameters: dict[str, str], *, log: Path | None = None
) -> Path:
    """Return the archive, `out`/model.tar.gz. Raises TrainingFailed with the trainer's own words.

    episodes: a file, or a folder with several. log: where the trainer's lines go, else they show.
    Of what lies in `out`, the archive and the folder ml are replaced; all else stays.
    """
    base, archive = out / "ml", out / "model.tar.gz"
    _check_place(episodes, base)
    shutil.rmtree(base, ignore_errors=True)
    archive.unlink(missing_ok=True)
    config, channel = base / "input" / "config", base / "input" / "data" / "episodes"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    if episodes.is_dir():
        shutil.copytree(episodes, channel)
    else:
        channel.mkdir(parents=True)
        shutil.copy(episodes, channel)
    environ = {**os.environ, "SAGEMAKER_BASE_DIR": str(base)}
    with log.open("wb") if log else nullcontext() as output:
        done = subprocess.run(
            [str(PYTHON), str(CONTAINER), "train"],
            env=environ,
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode != 0:
        failure = base / "output" / "failure"
        raise TrainingFailed(failure.read_text() if failure.is_file() else "no reason was left")
    files = (base / "model").iterdir()
    archive.write_bytes(pack({path.name: path.read_bytes() for path in files}))
    return archive


def _check_place(episodes: Path, base: Path) -> None:
    if not episodes.exists():
        raise TrainingFailed(f"there are no episodes at {episodes}")
    inner, outer = sorted((episodes.resolve(), base.resolve()), key=lambda path: -len(path.parts))
    if inner.is_relative_to(outer):
        raise TrainingFailed(
            f"{base}, where the trainer works, cannot lie in {episodes} nor hold it"
        )


if __name__ == "__main__":
    sys.exit(main())
