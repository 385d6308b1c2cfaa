"""What is counted, as it travels through the queue: exposures, measurements, outcomes, pairs.
Pure text in and out; who sends and who folds it is not known here."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from chalicelib.kit.values import Value

SCALE = 1_000_000_000
"""Ticks per unit of any value: sums are whole numbers of ticks, so that no order of adding, and no
offset, changes a digit."""

Ticks = Annotated[int, Field(ge=-(10**21), le=10**21)]


class Event(Value):
    """One thing that is counted once for a unit, whatever number of times it arrives.

    Every event names its prediction, so that any of them can stand in for a lost exposure.
    """

    id: Annotated[str, Field(min_length=1, max_length=120)]
    """The same for the same thing: two events with one id in a subject are one."""
    kind: Literal["exposure", "measurement", "outcome", "pair"]
    subject: Annotated[str, Field(min_length=1, max_length=120)]
    """The experiment's id, or `<model>@<version>` for a prediction outside of experiments."""
    arm: Annotated[str, Field(max_length=64)]
    phase: int
    unit: Annotated[str, Field(min_length=1, max_length=64)]
    """The unit's hash; the nonce of the receipt where no unit was told."""
    predicted_at_ms: int
    nonce: Annotated[str, Field(max_length=40)]
    ticks: dict[str, Ticks] = Field(default_factory=dict[str, int])
    """Values by outcome name, in ticks of 1/SCALE."""
    covariate: Ticks | None = None
    """Told at the exposure."""
    segment: Annotated[str, Field(max_length=40)] | None = None
    context: dict[str, JsonValue] | None = None
    """What the caller said besides; kept with the outcome, never counted."""
    differs: bool = False
    """For a pair: the two answers do not agree."""


class Batch(Value):
    """One message of the queue."""

    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    events: Annotated[list[Event], Field(min_length=1, max_length=200)]


def to_ticks(value: float) -> int:
    """value: finite, at most 1e12 in absolute value. The nearest whole number of ticks."""
    whole = int(value)
    return whole * SCALE + round((value - whole) * SCALE)


def subject_of_version(model: str, version: str) -> str:
    return f"{model}@{version}"
