"""What every statistic may answer besides a number: an interval, or that there is no answer.
No computation, and no default number in place of an answer."""

from typing import NamedTuple


class Inconclusive(NamedTuple):
    """There is no answer; the reason is a code such as `too-few-units` or `no-variance`."""

    reason: str


class Interval(NamedTuple):
    """The values not ruled out; either end may be infinite."""

    low: float
    high: float
