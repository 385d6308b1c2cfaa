"""A step of an episode as its line in the log says it: what doors may log, and files may hold.
Nothing here reads a file or decides what is new."""

import math
from typing import Annotated

from pydantic import (
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from chalicelib.kit.values import Value

MOST_LINE_BYTES = 64 * 1024
"""Of a step's line."""
_MOST_DETAILS = 50
_LONGEST_NAME = 100
_TOLERANCE = 1e-6

Name = Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME)]
Number = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=200)]
Names = Annotated[list[Name], Field(max_length=64)]
Points = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]


def _one_flaw(because: str) -> WrapValidator:
    """Otherwise each part of a union that a value is not would be a flaw of its own."""

    def validate(value: object, validated: ValidatorFunctionWrapHandler) -> object:
        try:
            return validated(value)
        except ValidationError as error:
            raise ValueError(because) from error

    return WrapValidator(validate)


_SIMPLE = "a boolean, a number within 1e12, or at most 200 characters"
Param = Annotated[bool | Number | Text, _one_flaw(f"must be {_SIMPLE}")]
Detail = Annotated[
    bool | Number | Text | Names,
    _one_flaw(f"must be {_SIMPLE}, or a list of at most 64 names of 1 to 100 characters"),
]
Params = Annotated[dict[Name, Param], Field(max_length=50)]


class Action(Value):
    """A proposed action."""

    type: Name
    params: Params = Field(default_factory=dict[str, bool | float | str])


class TakenAction(Action):
    result: Name | None = None
    """What it led to, in one word."""


class IncidentState(Value):
    """What is known of an incident; members beyond these are details of the log's own."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Detail]  # pyright: ignore[reportIncompatibleVariableOverride]

    incident: Annotated[str, Field(min_length=1, max_length=1_000)]
    severity: Name
    symptoms: Annotated[list[Name], Field(max_length=32)] = Field(default_factory=list[str])
    actions_taken: Annotated[list[Name | TakenAction], Field(max_length=64)] = Field(
        default_factory=list[str | TakenAction]
    )

    @model_validator(mode="after")
    def _has_few_details(self) -> "IncidentState":
        names = (self.model_extra or {}).keys()
        if len(names) > _MOST_DETAILS:
            raise ValueError(f"a state has at most {_MOST_DETAILS} members of its own")
        if any(not 1 <= len(name) <= _LONGEST_NAME for name in names):
            raise ValueError(f"names of members have 1 to {_LONGEST_NAME} characters")
        return self


class Factors(Value):
    """What a reward is made of."""

    resolution: Points
    time: Points
    risk: Points
    cost: Points


class Step(Value):
    """One step of an episode: the trainer ends a whole job at a line that it cannot take, so
    nothing looser may pass here; how lines fit together is for it alone to see."""

    episode_id: Name
    step: Annotated[int, Field(ge=0, le=1_000_000)]
    state: IncidentState
    """Before the action: what the action before this one led to stands in `actions_taken`."""
    proposed_action: Action = Field(alias="proposedAction")
    reward: Points
    factors: Factors
    """They add up to the reward."""
    propensity: Annotated[float, Field(gt=0, le=1)] | None = None
    """Of the action, when it was chosen."""
    done: bool

    @model_validator(mode="after")
    def _adds_up(self) -> "Step":
        total = math.fsum(value for _, value in self.factors)
        if abs(total - self.reward) > _TOLERANCE:
            raise ValueError(f"the sum of the factors is {total!r}, the reward is {self.reward!r}")
        return self
