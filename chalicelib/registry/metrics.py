"""Metrics: what an owner wants to know of answers, as a rule from outcomes to one value per unit.
Nothing here counts or compares; outcomes are counted, and arms compared, by experiments."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from chalicelib.kit.values import Value

MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]

LARGEST_VALUE = 1e12
"""Of any outcome, in absolute value; a smaller range is a metric's own to declare."""

REQUESTS, MEASURED, ERRORS, LATENCY = "requests", "measured_requests", "errors", "latency_ms"
PAIRS, AGREEMENTS, LATENCY_DIFFERENCE, ERROR_DIFFERENCE = (
    "pairs",
    "agreements",
    "latency_difference_ms",
    "error_difference",
)
SERVED = frozenset(
    {
        REQUESTS,
        MEASURED,
        ERRORS,
        LATENCY,
        PAIRS,
        AGREEMENTS,
        LATENCY_DIFFERENCE,
        ERROR_DIFFERENCE,
    }
)
"""Outcomes that serving itself measures; nobody may send them."""


class Metric(Value):
    """One value per unit, whatever number of requests it makes:

    mean      the mean of the unit's outcomes
    binary    the same of outcomes that are 0 or 1
    count     the sum of the unit's outcomes; a unit without any counts 0
    revenue   like count, but no unit counts more than `cap`
    ratio     the sum of `name` over all units by the sum of `denominator` over all units
    """

    name: MetricName
    kind: Literal["mean", "binary", "count", "revenue", "ratio"] = "mean"
    better: Literal["higher", "lower"] = "higher"
    absent: Literal["skip", "zero"] | None = None
    """A unit without an outcome is left out, or has the value 0; by default 0 for count and
    revenue, left out for all others."""
    numerator: MetricName | None = None
    """The outcomes that are summed, when they bear another name than the metric."""
    denominator: MetricName | None = None
    """For a ratio: the outcomes whose sum divides."""
    cap: Annotated[float, Field(gt=0, le=LARGEST_VALUE)] | None = None
    """For revenue: the most that one unit may count, fixed in advance."""
    minimum: Annotated[float, Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE)] = -LARGEST_VALUE
    maximum: Annotated[float, Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE)] = LARGEST_VALUE
    """Least and largest value of one outcome; others are refused."""
    lag_h: Annotated[float, Field(ge=0, le=24 * 60)] = 0.0
    """How many hours after its exposure a unit's outcomes are expected to have arrived."""

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> "Metric":
        if (self.kind == "ratio") != (self.denominator is not None):
            raise ValueError("a ratio, and nothing else, has a denominator")
        if (self.kind == "revenue") != (self.cap is not None):
            raise ValueError("revenue, and nothing else, has a cap")
        if self.minimum >= self.maximum:
            raise ValueError("minimum must be below maximum")
        return self

    @property
    def summed(self) -> str:
        return self.numerator or self.name

    @property
    def counts_absent(self) -> bool:
        return self.absent == "zero" or (self.absent is None and self.kind in ("count", "revenue"))


BUILT_IN = {
    metric.name: metric
    for metric in (
        Metric.model_construct(name="quality_score", minimum=1, maximum=5),
        Metric.model_construct(name="is_correct", kind="binary", minimum=0, maximum=1),
        Metric.model_construct(name=LATENCY, kind="ratio", better="lower", denominator=MEASURED),
        Metric.model_construct(
            name="error_rate", kind="ratio", better="lower", numerator=ERRORS, denominator=REQUESTS
        ),
    )
}
"""Known without a declaration, under names that a declaration may not take. Not validated, because
that would make a validator at every cold start."""

PAIRED = (
    Metric.model_construct(name="agreement", kind="ratio", numerator=AGREEMENTS, denominator=PAIRS),
    Metric.model_construct(
        name=LATENCY_DIFFERENCE, kind="ratio", better="lower", denominator=PAIRS
    ),
    Metric.model_construct(name=ERROR_DIFFERENCE, kind="ratio", better="lower", denominator=PAIRS),
)
"""Of two answers to one question: challenger minus control, by the number of questions."""


def metrics_by_name(declared: list[Metric]) -> dict[str, Metric]:
    return {metric.name: metric for metric in declared} | BUILT_IN


def outcome_ranges(metrics: list[Metric]) -> dict[str, tuple[float, float]]:
    """The least and largest value of each outcome that may be sent, by its name."""
    ranges: dict[str, tuple[float, float]] = {}
    for metric in metrics:
        binary = (0.0, 1.0) if metric.kind == "binary" else (metric.minimum, metric.maximum)
        ranges[metric.summed] = binary
        if metric.denominator is not None:
            ranges.setdefault(metric.denominator, (0.0, LARGEST_VALUE))
    return {name: found for name, found in ranges.items() if name not in SERVED}
