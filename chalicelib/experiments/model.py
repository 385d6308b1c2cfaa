"""Experiments as they are asked for and as they are kept, and the ways in which one is refused.
How they move from state to state is in `lifecycle`; nothing here reads a clock or a table."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from chalicelib.kit.errors import Conflict, Invalid, NotFound
from chalicelib.kit.values import Value
from chalicelib.registry.metrics import LARGEST_VALUE, Metric, MetricName
from chalicelib.registry.model import ModelName
from chalicelib.registry.semver import VersionName

PLAN = "plan"
"""`/api/experiments/plan` is the address of plans, so no experiment has this id."""


def _not_a_route(experiment: str) -> str:
    if experiment == PLAN:
        raise ValueError(f"{PLAN!r} is the address of plans")
    return experiment


ExperimentId = Annotated[
    str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$"), AfterValidator(_not_a_route)
]
ArmName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Share = Annotated[float, Field(gt=0, le=1)]
SegmentName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,40}$")]

CONTROL = "control"
OTHER_SEGMENT = "other"


class State(StrEnum):
    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    STOPPED = "stopped"


CONCLUDED = frozenset({State.PROMOTED, State.ROLLED_BACK, State.STOPPED})


class Challenger(Value):
    name: ArmName = "treatment"
    version: VersionName
    share: Share | None = None
    """Of the experiment's units; without one, all arms get the same."""


class Guardrail(Value):
    """The challenger may be worse by at most `margin`, to be promoted and not to be rolled back."""

    metric: MetricName
    margin: Annotated[float, Field(ge=0, le=LARGEST_VALUE)] = 0.0
    is_relative: bool = False
    """margin is a share of the control's mean, not an absolute difference."""


class Comparing(Value):
    """When two answers to one question agree, in the modes shadow and disagreement."""

    field: Annotated[str, Field(max_length=200)] = ""
    """Which part of the JSON answers counts: member names and `*` for every item, parted by `/`
    (`predictions/*/label`); empty for all of it."""
    tolerance: Annotated[float, Field(ge=0, le=LARGEST_VALUE)] = 0.0
    """Largest absolute difference of two numbers that agree."""


class Definition(Value):
    """What the owner decides; all of it but the shares is fixed once the experiment starts."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    model: ModelName
    control_version: VersionName | None = None
    """Without one, the champion when the experiment starts."""
    challengers: Annotated[list[Challenger], Field(min_length=1, max_length=9)]
    mode: Literal["split", "shadow", "disagreement"] = "split"
    """split: each unit is answered by its arm. shadow: the control answers all, the challenger
    answers a copy. disagreement: as split, but only units whose two answers differ count."""
    allocation: Literal["fixed", "bandit"] = "fixed"
    primary: MetricName = "quality_score"
    metrics: Annotated[list[Metric], Field(max_length=30)] = Field(default_factory=list[Metric])
    """Definitions besides those of the model's settings; a name without any is a mean."""
    guardrails: Annotated[list[Guardrail], Field(max_length=10)] = Field(
        default_factory=lambda: [Guardrail(metric="error_rate", margin=0.01)]
    )
    secondary: Annotated[list[MetricName], Field(max_length=20)] = Field(default_factory=list[str])
    duration_days: Annotated[float, Field(gt=0, le=365)] = 14.0
    minimal_effect: Annotated[float, Field(gt=0, le=10)] = 0.05
    """Least relative change of the primary metric that is worth finding."""
    planned_units: Annotated[int, Field(ge=20, le=1_000_000_000)] | None = None
    """Units of all arms at which the last look is taken; without it, as many as find
    `minimal_effect` with `power`."""
    looks: Annotated[int, Field(ge=1, le=20)] = 5
    """Planned looks at which a challenger may be promoted, evenly spaced up to the horizon."""
    may_extend: bool = True
    """A promising experiment goes on once, for half its length; a fifth of alpha is kept for it."""
    alpha: Annotated[float, Field(ge=0.0001, le=0.5)] = 0.05
    power: Annotated[float, Field(ge=0.5, le=0.999)] = 0.8
    whole_weeks: bool = False
    """Promote only after one whole week at least."""
    least_units_per_arm: Annotated[int, Field(ge=2, le=1_000_000)] = 100
    """Nothing is decided below; intervals rest on the central limit theorem."""
    least_outcome_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Promote only when this share of each arm's units has an outcome of the primary metric."""
    traffic: Share = 1.0
    """Share of the namespace's units that the experiment takes."""
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9/-]{0,60}$")] | None = None
    """Experiments of one namespace share no unit; by default the model's own."""
    holdout: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of the namespace's units that no experiment ever takes."""
    ramp: Annotated[list[Share], Field(max_length=10)] = Field(default_factory=list[float])
    """Shares of the experiment's units that challengers get, one step after another, rising."""
    ramp_step_h: Annotated[float, Field(gt=0, le=24 * 30)] = 24.0
    covariate: bool = False
    """Predictions bring a number known before the experiment, which sharpens the primary metric."""
    segments: Annotated[list[SegmentName], Field(max_length=20)] = Field(default_factory=list[str])
    """Values of the one dimension that predictions may bring; any other is `other`."""
    shadow_share: Share = 1.0
    """Share of predictions that are copied, in the modes shadow and disagreement."""
    comparing: Comparing = Field(default_factory=Comparing)
    acts: bool = True
    """The rule promotes, rolls back and stops by itself; without, it only says what it would do."""
    retires_losers: bool = False
    """Challengers that did not win are taken out of service when the experiment is over."""

    @model_validator(mode="after")
    def _arms_fit(self) -> "Definition":
        names = [challenger.name for challenger in self.challengers]
        if len(set(names)) < len(names) or CONTROL in names:
            raise ValueError(f"challengers have names of their own, none of them {CONTROL!r}")
        given = [challenger.share for challenger in self.challengers]
        if None in given and any(share is not None for share in given):
            raise ValueError("either every challenger has a share or none has")
        if sum(share or 0.0 for share in given) >= 1:
            raise ValueError("the challengers' shares leave nothing for the control")
        if self.ramp != sorted(set(self.ramp)):
            raise ValueError("the ramp's steps must rise")
        if self.mode != "split" and len(self.challengers) > 1:
            raise ValueError(f"mode {self.mode!r} compares one challenger with the control")
        if self.mode != "split" and self.allocation == "bandit":
            raise ValueError("a bandit needs the mode 'split'")
        return self

    def shares(self) -> dict[str, float]:
        """Of the experiment's units, by arm; they sum to 1."""
        even = 1 / (len(self.challengers) + 1)
        shares = {one.name: one.share or even for one in self.challengers}
        return {CONTROL: 1 - sum(shares.values()), **shares}


