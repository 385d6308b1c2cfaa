"""What a model has learnt to know: actions with their parameters, features of states, factors.
Types only; they are the manifest's, so their names are a contract."""

from typing import Literal

import msgspec

FACTORS = ("resolution", "time", "risk", "cost")
"""A reward is their sum."""
LEAST, MOST = -10.0, 10.0
"""Of a reward, and of each factor in a log."""
UNCALIBRATED = MOST - LEAST
"""Half-width of an action that too few calibration rows took."""


class NumberParam(msgspec.Struct, frozen=True, tag_field="kind", tag="number"):
    """One column, 0 at low and 1 at high; low < high unless only one value was ever seen."""

    name: str
    low: float
    high: float
    default: float


class ChoiceParam(msgspec.Struct, frozen=True, tag_field="kind", tag="choice"):
    """One column a choice, in order; true and false are the choices of a boolean."""

    name: str
    choices: tuple[str, ...]
    default: str


class ActionKind(msgspec.Struct, frozen=True):
    """An action of the catalogue.

    observations: rows of the log that took it. half_width: of the interval where the leverage is 0,
    from calibration episodes. leverage_limit: the largest leverage met there.
    """

    type: str
    params: tuple[NumberParam | ChoiceParam, ...]
    observations: int
    half_width: float
    leverage_limit: float


class NumberDetail(msgspec.Struct, frozen=True):
    """The range in which a numeric member of states was seen."""

    low: float
    high: float


class Catalogue(msgspec.Struct, frozen=True):
    """features: names in the order of the axis, as `features.Encoder` explains them.

    horizon: the most steps of an episode in the log, with what was taken before the log began.
    """

    features: tuple[str, ...]
    actions: tuple[ActionKind, ...]
    numbers: dict[str, NumberDetail]
    horizon: int
    factors: tuple[Literal["resolution", "time", "risk", "cost"], ...] = FACTORS
    coverage: float = 0.9
    """How often an interval is to hold the reward."""

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(action.type for action in self.actions)
