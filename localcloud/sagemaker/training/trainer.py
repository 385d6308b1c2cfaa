"""The processes of the jobs that train now: run to their end, stopped, killed.
Nothing here knows S3 or a job's state."""

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from localcloud.sagemaker.wards import Order, Ward

TICK_S = 0.05
JOIN_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class End:
    """How a process ended: its exit code, and whether its time was up or a stop asked before."""

    code: int
    is_overdue: bool
    is_stopped: bool


@dataclass(frozen=True)
class Limits:
    """Real seconds: the longest run, from SIGTERM to SIGKILL, between two calls of on_tick."""

    runtime_s: float
    grace_s: float
    tick_s: float


@dataclass
class Work:
    """One job being carried out, in whichever stage."""

    thread: threading.Thread
    is_stop_asked: threading.Event = field(default_factory=threading.Event)
    ward: Ward | None = None


class Trainer:
    """The work under way, by the job's name in lower case."""

    def __init__(self) -> None:
        self.is_closing = False
        self._lock = threading.Lock()
        self._work: dict[str, Work] = {}

    def begin(self, name: str, carry_out: Callable[[], None]) -> None:
        """Carry a job out in a thread of its own."""

        def work() -> None:
            try:
                carry_out()
            finally:
                del self._work[name]

        thread = threading.Thread(target=work, daemon=True)
        self._work[name] = Work(thread)
        thread.start()

    def ask_stop(self, name: str) -> None:
        """Have the job's process get SIGTERM, now or as soon as there is one."""
        work = self._work.get(name)
        if work is not None:
            work.is_stop_asked.set()

    def pid(self, name: str) -> int | None:
        """Of the job's process, while it trains: of the warden with which it dies."""
        work = self._work.get(name)
        return work.ward.pid if work and work.ward else None

    def run(self, name: str, order: Order, limits: Limits, on_tick: Callable[[], None]) -> End:
        """Run the job's process to its end. Raises OSError when it cannot be started."""
        work = self._work[name]
        with self._lock:
            work.ward = ward = Ward(order)
        if self.is_closing:
            ward.hang_up()
        try:
            return _follow(ward, work.is_stop_asked, limits, on_tick)
        finally:
            ward.hang_up()
            work.ward = None

    def close(self) -> None:
        """Stop every process, as the server stops; the jobs stay under way."""
        self.is_closing = True
        with self._lock:
            wards = [work.ward for work in self._work.values() if work.ward is not None]
        for ward in wards:
            ward.hang_up()
        for ward in wards:
            ward.wait()
        for work in list(self._work.values()):
            work.thread.join(JOIN_TIMEOUT_S)


def _follow(
    ward: Ward, is_stop_asked: threading.Event, limits: Limits, on_tick: Callable[[], None]
) -> End:
    started_at = ticked_at = time.monotonic()
    is_overdue = False
    kill_at: float | None = None
    while (code := ward.wait(timeout_s=TICK_S)) is None:
        now = time.monotonic()
        if kill_at is None and (is_stop_asked.is_set() or now - started_at >= limits.runtime_s):
            is_overdue = not is_stop_asked.is_set()
            ward.send(signal.SIGTERM)
            kill_at = now + limits.grace_s
        if kill_at is not None and now >= kill_at:
            ward.send(signal.SIGKILL)
        if now - ticked_at >= limits.tick_s:
            on_tick()
            ticked_at = time.monotonic()
    return End(code, is_overdue, is_stop_asked.is_set())
