"""Plans of experiments as they are asked for and answered, and the way in which one is refused.
Types only; where the numbers come from is not known here."""

from typing import Annotated

from pydantic import Field, model_validator

from chalicelib.experiments.model import ArmName, Share
from chalicelib.kit.errors import Conflict
from chalicelib.kit.values import Value
from chalicelib.registry.metrics import LARGEST_VALUE, Metric, MetricName
from chalicelib.registry.model import ModelName


class PlanRequest(Value):
    """What is left out is an experiment's default, or is taken from the model's own history."""

    model: ModelName
    metric: MetricName = "quality_score"
    """The primary one."""
    metrics: Annotated[list[Metric], Field(max_length=30)] = Field(default_factory=list[Metric])
    """Definitions besides those of the model's settings."""
    shares: Annotated[list[Share], Field(min_length=1, max_length=9)] = Field(
        default_factory=lambda: [0.5]
    )
    """Of the challengers, by the experiment's units; the control has the rest."""
    minimal_effect: Annotated[float, Field(gt=0, le=10)] = 0.05
    """Least relative change that is worth finding."""
    alpha: Annotated[float, Field(ge=0.0001, le=0.5)] = 0.05
    power: Annotated[float, Field(ge=0.5, le=0.999)] = 0.8
    looks: Annotated[int, Field(ge=1, le=20)] = 5
    may_extend: bool = True
    traffic: Share = 1.0
    """Share of the model's units that the experiment takes."""
    duration_days: Annotated[float, Field(gt=0, le=365)] = 14.0
    """For which the smallest effect is told that is found."""
    baseline_mean: Annotated[float, Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE)] | None = None
    variance: Annotated[float, Field(ge=0, le=LARGEST_VALUE**2)] | None = None
    """Of one unit's value."""
    units_per_day: Annotated[float, Field(gt=0, le=LARGEST_VALUE)] | None = None
    """New ones, of the whole model."""
    outcome_share: Annotated[float, Field(ge=0.0001, le=1)] | None = None
    """Of the units, those from which an outcome arrives."""
    covariate: bool = False
    """The experiment's predictions bring a covariate."""
    covariate_r2: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of the variance that the covariate explains; one that is given is used."""

    @model_validator(mode="after")
    def _something_is_left_for_the_control(self) -> "PlanRequest":
        if sum(self.shares) >= 1:
            raise ValueError("the challengers' shares leave nothing for the control")
        return self


class Figure(Value):
    """A number, and where it comes from: `given`, `assumed`, or a part of the model's history."""

    value: float
    source: str


class Baseline(Value):
    mean: Figure
    variance: Figure
    units: int | None
    """On which the mean or the variance rests, as far as they are from history."""
    outcome_share: Figure
    covariate_r2: Figure | None
    """As far as it is known, also when the plan makes no use of it."""


class PlannedTraffic(Value):
    """Of the whole model."""

    units_per_day: Figure | None = None
    requests_per_day: Figure | None = None
    requests_per_unit: Figure | None = None


class PlannedLook(Value):
    """spending: share of the horizon that is gone. boundary: the z at which a challenger is
    promoted; null where none is."""

    number: int
    spending: float
    units: int | None
    """Assigned by then, in all arms."""
    day: int | None
    boundary: float | None


class FoundEffect(Value):
    """The smallest change found with the power asked for, at the end of so many days."""

    duration_days: float
    units: int
    """Assigned by then, in all arms."""
    relative: float | None
    absolute: float


class Plan(Value):
    """Null stands for what cannot be told; `unknown` has the reason, as `field:code`."""

    model: ModelName
    metric: MetricName
    minimal_effect: float
    absolute_effect: float | None
    """In the metric's own unit."""
    units_per_arm: dict[ArmName, int] | None
    """To assign until the horizon."""
    units: int | None
    """The same, of all arms."""
    planned_units: int | None
    """Those of them with a value of the metric: an experiment's `planned_units`."""
    fixed_units: int | None
    """To assign if there were one look only, at the end."""
    inflation: float
    """What the looks, and alpha kept for an extension, cost at most, by the units of one look."""
    duration_days: int | None
    """Until all are assigned and the last outcome is due; whole days."""
    looks: list[PlannedLook]
    minimal_effect_at_duration: FoundEffect | None
    baseline: Baseline
    traffic: PlannedTraffic
    unknown: list[str]
    assumptions: list[str]


class NoHistory(Conflict):
    """The model's history does not tell the metric's mean or variance, and the caller did not."""

    code = "no-history"
