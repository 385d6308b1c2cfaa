"""The server's clock: real by default, or frozen and turned by a test.
It orders state changes only; sockets and processes keep to real time."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, NonNegativeFloat


class Delays(BaseModel):
    """Least seconds a transition takes on the clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    creating: NonNegativeFloat = 1.0
    updating: NonNegativeFloat = 1.0
    deleting: NonNegativeFloat = 1.0


class ClockState(BaseModel):
    """What survives a restart: the offset to real time, or the frozen instant (epoch seconds)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    offset_s: float = 0.0
    frozen_at: float | None = None
    delays_s: Delays = Delays()


@dataclass(frozen=True)
class Turn:
    """What a control call asks of the clock; None leaves a thing as it is."""

    is_frozen: bool | None = None
    advance_s: float = 0.0
    delays_s: Delays | None = None


class Clock:
    """Tells the time and lets threads wait for an instant of it."""

    def __init__(self, state: ClockState, *, real_now: Callable[[], float] = time.time) -> None:
        self.state = state
        self._real_now = real_now
        self._turned = threading.Condition()
        self._is_stopped = False

    def now(self) -> float:
        """Epoch seconds on this clock."""
        if self.state.frozen_at is not None:
            return self.state.frozen_at
        return self._real_now() + self.state.offset_s

    def turn(self, turn: Turn) -> ClockState:
        """Freeze, advance or set delays, and wake who waits."""
        with self._turned:
            now = self.now() + turn.advance_s
            was_frozen = self.state.frozen_at is not None
            is_frozen = was_frozen if turn.is_frozen is None else turn.is_frozen
            self.state = ClockState(
                offset_s=self.state.offset_s if is_frozen else now - self._real_now(),
                frozen_at=now if is_frozen else None,
                delays_s=turn.delays_s or self.state.delays_s,
            )
            self._turned.notify_all()
            return self.state

    def wait_until(self, instant: float) -> bool:
        """Wait for the instant; false when the clock was stopped before it came."""
        with self._turned:
            while not self._is_stopped and (left_s := instant - self.now()) > 0:
                self._turned.wait(None if self.state.frozen_at is not None else left_s)
            return not self._is_stopped

    def stop(self) -> None:
        with self._turned:
            self._is_stopped = True
            self._turned.notify_all()
