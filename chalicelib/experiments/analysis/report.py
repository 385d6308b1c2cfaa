"""What an analysis says, as it is answered over HTTP and kept in the ledger.
Types only; null stands where there is no answer, and the reason beside it."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from chalicelib.experiments.model import ArmName, ExperimentId, Look, State
from chalicelib.kit.values import Value
from chalicelib.registry.metrics import MetricName
from chalicelib.registry.semver import VersionName

RoleOfMetric = Literal["primary", "guardrail", "secondary"]
Action = Literal["promote", "continue", "roll_back", "stop", "extend"]


class Bounds(Value):
    """An interval; null is no bound on that side."""

    low: float | None
    high: float | None


class Comparison(Value):
    """One challenger against the control by one metric; differences are challenger minus control.

    `better` says which sign is good. `z` and `evidence` are signed so that more is better.
    """

    metric: MetricName
    arm: ArmName
    role: RoleOfMetric
    better: Literal["higher", "lower"]
    control_units: int
    units: int
    """With a value of the metric."""
    control_mean: float | None = None
    mean: float | None = None
    difference: float | None = None
    standard_error: float | None = None
    interval: Bounds | None = None
    """Of the difference, good for one look only."""
    sequence: Bounds | None = None
    """Of the difference, good for all looks together."""
    lift: float | None = None
    """The difference by the control's mean."""
    lift_interval: Bounds | None = None
    lift_sequence: Bounds | None = None
    p_value: float | None = None
    """Two-sided, good for one look only."""
    always_valid_p: float | None = None
    """Two-sided, good for any number of looks."""
    adjusted_p: float | None = None
    """always_valid_p after Holm, over all challengers and the metrics that decide."""
    z: float | None = None
    information_ratio: float | None = None
    margin: float | None = None
    """Of a guardrail: by how much the challenger may be worse."""
    harm_evidence: float | None = None
    """log e-value that the challenger is worse, by more than the margin of a guardrail."""
    is_non_inferior: bool | None = None
    """Of a guardrail: shown, at any look, to be worse by less than the margin."""
    chance_to_beat: float | None = None
    """Of the challenger being better, under a flat prior."""
    expected_loss: float | None = None
    """What promoting costs on average if it is wrong, in the metric's unit."""
    variance_reduction: float | None = None
    """Share of variance that the covariate took away."""
    inconclusive: str | None = None
    """Why there is no answer: a code such as `too-few-units`."""


class ArmReport(Value):
    name: ArmName
    version: VersionName
    share: float
    units: int
    crossed: int
    """Units that got another arm later, as shares moved; counted under their first."""
    outcome_share: float
    """Of the units, those with a value of the primary metric."""
    matured_share: float
    """Of the units, those exposed longer ago than the primary metric's lag."""
    differing: int | None = None
    """In mode disagreement: units whose two answers differ; only these are compared."""


class SampleRatio(Value):
    """Do the arms' numbers of units fit their shares? Good for any number of looks."""

    evidence: float | None
    """log e-value of a mismatch; null is infinite."""
    alarms: bool
    p_value: float | None
    """Chi-square, good for one look only."""


class Paired(Value):
    """Of two answers to one question each: challenger minus control."""

    metric: MetricName
    mean: float | None
    interval: Bounds | None
    sequence: Bounds | None
    units: int
    inconclusive: str | None = None


class SegmentReport(Value):
    segment: str
    comparisons: list[Comparison]


class Verdict(Value):
    """What the rule says of one analysis."""

    rule: str
    """Version of the rule: the same numbers under the same rule give the same verdict."""
    action: Action
    arm: ArmName | None = None
    """The challenger that is promoted, or that does harm."""
    reasons: list[str]
    """Codes, the deciding ones first: `harm:error_rate`, `sample-ratio`, `before-next-look`, ..."""
    look: Look | None = None
    """The planned look that this verdict takes."""
    boundary: float | None = None
    """The z that the primary metric had to reach at this look; null is not to be reached."""
    z: float | None = None
    harm_threshold: float
    """log e-value at which harm is shown."""
    predictive_power: float | None = None
    """Chance of a promotion at the horizon, given what is seen."""


class Analysis(Value):
    experiment: ExperimentId
    state: State
    at: datetime
    units: int
    planned_units: int | None
    arms: list[ArmReport]
    comparisons: list[Comparison]
    sample_ratio: SampleRatio
    paired: list[Paired] = Field(default_factory=list[Paired])
    segments: list[SegmentReport] = Field(default_factory=list[SegmentReport])
    shares: dict[ArmName, float] = Field(default_factory=dict[str, float])
    """Of a bandit: what the arms get next."""


Recommendation = Literal["promote_to_production", "continue_testing", "archive_candidate"]


class Assessment(Value):
    """An experiment's numbers, and what the rule makes of them right now."""

    analysis: Analysis
    verdict: Verdict
    recommendation: Recommendation


class Replayed(Value):
    """One decision of the ledger, made again from the numbers that stand beside it."""

    seq: int
    at: str
    action: Action
    rule: str
    is_same: bool


class Replay(Value):
    """Newest first."""

    items: list[Replayed]
