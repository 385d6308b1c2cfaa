"""Start, watch and stop the processes of the cloud, none of which may outlive it.
Nothing here knows what they serve."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from localcloud.places import HOST

LIFELINE = Path(__file__).with_name("lifeline.py")
STOP_TIMEOUT_S = 40.0


class StartFailed(Exception):
    """A process of the cloud ended or stayed silent; the message names its log."""


class Process:
    """One process in a session of its own, with a log, that dies with us."""

    def __init__(
        self, name: str, command: Sequence[str], *, environ: Mapping[str, str], cwd: Path, log: Path
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        lifeline = [sys.executable, "-ISE", str(LIFELINE), str(os.getpid())]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*lifeline, *command],
                env=dict(environ),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def is_running(self) -> bool:
        """Tell whether the process has not ended."""
        return self._process.poll() is None

    def wait_for(self, url: str, *, timeout_s: float) -> None:
        """Return when the address answers; raise StartFailed when it does not in time."""
        self._wait_until(lambda: answers(url), f"answer at {url}", timeout_s)

    def wait_for_port(self, port: int, *, timeout_s: float) -> None:
        """Return when somebody listens on the port; raise StartFailed when nobody does in time."""
        self._wait_until(lambda: listens(port), f"listen on port {port}", timeout_s)

    def _wait_until(self, is_up: Callable[[], bool], what: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not self.is_running():
                raise StartFailed(f"{self.name} ended at its start; see {self.log}")
            if is_up():
                return
            time.sleep(0.05)
        raise StartFailed(f"{self.name} did not {what} in {timeout_s} s; see {self.log}")

    def ask_to_stop(self) -> None:
        """Send SIGTERM; stop() waits."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def stop(self) -> None:
        """Stop it cleanly, then by force, with everything it started."""
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def answers(url: str) -> bool:
    """Tell whether an HTTP server answers with 2xx."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own address
            return 200 <= response.status < 300
    except (urllib.error.URLError, OSError):
        return False


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
