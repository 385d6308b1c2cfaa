"""What a plan takes for granted, in plain sentences.
No number is computed here that the plan does not hold."""

from collections.abc import Iterator
from math import sqrt

from chalicelib.experiments.lifecycle import EXTENSION
from chalicelib.experiments.planning.plans import Baseline, Plan, PlannedTraffic, PlanRequest
from chalicelib.experiments.planning.sizing import Design, least_units
from chalicelib.registry.metrics import Metric

ASSUMED = "assumed"
_FEW_UNITS = 100
_LONGEST_DAYS = 365
_PLAIN_ERRORS = 2.0


def sentences(
    plan: Plan, request: PlanRequest, *, metric: Metric, design: Design, others_run: bool
) -> list[str]:
    """others_run: experiments take some of the champion's requests now."""
    return [
        *_of_the_rule(plan, request, design),
        *_of_the_baseline(plan.baseline, request, metric),
        *_of_outcomes(plan.baseline, metric),
        *_of_traffic(plan.traffic, others_run=others_run),
        *_of_the_duration(plan, metric),
    ]


def uses_covariate(request: PlanRequest, metric: Metric) -> bool:
    asked = request.covariate or request.covariate_r2 is not None
    return asked and metric.kind != "ratio"


def _of_the_rule(plan: Plan, request: PlanRequest, design: Design) -> Iterator[str]:
    yield "The challenger's values vary as much as the control's."
    challengers = len(request.shares)
    if challengers > 1:
        yield (
            f"Alpha is shared by {challengers} challengers, {design.alpha:.4g} for each, and the "
            "one with the smallest share is found with the power asked for."
        )
    if design.reserve:
        yield (
            f"{design.reserve:.0%} of alpha is kept for one extension to {EXTENSION:g} times the "
            "length; the power is reached without it."
        )
    if plan.planned_units == least_units(design):
        yield (
            f"The effect alone would need fewer units: nothing is decided below "
            f"{design.least_units_per_arm} units with a value in each arm."
        )


def _of_the_baseline(baseline: Baseline, request: PlanRequest, metric: Metric) -> Iterator[str]:
    if baseline.units is not None:
        error = sqrt(baseline.variance.value / baseline.units)
        yield (
            f"The past is like the future: {baseline.units} units said so, which leaves the mean "
            f"uncertain by {_PLAIN_ERRORS * error:.3g} either way."
        )
        if baseline.units < _FEW_UNITS:
            yield f"That is little: below {_FEW_UNITS} units, plan again when there are more."
    r2 = baseline.covariate_r2
    if uses_covariate(request, metric):
        known = r2.value if r2 else 0.0
        yield f"Predictions bring the covariate, and it explains {known:.0%} of the variance."
    elif r2 is not None and r2.value >= 0.01:
        yield f"Without the covariate, which would save {r2.value:.0%} of the units."


def _of_outcomes(baseline: Baseline, metric: Metric) -> Iterator[str]:
    share = baseline.outcome_share
    if metric.counts_absent:
        yield "A unit without an outcome has the value 0, and counts."
    elif share.source == ASSUMED:
        yield "Every unit brings an outcome: nobody knows how many do; fewer make it longer."
    elif share.value < 1:
        yield f"{share.value:.1%} of the units bring an outcome, in all arms alike."


def _of_traffic(traffic: PlannedTraffic, *, others_run: bool) -> Iterator[str]:
    if traffic.units_per_day is None:
        return
    yield "Every day brings as many new units as the day before; one that comes back is not new."
    if traffic.requests_per_unit is not None and traffic.requests_per_unit.source == ASSUMED:
        yield "Every request is a unit of its own: nobody told units yet; fewer make it longer."
    if others_run and traffic.requests_per_day is not None:
        yield (
            "Experiments run on this model: the champion's endpoint sees only part of its "
            "requests, and some of its units are taken."
        )


def _of_the_duration(plan: Plan, metric: Metric) -> Iterator[str]:
    if metric.lag_h and plan.duration_days is not None:
        yield f"The last outcome is due {metric.lag_h:g} hours after the last unit came."
    if plan.duration_days is not None and plan.duration_days > _LONGEST_DAYS:
        yield (
            f"No experiment lasts longer than {_LONGEST_DAYS} days: look for a larger effect, "
            "more traffic or a covariate."
        )
