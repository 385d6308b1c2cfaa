"""The offline cloud's command line: up, status, down, reset.
Nothing here knows how the cloud is made; localcloud.cloud does."""

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from localcloud.cloud import AlreadyRunning, Cloud, PackageFailed, running, running_pid
from localcloud.places import Places, Ports
from localcloud.processes import StartFailed, listens
from localcloud.stack import DeployFailed

DOWN_TIMEOUT_S = 60.0
WATCH_EVERY_S = 0.5


def main() -> int:
    """Run one command; return 1 when it could not do what it says."""
    options = _options()
    places = Places.of(options.project.resolve(), options.state)
    match options.command:
        case "up":
            ports = Ports(options.aws_port, options.sagemaker_port, options.api_port)
            return _up(places, ports)
        case "status":
            return _status(places)
        case "down":
            return _down(places)
        case _:
            return _reset(places)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m localcloud", description=__doc__)
    parser.add_argument("--project", type=Path, default=Path())
    parser.add_argument("--state", type=Path, help="keep everything here, not in .local/cloud")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start it and stay; Ctrl-C stops all")
    default = Ports.from_environment()
    up.add_argument("--aws-port", type=int, default=default.aws)
    up.add_argument("--sagemaker-port", type=int, default=default.sagemaker)
    up.add_argument("--api-port", type=int, default=default.api)
    commands.add_parser("status", help="say whether it runs, and where")
    commands.add_parser("down", help="stop the one that runs")
    commands.add_parser("reset", help="forget everything it keeps")
    return parser.parse_args()


def _up(places: Places, ports: Ports) -> int:
    for name, port in vars(ports).items():
        if running_pid(places) is None and listens(port):
            return _refuse(f"port {port} is taken; choose another with --{name}-port")
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        with running(places.root, ports=ports, state=_own_state(places), say=_say) as cloud:
            _introduce(cloud)
            return _watch(cloud)
    except _Stopped:
        _say("Stopped; everything is kept and comes back with the next start")
        return 0
    except (AlreadyRunning, StartFailed, DeployFailed, PackageFailed) as error:
        return _refuse(str(error))


class _Stopped(BaseException):
    """A signal asked us to end; like KeyboardInterrupt, no handler of errors may swallow it."""


def _stop(_: int, __: FrameType | None) -> None:
    # A second signal must not break the clean stop that the first began.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _Stopped


def _watch(cloud: Cloud) -> int:
    while True:
        for process in cloud.processes:
            if not process.is_running():
                return _refuse(f"{process.name} ended by itself; see {process.log}")
        time.sleep(WATCH_EVERY_S)


def _introduce(cloud: Cloud) -> None:
    _say(f"""
The offline cloud is up.

  API        {cloud.api_url}
  AWS        {cloud.aws_endpoint_url}   (every service but SageMaker)
  SageMaker  {cloud.sagemaker_url}
  bucket     s3://{cloud.bucket}
  logs       {cloud.places.logs}
  state      {cloud.places.state}

Talk to it with the real clients:

  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1
  export AWS_ENDPOINT_URL={cloud.aws_endpoint_url}
  aws s3 cp model.tar.gz s3://{cloud.bucket}/models/<model>/<version>/model.tar.gz
  curl {cloud.api_url}/health

Ctrl-C stops it; what you uploaded is kept.
""")


def _status(places: Places) -> int:
    found = running_pid(places)
    if found is None:
        _say("The offline cloud is down; start it with: make run")
        return 1
    pid, ports = found
    _say(f"The offline cloud is up (process {pid})")
    for name, port in vars(ports).items():
        _say(f"  {name:10} http://127.0.0.1:{port}  {'listens' if listens(port) else 'is silent'}")
    return 0


def _down(places: Places) -> int:
    found = running_pid(places)
    if found is None:
        _say("The offline cloud is down already")
        return 0
    os.kill(found[0], signal.SIGTERM)
    deadline = time.monotonic() + DOWN_TIMEOUT_S
    while time.monotonic() < deadline:
        if not Path(f"/proc/{found[0]}").exists():
            _say("The offline cloud is down")
            return 0
        time.sleep(0.1)
    return _refuse(f"process {found[0]} did not end in {DOWN_TIMEOUT_S} s")


def _reset(places: Places) -> int:
    if running_pid(places) is not None:
        return _refuse("the offline cloud runs; stop it first with: python -m localcloud down")
    shutil.rmtree(places.state, ignore_errors=True)
    _say(f"Forgot everything under {places.state}")
    return 0


def _own_state(places: Places) -> Path | None:
    default = Places.of(places.root)
    return None if places == default else places.state


def _refuse(why: str) -> int:
    print(why, file=sys.stderr)
    return 1


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
