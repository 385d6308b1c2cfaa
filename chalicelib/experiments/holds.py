"""What keeps the rule from looking: comparisons that would be wrong, or would come too early.
Nothing here depends on which arm is better."""

from datetime import timedelta
from math import sqrt

from chalicelib.experiments.lifecycle import challengers_left, elapsed, is_ramping
from chalicelib.experiments.model import CONTROL, Experiment
from chalicelib.experiments.report import Analysis, ArmReport, Comparison

LEAST_MATURED_SHARE = 0.8
_LAG_Z = 3.29
"""Arms whose shares of arrived outcomes differ by more (p < 0.001) are not compared."""
_WEEK = timedelta(days=7)


def holds(experiment: Experiment, analysis: Analysis) -> list[str]:
    """Why no look is taken now, though one may be due: it would rest on a wrong comparison."""
    definition = experiment.definition
    reasons: list[str] = []
    if analysis.sample_ratio.alarms:
        reasons.append("sample-ratio")
    if is_ramping(experiment):
        reasons.append("ramping")
    gone = elapsed(experiment, at=analysis.at)
    if definition.whole_weeks and (gone is None or gone < _WEEK):
        reasons.append("before-one-week")
    left = {CONTROL, *challengers_left(experiment)}
    arms = [arm for arm in analysis.arms if arm.name in left]
    if any(arm.outcome_share < definition.least_outcome_share for arm in arms):
        reasons.append("too-few-outcomes")
    if any(arm.matured_share < LEAST_MATURED_SHARE for arm in arms):
        reasons.append("outcomes-not-due")
    if not _counts_absent(experiment) and _arrivals_differ(arms):
        reasons.append("outcomes-differ-by-arm")
    return reasons + _unanswered(experiment, analysis)


def _counts_absent(experiment: Experiment) -> bool:
    """Where a unit without an outcome counts as zero, their share is the effect itself."""
    primary = experiment.definition.primary
    return any(one.name == primary and one.counts_absent for one in experiment.metrics)


def _arrivals_differ(arms: list[ArmReport]) -> bool:
    control = next(arm for arm in arms if arm.name == CONTROL)
    return any(_lag_z(control, arm) > _LAG_Z for arm in arms if arm.name != CONTROL)


def _lag_z(control: ArmReport, arm: ArmReport) -> float:
    """|z| of two shares of arrived outcomes, with the pooled variance.

    Shares are of the units that were asked: in mode disagreement, of those that differ."""
    n_c, n_t = (one.units if one.differing is None else one.differing for one in (control, arm))
    if n_c == 0 or n_t == 0:
        return 0.0
    pooled = (control.outcome_share * n_c + arm.outcome_share * n_t) / (n_c + n_t)
    variance = pooled * (1.0 - pooled) * (1.0 / n_c + 1.0 / n_t)
    gap = abs(arm.outcome_share - control.outcome_share)
    return gap / sqrt(variance) if variance > 0.0 else 0.0


def _unanswered(experiment: Experiment, analysis: Analysis) -> list[str]:
    found = primaries(experiment, analysis)
    if any(one.z is not None for one in found):
        return []
    return [f"inconclusive:{one.inconclusive or 'no-units'}" for one in found[:1]] or [
        "inconclusive:no-units"
    ]


def primaries(experiment: Experiment, analysis: Analysis) -> list[Comparison]:
    """By the primary metric, of the challengers that still get units."""
    left = challengers_left(experiment)
    return [one for one in analysis.comparisons if one.role == "primary" and one.arm in left]
