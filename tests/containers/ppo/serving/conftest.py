"""Runs the container's `serve` as a real process on small artifacts, over real sockets.
Asserts nothing."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from builders import write_artifact

MAIN = Path(__file__).resolve().parents[4] / "containers/ppo/main.py"
LONGEST_START_S = 60.0
AS_NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
AS_NOBODY += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
"""May read what root keeps to itself, as an interpreter below /root, and write nothing."""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def code(self) -> str:
        assert self.headers["content-type"] == "application/problem+json", self.body
        assert self.json["status"] == self.status
        return self.json["type"].removeprefix("/problems/")


class Running:
    """A serving process; call() opens a connection of its own for each request."""

    def __init__(self, base: Path, log_path: Path, prefix: list[str], **environ: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log_path = log_path
        kept = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        with log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, MAIN, "serve"],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={
                    **kept,
                    "SAGEMAKER_BASE_DIR": str(base),
                    "SAGEMAKER_BIND_TO_PORT": str(self.port),
                    **environ,
                },
            )

    def wait_for(self, status: int) -> "Running":
        """Wait until /ping answers so."""
        give_up_at_s = time.monotonic() + LONGEST_START_S
        while time.monotonic() < give_up_at_s:
            assert self.process.poll() is None, self.log
            try:
                if self.call("GET", "/ping").status == status:
                    return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError(self.log)

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def facts(self, message: str) -> list[dict[str, Any]]:
        """Return the log's lines that say so."""
        lines = [json.loads(line) for line in self.log.splitlines()]
        return [line for line in lines if line["message"] == message]

    def wait_for_facts(self, message: str, count: int) -> list[dict[str, Any]]:
        give_up_at_s = time.monotonic() + LONGEST_START_S
        while time.monotonic() < give_up_at_s:
            if len(found := self.facts(message)) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(self.log)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = self.connect()
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            chunked = {"encode_chunked": not isinstance(body, (bytes, type(None)))}
            connection.request(method, path, body=body, headers=names, **chunked)
            response = connection.getresponse()
            content = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, content)
        finally:
            connection.close()

    def ask(self, document: Any, **headers: str) -> Answer:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.call("POST", "/invocations", body, **headers)

    def ask_lines(self, *documents: Any, **headers: str) -> Answer:
        lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in documents]
        headers = {"Content_Type": "application/jsonlines", **headers}
        return self.call("POST", "/invocations", b"\n".join(lines), **headers)

    def exchange(self, data: bytes) -> bytes:
        """Send raw bytes on one connection, return all that comes back until it closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as raw:
            raw.sendall(data)
            received = b""
            while part := raw.recv(65536):
                received += part
            return received

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        finally:
            self.process.kill()


@pytest.fixture(scope="session")
def make_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Lay out a base folder with an artifact below model/; other users may read it."""

    def make(change: Callable[[Path], object] = lambda folder: None) -> Path:
        base = tmp_path_factory.mktemp("base")
        write_artifact(base / "model")
        change(base / "model")
        for folder in (base, *base.parents[:2]):
            folder.chmod(0o755)
        return base

    return make


@pytest.fixture(scope="session")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Start a process without waiting for it; all are stopped at the end."""
    started: list[Running] = []

    def start(base: Path, *, is_nobody: bool = False, **environ: str) -> Running:
        log_path = tmp_path_factory.mktemp("log") / "stdout"
        prefix = AS_NOBODY if is_nobody and os.getuid() == 0 else []
        started.append(Running(base, log_path, prefix, **environ))
        return started[-1]

    yield start
    for running in started:
        running.process.terminate()
    for running in started:
        running.stop()


@pytest.fixture(scope="session")
def served(make_base: Callable[..., Path], launch: Callable[..., Running]) -> Running:
    """One process that many tests share; none of them may stop it."""
    return launch(make_base()).wait_for(200)
