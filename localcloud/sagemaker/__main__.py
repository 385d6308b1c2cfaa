"""`python -m localcloud.sagemaker --port 4570 --state DIR`: the offline SageMaker as a process.
Nothing here is a rule of SageMaker; it reads the command line and the environment."""

import argparse
import os
import signal
import threading
from functools import partial
from pathlib import Path

from localcloud.sagemaker.http1 import Listener
from localcloud.sagemaker.images import python_variable
from localcloud.sagemaker.lifecycle import resume
from localcloud.sagemaker.server import answer
from localcloud.sagemaker.settings import Settings
from localcloud.sagemaker.training import runs
from localcloud.sagemaker.world import World, build_world

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    """Serve until SIGTERM or SIGINT, then stop every container and job."""
    is_over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_over.set())
    world = build_world(read_settings())
    resume(world)
    runs.resume(world)
    listener = Listener(world.settings.host, world.settings.port, partial(answer, world))
    threading.Thread(target=listener.serve, daemon=True).start()
    print(f"listening on http://{world.settings.host}:{listener.port}", flush=True)
    is_over.wait()
    _stop(world, listener)


def read_settings(arguments: list[str] | None = None) -> Settings:
    options = _parser().parse_args(arguments)
    roots = (*(root.resolve() for root in options.containers), REPOSITORY / "containers")
    return Settings(
        state_dir=options.state.resolve(),
        container_roots=roots,
        venv_root=REPOSITORY / ".local" / "venv",
        host=options.host,
        port=options.port,
        aws_endpoint=options.aws_endpoint,
        account=options.account,
        region=options.region,
        python_by_container=_interpreters(roots, options.python),
        realtime_start_timeout_s=options.realtime_start_timeout_s,
        serverless_start_timeout_s=options.serverless_start_timeout_s,
        invoke_timeout_s=options.invoke_timeout_s,
        stop_grace_s=options.stop_grace_s,
        training_stop_grace_s=options.training_stop_grace_s,
    )


def _stop(world: World, listener: Listener) -> None:
    # the clock first: a change under way must stay under way, not fail for its stopped container
    world.clock.stop()
    listener.close()
    world.meter.stop()
    world.trainer.close()
    world.fleet.stop_all()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localcloud.sagemaker", description=__doc__)
    defaults = Settings(state_dir=Path(), container_roots=(), venv_root=Path())
    add = parser.add_argument
    add("--state", type=Path, required=True, help="folder of everything that survives a restart")
    add("--host", default=defaults.host)
    add("--port", type=int, default=defaults.port, help="0 takes a free one and prints it")
    add("--aws-endpoint", default=defaults.aws_endpoint, help="where S3 and EventBridge are")
    add("--account", default=defaults.account)
    add("--region", default=defaults.region)
    add("--containers", type=Path, action="append", default=[], help="one more container root")
    add("--python", action="append", default=[], metavar="NAME=PATH", help="an interpreter")
    for name in (
        *("realtime_start_timeout", "serverless_start_timeout", "invoke_timeout"),
        *("stop_grace", "training_stop_grace"),
    ):
        flag = f"--{name.replace('_', '-')}-s"
        add(flag, type=float, default=getattr(defaults, f"{name}_s"))
    return parser


def _interpreters(roots: tuple[Path, ...], flags: list[str]) -> dict[str, Path]:
    """Interpreters by container: from LOCALCLOUD_PYTHON_<NAME>, and before that from the flags."""
    names = {path.parent.name for root in roots for path in root.glob("*/main.py")}
    given = {name: os.environ.get(python_variable(name)) for name in names}
    from_flags = dict(flag.split("=", 1) for flag in flags)
    found = {name: path for name, path in given.items() if path} | from_flags
    return {name: Path(path) for name, path in found.items()}


if __name__ == "__main__":
    main()
