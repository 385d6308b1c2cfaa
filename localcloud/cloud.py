"""Start the whole offline cloud, hand out its addresses, stop it without a trace of a process.
The only door for tests and the demo: running()."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from localcloud import environment, stack
from localcloud.environment import REPOSITORY
from localcloud.places import ACCOUNT, HOST, REGION, ROOT_KEY, Places, Ports
from localcloud.processes import Process
from localcloud.stack import Stack
from localcloud.templates import app_environment

MINISTACK_START_S = 30.0
SAGEMAKER_START_S = 60.0
GATEWAY_START_S = 30.0

_OURS = {
    "sagemaker": "SAGEMAKER",
    "sagemaker-runtime": "SAGEMAKER_RUNTIME",
    "application-autoscaling": "APPLICATION_AUTO_SCALING",
}
"""Services that our SageMaker plays, and how the AWS SDKs spell them in AWS_ENDPOINT_URL_*."""


class AlreadyRunning(Exception):
    """Another process runs this cloud; the message names it."""


class PackageFailed(Exception):
    """The app could not be packaged; the message says why."""


@dataclass(frozen=True)
class Cloud:
    """A running offline cloud: its addresses and the names of what is deployed in it."""

    ports: Ports
    places: Places
    stack: Stack
    app_environment: dict[str, str]
    """The functions' environment variables, for tests that build Settings from them."""
    processes: tuple[Process, ...]

    @property
    def aws_endpoint_url(self) -> str:
        """The address of every AWS service but SageMaker's."""
        return f"http://{HOST}:{self.ports.aws}"

    @property
    def sagemaker_url(self) -> str:
        """The address of sagemaker, sagemaker-runtime and application-autoscaling."""
        return f"http://{HOST}:{self.ports.sagemaker}"

    @property
    def api_url(self) -> str:
        """The address of the app's routes; nobody answers there when only the bases run."""
        return f"http://localhost:{self.ports.api}"

    @property
    def bucket(self) -> str:
        """The bucket that uploads go to."""
        return self.stack.resources["Bucket"]

    def function(self, name: str) -> str:
        """Return the deployed name of a function: "on-upload" is "sommelier-dev-on-upload"."""
        return f"{stack.STACK}-{name}"

    def client(self, service: str) -> Any:
        """Return a boto3 client with the account's root key."""
        url = self.sagemaker_url if service in _OURS else self.aws_endpoint_url
        return stack.client(service, url)

    def environ(self) -> dict[str, str]:
        """Return the variables that make any AWS SDK or CLI talk to this cloud."""
        return {
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.aws_endpoint_url,
            **_sagemaker_urls(self.ports),
        }


@contextmanager
def running(
    root: Path,
    *,
    ports: Ports | None = None,
    state: Path | None = None,
    app: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Cloud]:
    """Run the cloud while the block lasts; call it from the main thread.

    root: the project. ports: free ones when None. state: where everything is kept, by default
    the project's .local/cloud. app: False starts only the emulators with the tables, bucket,
    secrets, queues and roles, without packaging the app.
    """
    ports = ports or Ports.free()
    places = Places.of(root.resolve(), state)
    environment.ensure(say)
    with _only_one(places, ports), _processes() as processes:
        if app:
            packaging = _start_packaging(places)
        processes += [_ministack(places, ports), _sagemaker(places, ports)]
        say("Starting the emulators")
        processes[0].wait_for(f"{_aws(ports)}/_ministack/health", timeout_s=MINISTACK_START_S)
        if app:
            say("Packaging and deploying the app")
            _finish_packaging(packaging)
            deployed = stack.deploy_app(_aws(ports), places.root, places.build)
            processes.append(_gateway(places, ports, deployed.outputs["RestAPIId"]))
            processes[-1].wait_for_port(ports.api, timeout_s=GATEWAY_START_S)
        else:
            deployed = stack.deploy_bases(_aws(ports), places.root)
        health = f"http://{HOST}:{ports.sagemaker}/_control/health"
        processes[1].wait_for(health, timeout_s=SAGEMAKER_START_S)
        yield Cloud(
            ports=ports,
            places=places,
            stack=deployed,
            app_environment=app_environment(deployed.outputs, places.root),
            processes=tuple(processes),
        )


