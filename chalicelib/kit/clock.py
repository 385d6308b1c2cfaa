"""Time as values: the present, and the time that is left to a caller.
No order of events is ever decided from here: rows carry monotonic numbers for that."""

import time
from datetime import UTC, datetime
from typing import Protocol


def utc_now() -> datetime:
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Fixed-width UTC text (`2026-02-07T15:00:00.000000Z`), so that text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class LambdaContext(Protocol):
    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int: ...


class Deadline:
    """The moment, on the monotonic clock, after which no further step may be started."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    @classmethod
    def of(cls, context: LambdaContext | None, *, margin_s: float, at_most_s: float) -> "Deadline":
        """Leave `margin_s` of the function's own remaining time; without a context, `at_most_s`."""
        if context is None:
            return cls(at_most_s)
        left_s = context.get_remaining_time_in_millis() / 1000 - margin_s
        return cls(min(left_s, at_most_s))

    def left_s(self) -> float:
        return self._ends_at - time.monotonic()

    def passed(self) -> bool:
        return self.left_s() <= 0
