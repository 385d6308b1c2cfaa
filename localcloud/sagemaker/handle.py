"""Starts the offline SageMaker as a process and controls it: for conftest, `make run` and demos.
Nothing here runs inside the server."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).resolve().parents[2]


class ControlRefused(Exception):
    """The control API answered with an error."""


@dataclass(frozen=True)
class Control:
    """A client of the control API."""

    url: str

    def add_faults(self, *rules: Mapping[str, Any]) -> None:
        self.call("POST", "faults", {"rules": list(rules)})

    def clear_faults(self) -> None:
        self.call("DELETE", "faults")

    def calls(self) -> list[dict[str, Any]]:
        """The calls received, oldest first."""
        return self.call("GET", "calls")["calls"]

    def clear_calls(self) -> None:
        self.call("DELETE", "calls")

    def containers(self) -> list[dict[str, Any]]:
        return self.call("GET", "containers")["containers"]

    def jobs(self) -> list[dict[str, Any]]:
        """All training jobs, oldest first, with the pid of each that has a process."""
        return self.call("GET", "jobs")["jobs"]

    def logs(self) -> list[dict[str, Any]]:
        """The log files of all containers that ever ran, oldest first."""
        return self.call("GET", "logs")["logs"]

    def set_delays(self, *, creating: float, updating: float, deleting: float) -> None:
        """Least seconds on the server's clock that each transition takes."""
        delays_s = {"creating": creating, "updating": updating, "deleting": deleting}
        self.call("POST", "clock", {"delays_s": delays_s})

    def freeze(self) -> None:
        self.call("POST", "clock", {"frozen": True})

    def unfreeze(self) -> None:
        self.call("POST", "clock", {"frozen": False})

    def advance(self, seconds: float) -> None:
        self.call("POST", "clock", {"advance_s": seconds})

    def call(self, method: str, name: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Any control call; raises ControlRefused unless it answers 200."""
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, f"/_control/{name}", body=sent)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ControlRefused(f"{response.status} {answer}")
        return answer


class Server:
    """A running server; use it in a with statement or call stop()."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.process = process
        self.url = url
        self.control = Control(url)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the server and its containers, and wait for it."""
        self.process.terminate()
        self.wait()

    def kill(self) -> None:
        """End the server with SIGKILL; its containers end by themselves soon after."""
        self.process.kill()
        self.wait()

    def wait(self) -> None:
        self.process.wait()


def start(state_dir: Path, *, port: int = 0, flags: Sequence[str] = ()) -> Server:
    """Start a server on the port (0: a free one) and wait until it listens.

    flags are those of `python -m localcloud.sagemaker`, for example ["--aws-endpoint", url].
    The server's own log goes to state_dir/server.log. Raises RuntimeError when it does not start.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "localcloud.sagemaker", "--state", str(state_dir)]
    with (state_dir / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), *flags],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    with cast("IO[str]", process.stdout) as output:
        line = output.readline()  # the only one the server prints there
    if not line.startswith("listening on "):
        process.kill()
        process.wait()
        raise RuntimeError(f"the offline SageMaker did not start; see {state_dir / 'server.log'}")
    return Server(process, line.removeprefix("listening on ").strip())
