"""Questions about rewards and their answers: states of incidents, actions, and what they may hold.
Nothing here predicts anything; what is strange to a model is its container's to say."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import (
    Field,
    JsonValue,
    model_validator,
)

from chalicelib.experiments.model import ArmName, ExperimentId
from chalicelib.kit.values import Told, Value
from chalicelib.registry.model import ModelName
from chalicelib.registry.semver import VersionName
from chalicelib.training.episodes import Action, IncidentState

MOST_ACTIONS = 200
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)


class RewardQuestion(Value):
    """One action, or several to be ranked, or none: then the whole catalogue is ranked."""

    state: IncidentState
    proposed_action: Action | None = Field(None, alias="proposedAction")
    proposed_actions: (
        Annotated[list[Action], Field(min_length=1, max_length=MOST_ACTIONS)] | None
    ) = Field(None, alias="proposedActions")

    @model_validator(mode="after")
    def _asks_one_thing(self) -> "RewardQuestion":
        if self.proposed_action is not None and self.proposed_actions is not None:
            raise ValueError("proposedActions cannot be given beside proposedAction")
        return self


class Interval(Told):
    """Holds the reward that will come about with probability `coverage`."""

    low: float
    high: float
    coverage: float


class Strange(Told):
    """What the model has never seen, where in the question it stands, and why it is strange."""

    at: str
    because: str


class Judged(Told):
    """What is predicted of one action: the factors add up to the reward."""

    action: Action
    reward: float
    factors: dict[str, float]
    interval: Interval
    guarded: bool
    """The action's type was taken already, and the policy would not repeat it."""
    outOfDistribution: list[Strange]


class RewardAnswer(Value):
    """The container's words about one action, or its `ranking` of several, and who answered.

    `cached` numbers were given `age_s` seconds ago to the same question by the same version."""

    request_id: str
    model: ModelName
    version: VersionName
    experiment: ExperimentId | None = None
    arm: ArmName | None = None
    cached: bool
    age_s: float
    reward: float | None = None
    factors: dict[str, float] | None = None
    interval: Interval | None = None
    guarded: bool | None = None
    outOfDistribution: list[Strange] | None = None
    ranking: list[Judged] | None = None
    """Best first."""
    policy: dict[str, float]
    value: float
    recommendedAction: Action
    modelVersion: str


def canonical(value: Value) -> str:
    """The same content gives the same text, whatever the order of members, the spelling of numbers
    and whether what is empty was written out."""
    content = _plain(value.model_dump(by_alias=True, exclude_none=True))
    return dump(content)


def dump(content: JsonValue) -> str:
    return _ENCODER.encode(content)


def is_answer(told: object, question: RewardQuestion, *, head: Mapping[str, object]) -> bool:
    """Has the model answered what was asked, with no word that is ours to say?"""
    if not isinstance(told, dict):
        return False
    members = cast(dict[str, object], told).keys()
    expected = {"ranking"} if question.proposed_action is None else {"reward", "factors"}
    return expected <= members and members.isdisjoint(head)


def _plain(content: Any) -> Any:
    """Whole numbers without a point; they are far too small to lose a digit."""
    if isinstance(content, float):
        return int(content) if content.is_integer() else content
    if isinstance(content, dict):
        members = cast(dict[str, Any], content)
        return {name: _plain(member) for name, member in members.items()}
    if isinstance(content, list):
        return [_plain(item) for item in cast(list[Any], content)]
    return content
