"""A process under a warden, so that it ends when this server does, however the server ends.
Nothing here knows what the process is for."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

WARDEN = Path(__file__).with_name("warden.py")


@dataclass(frozen=True)
class Order:
    """What to run: the log gets both outputs, and grace_s passes from hang-up to SIGKILL."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    log_path: Path
    grace_s: float


class Ward:
    """A running process; its environment is the order's with a PATH and nothing else."""

    def __init__(self, order: Order) -> None:
        self._lock = threading.Lock()
        read_end, write_end = os.pipe()
        self._pipe: int | None = write_end
        warden = [sys.executable, "-I", "-S", str(WARDEN), str(read_end), str(order.grace_s)]
        order.log_path.parent.mkdir(parents=True, exist_ok=True)
        usual = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONUNBUFFERED": "1"}
        try:
            with order.log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    [*warden, *order.command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=usual | dict(order.environment),
                    cwd=order.log_path.parent,
                    pass_fds=[read_end],
                    start_new_session=True,
                )
        except OSError:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)

    @property
    def pid(self) -> int:
        """The warden's; the process dies with it."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Signal the whole process group; nothing happens when it has ended."""
        with self._lock:
            if self._pipe is not None and not self.has_ended:
                os.write(self._pipe, bytes([number]))

    def hang_up(self) -> None:
        """Have the process ended by SIGTERM, and by SIGKILL when its grace is over."""
        with self._lock:
            if self._pipe is not None:
                os.close(self._pipe)
                self._pipe = None

    def wait(self, *, timeout_s: float | None = None) -> int | None:
        """The exit code as a shell tells it (137 for SIGKILL); None when time was up before."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        self.hang_up()
        return code if code >= 0 else 128 - code
