"""When the rule may look: how far an experiment has come, which look is due, what holds it back.
Nothing here depends on which arm is better."""

from datetime import timedelta
from math import sqrt
from typing import NamedTuple

from chalicelib.experiments.analysis.report import Analysis, ArmReport, Comparison
from chalicelib.experiments.lifecycle import (
    EXTENSION,
    challengers_left,
    elapsed,
    is_ramping,
    metric_of,
    planned_looks,
)
from chalicelib.experiments.model import CONTROL, Experiment
from chalicelib.stats import sequences

LEAST_MATURED_SHARE = 0.5
"""Under steady traffic this is a lag of half the time so far. With .8, an experiment of 14 days and
a lag of a week would never be decided."""
_LAG_Z = 3.29
"""Arms whose shares of arrived outcomes differ by more (p < 0.001) are not compared."""
_WEEK = timedelta(days=7)


class Progress(NamedTuple):
    """spending: elapsed share of the horizon, by units or by time, whichever is more.

    information: units with a value of the primary metric, by planned units, where shares stay;
    else see `_information`. lateness: elapsed time by the planned duration, less pauses.
    """

    spending: float
    information: float
    lateness: float


def progress_of(experiment: Experiment, analysis: Analysis) -> Progress | None:
    gone = elapsed(experiment, at=analysis.at)
    if gone is None:
        return None
    lateness = gone / timedelta(days=experiment.definition.duration_days)
    if experiment.planned_units is None:
        # The plan is then what there is at the horizon.
        return Progress(lateness, 1.0, lateness) if lateness >= 1.0 else None
    if experiment.definition.mode == "shadow":
        counted = analysis.units / experiment.planned_units
        return Progress(max(counted, lateness), counted, lateness)
    counted = _units_with_value(analysis) / experiment.planned_units
    information = _information(experiment, analysis) or counted
    return Progress(max(counted, lateness), information, lateness)


def has_looked_last(experiment: Experiment) -> bool:
    end = EXTENSION if experiment.is_extended else 1.0
    return bool(experiment.looks) and experiment.looks[-1].spending >= end


def is_due(experiment: Experiment, progress: Progress) -> bool:
    """Is there a planned look between the last one taken and now?"""
    last = experiment.looks[-1].spending if experiment.looks else 0.0
    planned = [EXTENSION] if experiment.is_extended else planned_fractions(experiment)
    return any(last < fraction <= progress.spending for fraction in planned)


def planned_fractions(experiment: Experiment) -> list[float]:
    """Of the horizon."""
    looks = planned_looks(experiment.definition)
    return [number / looks for number in range(1, looks + 1)]


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


def primaries(experiment: Experiment, analysis: Analysis) -> list[Comparison]:
    """By the primary metric, of the challengers that still get units."""
    left = challengers_left(experiment)
    return [one for one in analysis.comparisons if one.role == "primary" and one.arm in left]


def _units_with_value(analysis: Analysis) -> int:
    found = [one for one in analysis.comparisons if one.role == "primary"]
    control = max((one.control_units for one in found), default=0)
    return control + sum(one.units for one in found)


def _information(experiment: Experiment, analysis: Analysis) -> float | None:
    """Of the primary metric, by the plan's; None where it is as units are by planned units.

    Other shares start a phase, and phases are weighted by their units: what then grows by steps
    that are independent is the difference times the units, and its variance is n^2 by the
    effective units, for one unit's variance. Of several challengers it is the mean.
    """
    definition, planned = experiment.definition, experiment.planned_units
    if len(experiment.phases) < 2 or definition.allocation == "bandit" or planned is None:
        return None
    per_unit = sequences.information_ratio(
        1.0, tuned_for_units=experiment.tuned_for_units, alpha=definition.alpha
    )
    shares = definition.shares()
    found: list[float] = []
    for one in primaries(experiment, analysis):
        if one.information_ratio:
            pair = shares[CONTROL] + shares[one.arm]
            effective = planned * shares[CONTROL] * shares[one.arm] / pair
            units = (one.control_units + one.units) / (planned * pair)
            found.append(units * units * effective * per_unit / one.information_ratio)
    return sum(found) / len(found) if found else None


def _counts_absent(experiment: Experiment) -> bool:
    """Where a unit without an outcome counts as zero, their share is the effect itself."""
    return metric_of(experiment, experiment.definition.primary).counts_absent


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
