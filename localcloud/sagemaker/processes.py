"""One container as a process: started, pinged until ready, kept alive, called, stopped.
Nothing here knows endpoints, S3 or the server's clock."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from localcloud.sagemaker.http1 import ProtocolError, encode_request, exchange
from localcloud.sagemaker.wards import Order, Ward

PING_TIMEOUT_S = 2.0
PING_EVERY_S = 0.05
LONGEST_BACKOFF_S = 5.0
# below the range the system gives to outgoing connections, so that a port stays free until bound
PORTS = range(20_000, 32_000)


class ContainerFailed(Exception):
    """The container exited or did not answer /ping in time."""


class ContainerTimeout(Exception):
    """The container took longer to answer than SageMaker waits."""


class ContainerGone(Exception):
    """The container closed the connection or does not listen."""


@dataclass(frozen=True)
class Launch:
    """How to start a container."""

    command: tuple[str, ...]
    base_dir: Path
    log_path: Path
    environment: Mapping[str, str]
    start_timeout_s: float
    stop_grace_s: float


@dataclass(frozen=True)
class Answer:
    """What a container answered; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Container:
    """A serving process that is started again when it exits by itself."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.port = 0
        self.restart_count = 0
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._ward: Ward | None = None
        self._idle: list[_Connection] = []
        self._in_flight_count = 0

    def start(self) -> None:
        """Start and wait until ready; raise ContainerFailed and leave nothing running."""
        self._spawn()
        try:
            self._wait_ready(self.launch.start_timeout_s)
        except ContainerFailed:
            self.stop()
            raise
        threading.Thread(target=self._keep_alive, daemon=True).start()

    def start_in_background(self) -> None:
        """Start without waiting, and keep trying; for a container that was in service before."""
        self._spawn()
        threading.Thread(target=self._keep_alive, daemon=True).start()

    def await_ready(self, *, timeout_s: float) -> None:
        """Wait until the container answers; return also when it exits or does not in time."""
        with contextlib.suppress(ContainerFailed):
            self._wait_ready(timeout_s)

    def invoke(self, headers: Mapping[str, str], body: bytes, *, timeout_s: float) -> Answer:
        """POST /invocations over a kept connection."""
        message = encode_request("POST", "/invocations", headers, body)
        with self._lock:
            self._in_flight_count += 1
        try:
            return self._ask(message, timeout_s=timeout_s)
        finally:
            with self._lock:
                self._in_flight_count -= 1

    def drain(self, *, timeout_s: float) -> None:
        """Wait until no invocation is under way."""
        give_up_at = time.monotonic() + timeout_s
        while self._in_flight_count and time.monotonic() < give_up_at:
            time.sleep(0.01)

    def _ask(self, message: bytes, *, timeout_s: float) -> Answer:
        while True:
            kept = self._take_idle()
            try:
                connection = kept or _Connection(self.port, timeout_s=timeout_s)
                answer = connection.ask(message)
            except TimeoutError as error:
                raise ContainerTimeout(f"no answer within {timeout_s} s") from error
            except (OSError, ProtocolError) as error:
                if kept is not None:  # it may have been closed while it lay idle
                    continue
                raise ContainerGone(str(error)) from error
            if connection.is_open:
                self._idle.append(connection)
            return answer

    def hang_up(self) -> None:
        """Ask the process to stop; stop() waits for it."""
        self._stopping.set()
        with self._lock:
            if self._ward is not None:
                self._ward.hang_up()

    def stop(self) -> None:
        self.hang_up()
        if self._ward is not None:
            self._ward.wait()
        self._drop_idle()

    def _spawn(self) -> None:
        with self._lock:
            if self._stopping.is_set():
                return
            self.port = _free_port()
            self._ward = Ward(
                Order(
                    command=self.launch.command,
                    environment=self._environment(),
                    log_path=self.launch.log_path,
                    grace_s=self.launch.stop_grace_s,
                )
            )

    def _environment(self) -> dict[str, str]:
        return {
            **self.launch.environment,
            "SAGEMAKER_BASE_DIR": str(self.launch.base_dir),
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            "SCORER_BIND_HOST": "127.0.0.1",
        }

    def _wait_ready(self, timeout_s: float) -> None:
        give_up_at = time.monotonic() + timeout_s
        while time.monotonic() < give_up_at:
            if self._ward is None or self._ward.has_ended:
                raise ContainerFailed("the process exited")
            if _answers_ping(self.port):
                return
            self._stopping.wait(PING_EVERY_S)
        raise ContainerFailed(f"no 200 on /ping within {timeout_s} s")

    def _keep_alive(self) -> None:
        backoff_s = 0.1
        while self._ward is not None:
            started_at = time.monotonic()
            self._ward.wait()
            self._drop_idle()
            if time.monotonic() - started_at > LONGEST_BACKOFF_S:
                backoff_s = 0.1
            if self._stopping.wait(backoff_s):
                return
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)
            self._spawn()
            self.restart_count += 1

    def _take_idle(self) -> "_Connection | None":
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _drop_idle(self) -> None:
        while (connection := self._take_idle()) is not None:
            connection.close()


class _Connection:
    """A kept connection to a container."""

    def __init__(self, port: int, *, timeout_s: float) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader: BufferedReader = self._socket.makefile("rb")
        self.is_open = True

    def ask(self, message: bytes) -> Answer:
        try:
            status, headers, body = exchange(self._socket, self._reader, message)
        except (OSError, ProtocolError):
            self.close()
            raise
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, headers, body)

    def close(self) -> None:
        self.is_open = False
        with contextlib.suppress(OSError):
            self._reader.close()
            self._socket.close()


def _answers_ping(port: int) -> bool:
    try:
        connection = _Connection(port, timeout_s=PING_TIMEOUT_S)
    except OSError:
        return False
    try:
        answer = connection.ask(encode_request("GET", "/ping", {"Connection": "close"}, b""))
    except (OSError, ProtocolError):
        return False
    finally:
        connection.close()
    return answer.status == 200


def _free_port() -> int:
    while True:
        port = random.choice(PORTS)  # noqa: S311 -- a guess at a free port, not a secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