class ArmRange(Value):
    """Part of [0, 1) whose units belong to an arm; half-open."""

    start: float
    end: float
    arm: ArmName


class Phase(Value):
    """A period of unchanged shares."""

    number: int
    ranges: list[ArmRange]
    since: datetime

    def shares(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for one in self.ranges:
            found[one.arm] = found.get(one.arm, 0.0) + one.end - one.start
        return found


class Look(Value):
    """A planned look that was taken: how much of alpha's clock, and of the information, was gone.

    spending: elapsed share of the horizon, by units or by time, whichever is more; beyond 1 in
    the extension. information: units by planned units, less where shares were changed by hand.
    """

    number: int
    at: datetime
    spending: float
    information: float


class Experiment(Value):
    """`metrics` are all that the experiment uses, frozen at its start."""

    id: ExperimentId
    definition: Definition
    state: State
    metrics: list[Metric] = Field(default_factory=list[Metric])
    versions: dict[ArmName, VersionName]
    phases: list[Phase] = Field(default_factory=list[Phase])
    namespace_range: tuple[float, float] | None = None
    salt: int = 1
    ramp_step: int = 0
    ramped_at: datetime | None = None
    planned_units: int | None = None
    """Frozen before the first planned look."""
    tuned_for_units: float = 1_000.0
    """Effective units (n_c n_t / (n_c + n_t)) at which the sequences are tightest; fixed at the
    start, their validity rests on that."""
    looks: list[Look] = Field(default_factory=list[Look])
    is_extended: bool = False
    created_at: datetime
    started_at: datetime | None = None
    ends_at: datetime | None = None
    """The horizon by time."""
    concluded_at: datetime | None = None
    conclusion: str | None = None
    """Why it is over, in one sentence."""
    winner: ArmName | None = None
    retired_losers: bool = False
    updated_at: datetime

    @property
    def model(self) -> str:
        return self.definition.model

    @property
    def namespace(self) -> str:
        return self.definition.namespace or f"model/{self.definition.model}"

    @property
    def exposed(self) -> float:
        """The part of every arm's range that is in the experiment yet."""
        if not self.definition.ramp:
            return 1.0
        challengers = 1 - self.definition.shares()[CONTROL]
        steps = [min(1.0, step / challengers) for step in self.definition.ramp]
        return steps[min(self.ramp_step, len(steps) - 1)]


class ExperimentNotFound(NotFound):
    code = "experiment-not-found"


class ExperimentExists(Conflict):
    """Another experiment has this id or name; the same one asked for again is no error."""

    code = "experiment-exists"


class ExperimentNotRunning(Conflict):
    """The experiment is not in a state that allows this."""

    code = "experiment-not-running"


class NamespaceFull(Conflict):
    """Running experiments leave too few units of the namespace, or disagree about its holdout."""

    code = "namespace-full"


class ArmNotLive(Conflict):
    """A version of the experiment is not in service."""

    code = "arm-not-live"


class UnknownMetric(Invalid):
    """The experiment, or the model of a prediction without one, knows no such metric."""

    code = "unknown-metric"


class ValueRefused(Invalid):
    """The value is not a number, not finite, or out of the metric's range."""

    code = "value-refused"


class OutcomeTooLate(Conflict):
    """The prediction is longer ago than outcomes are taken for."""

    code = "outcome-too-late"