def running_pid(places: Places) -> tuple[int, Ports] | None:
    """Return the process and ports of the cloud that runs on this state, if one does."""
    lock = places.state / "lock"
    if not lock.is_file():
        return None
    with lock.open("r+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            about = json.loads(held.read())
            return about["pid"], Ports(**about["ports"])
    return None


@contextmanager
def _only_one(places: Places, ports: Ports) -> Iterator[None]:
    """Hold the state's lock, which ends with this process however it ends."""
    places.state.mkdir(parents=True, exist_ok=True)
    with (places.state / "lock").open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            held.seek(0)
            about = json.loads(held.read() or "{}")
            raise AlreadyRunning(
                f"an offline cloud already runs on {places.state} (process {about.get('pid')})"
            ) from error
        held.truncate(0)
        held.write(json.dumps({"pid": os.getpid(), "ports": asdict(ports)}))
        held.flush()
        yield


@contextmanager
def _processes() -> Iterator[list[Process]]:
    """Stop what was started, whatever happened: newest first asked, all at once waited for."""
    started: list[Process] = []
    try:
        yield started
    finally:
        for process in reversed(started):
            process.ask_to_stop()
        if started:
            with ThreadPoolExecutor(len(started)) as pool:
                list(pool.map(Process.stop, started))


def _ministack(places: Places, ports: Ports) -> Process:
    scratch = places.state / "tmp"  # where functions are unpacked
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    settings = {
        "AUTH": "true",  # the functions' role policies are enforced
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(ports.aws),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "INFO",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "S3_DATA_DIR": str(places.state / "s3"),
        "S3_PERSIST": "1",
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(places.state / "aws"),
        "TMPDIR": str(scratch),
    }
    # Functions inherit this environment: SageMaker's address reaches them without a change of
    # the shipped template. Nothing else of the developer's environment does.
    environ = {"PATH": os.defpath, "HOME": str(scratch), **settings, **_sagemaker_urls(ports)}
    return Process(
        "ministack",
        [str(environment.PYTHON), "-P", str(REPOSITORY / "localcloud" / "emulator.py")],
        environ=environ,
        cwd=places.state,
        log=places.logs / "ministack.log",
    )


def _sagemaker(places: Places, ports: Ports) -> Process:
    state = places.state / "sagemaker"
    options = ["--port", str(ports.sagemaker), "--state", str(state), "--aws-endpoint", _aws(ports)]
    return _own("sagemaker", ["-m", "localcloud.sagemaker", *options], places)


def _gateway(places: Places, ports: Ports, api_id: str) -> Process:
    options = ["--port", str(ports.api), "--aws-port", str(ports.aws), "--api-id", api_id]
    return _own("gateway", ["-m", "localcloud.gateway", *options], places)


def _own(name: str, arguments: list[str], places: Places) -> Process:
    return Process(
        name,
        [sys.executable, *arguments],
        environ=os.environ,
        cwd=REPOSITORY,
        log=places.logs / f"{name}.log",
    )


def _start_packaging(places: Places) -> subprocess.Popen[str]:
    """Start `tools.package`, which takes seconds, beside the emulators; `make package` lints."""
    command = [sys.executable, "-m", "tools.package", "--stage", "dev", "--no-lint"]
    return subprocess.Popen(
        [*command, "--project", str(places.root), "--out", str(places.build)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish_packaging(packaging: subprocess.Popen[str]) -> None:
    output, _ = packaging.communicate()
    if packaging.returncode != 0:
        raise PackageFailed(output.strip())


def _aws(ports: Ports) -> str:
    return f"http://{HOST}:{ports.aws}"


def _sagemaker_urls(ports: Ports) -> dict[str, str]:
    url = f"http://{HOST}:{ports.sagemaker}"
    return {f"AWS_ENDPOINT_URL_{service}": url for service in _OURS.values()}
