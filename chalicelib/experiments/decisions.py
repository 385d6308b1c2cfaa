"""The rule that promotes, rolls back, stops and extends: one analysis in, one verdict out.
Pure and versioned: who calls it, and what is done about a verdict, is not known here."""

from datetime import timedelta
from math import inf, isfinite, log
from typing import NamedTuple

from chalicelib.experiments.holds import holds, primaries
from chalicelib.experiments.lifecycle import EXTENSION, challengers_left
from chalicelib.experiments.model import CONTROL, Experiment, Look
from chalicelib.experiments.report import Action, Analysis, Comparison, Verdict
from chalicelib.kit.values import Value
from chalicelib.stats import group_sequential, normal

RULE = "r1"
"""Changes with every change of what follows; old verdicts name the rule they were made by."""

RESERVE = 0.2
"""Share of alpha that is kept for the extension, where one is allowed."""
FUTILE_BELOW = 0.05
"""Least predictive power with which a half-done experiment goes on."""
PROMISING_FROM = 0.5
"""Least predictive power with which an experiment is extended."""
_GIVE_UP_AFTER = 2.0
"""Planned durations after which what is still held back is stopped."""
_RULE_OF_THREE = 3.0
"""0 of n seen: the rate is below 3/n with a confidence of 95 %."""


class Standing(Value):
    """What else is true of the versions when the rule is asked."""

    control_is_champion: bool = True
    live_arms: list[str]


class _Clock(NamedTuple):
    """spending: elapsed share of the horizon, by units or by time, whichever is more.

    information: units with a value of the primary metric, by planned units.
    """

    spending: float
    information: float
    lateness: float
    """Elapsed time by the planned duration."""


def decide(experiment: Experiment, analysis: Analysis, standing: Standing) -> Verdict:
    """What to do now, from numbers that may be looked at as often as one likes."""
    broken = _broken(experiment, standing)
    if broken:
        return _verdict(experiment, "stop", [broken])
    harmful = _harm(experiment, analysis)
    if harmful is not None:
        reasons = [f"harm:{harmful.metric}"]
        return _verdict(experiment, "roll_back", reasons, arm=harmful.arm, z=harmful.z)
    clock = _clock(experiment, analysis)
    if experiment.definition.mode == "shadow":
        # It ends by itself, and never promotes: nobody was answered by the challenger.
        is_over = clock is not None and clock.spending >= 1.0
        return _verdict(experiment, "stop" if is_over else "continue", ["shadow"])
    if clock is None:
        return _verdict(experiment, "continue", ["no-plan-yet"])
    return _by_the_clock(experiment, analysis, clock)


def _by_the_clock(experiment: Experiment, analysis: Analysis, clock: "_Clock") -> Verdict:
    held = holds(experiment, analysis)
    if held:
        gives_up = clock.lateness >= _GIVE_UP_AFTER
        return _verdict(experiment, "stop" if gives_up else "continue", held)
    if not _is_due(experiment, clock):
        return _verdict(experiment, "continue", ["before-next-look"])
    return _at_look(experiment, analysis, clock)


def _broken(experiment: Experiment, standing: Standing) -> str | None:
    if not standing.control_is_champion:
        return "champion-changed"
    lost = [
        arm for arm in [CONTROL, *challengers_left(experiment)] if arm not in standing.live_arms
    ]
    return f"arm-not-live:{lost[0]}" if lost else None


def harm_threshold(experiment: Experiment) -> float:
    """log e-value: alpha is shared by all challengers, and by the metrics that can do harm."""
    metrics = 1 + len(experiment.definition.guardrails)
    return log(metrics * (len(experiment.versions) - 1) / experiment.definition.alpha)


def _harm(experiment: Experiment, analysis: Analysis) -> Comparison | None:
    """The comparison that shows most harm, if any shows it."""
    left = challengers_left(experiment)
    shown = [
        one
        for one in analysis.comparisons
        if one.role != "secondary"
        and one.arm in left
        and one.harm_evidence is not None
        and one.harm_evidence >= harm_threshold(experiment)
    ]
    return max(shown, key=lambda one: one.harm_evidence or 0.0, default=None)


def _clock(experiment: Experiment, analysis: Analysis) -> _Clock | None:
    if experiment.started_at is None:
        return None
    days = (analysis.at - experiment.started_at) / timedelta(days=1)
    lateness = days / experiment.definition.duration_days
    if experiment.definition.mode == "shadow":
        gone = analysis.units / experiment.planned_units if experiment.planned_units else 0.0
        return _Clock(max(lateness, gone), gone, lateness)
    if experiment.planned_units is None:
        return _Clock(1.0, 1.0, lateness) if lateness >= 1.0 else None
    information = _units_with_value(analysis) / experiment.planned_units
    return _Clock(max(information, lateness), information, lateness)


def _units_with_value(analysis: Analysis) -> int:
    found = [one for one in analysis.comparisons if one.role == "primary"]
    control = max((one.control_units for one in found), default=0)
    return control + sum(one.units for one in found)


def _is_due(experiment: Experiment, clock: _Clock) -> bool:
    """Is there a planned look between the last one taken and now?"""
    last = experiment.looks[-1].spending if experiment.looks else 0.0
    if experiment.is_extended:
        return clock.spending >= EXTENSION
    return any(last < fraction <= clock.spending for fraction in planned_fractions(experiment))


def planned_fractions(experiment: Experiment) -> list[float]:
    """Of the horizon. A bandit's shares follow the data: it is looked at once, at the end."""
    looks = 1 if experiment.definition.allocation == "bandit" else experiment.definition.looks
    return [number / looks for number in range(1, looks + 1)]


def _at_look(experiment: Experiment, analysis: Analysis, clock: _Clock) -> Verdict:
    look = Look(
        number=len(experiment.looks) + 1,
        at=analysis.at,
        spending=EXTENSION if experiment.is_extended else min(clock.spending, 1.0),
        information=clock.information,
    )
    bounds = _bounds(experiment, [*experiment.looks, look])
    candidates = [one for one in primaries(experiment, analysis) if one.z is not None]
    best = max(candidates, key=lambda one: one.z or -inf)
    worst = min(candidates, key=lambda one: one.z or inf)
    z = best.z or 0.0
    says: dict[str, object] = {"look": look, "boundary": _finite(bounds[-1]), "z": z}
    if z >= bounds[-1]:
        open_ones = _open_guardrails(experiment, analysis, best.arm)
        if not open_ones:
            return _verdict(experiment, "promote", ["better"], arm=best.arm, **says)
        return _undecided(experiment, look, open_ones, says, power=1.0)
    if (worst.z or 0.0) <= -bounds[-1]:
        reasons = [f"worse:{worst.metric}"]
        return _verdict(experiment, "roll_back", reasons, arm=worst.arm, **{**says, "z": worst.z})
    power = _predictive_power(experiment, z, look)
    return _undecided(experiment, look, ["not-yet"], says, power=power)


def _undecided(
    experiment: Experiment, look: Look, reasons: list[str], says: dict[str, object], *, power: float
) -> Verdict:
    """power: predictive power at the next end, of the horizon or of the extension."""
    told = {**says, "predictive_power": power}
    if look.spending < 1.0:
        is_futile = look.spending >= 0.5 and power < FUTILE_BELOW
        action: Action = "stop" if is_futile else "continue"
        return _verdict(experiment, action, ["futile"] if is_futile else reasons, **told)
    may_extend = experiment.definition.may_extend and not experiment.is_extended
    if may_extend and power >= PROMISING_FROM:
        return _verdict(experiment, "extend", ["promising", *reasons], **told)
    return _verdict(experiment, "stop", ["no-difference-shown", *reasons], **told)


def _bounds(experiment: Experiment, looks: list[Look]) -> tuple[float, ...]:
    """One-sided, for the best of all challengers that the experiment began with."""
    alpha = experiment.definition.alpha / 2.0 / (len(experiment.versions) - 1)
    return group_sequential.boundary(
        [group_sequential.Look(look.spending, look.information) for look in looks],
        alpha=alpha,
        reserve=RESERVE if experiment.definition.may_extend else 0.0,
    )


def _predictive_power(experiment: Experiment, z: float, look: Look) -> float:
    """At the horizon; once there, at the extension's end."""
    end = 1.0 if look.spending < 1.0 else EXTENSION
    if look.information <= 0.0:
        return 0.5
    growth = end / look.spending if look.spending > 0.0 else 1.0
    last = Look(
        number=look.number + 1,
        at=look.at,
        spending=end,
        information=look.information * max(growth, 1.0),
    )
    bound = _bounds(experiment, [*experiment.looks, look, last])[-1]
    if not isfinite(bound):
        bound = normal.upper_quantile(experiment.definition.alpha / 2.0)
    return group_sequential.predictive_power(
        z,
        look.information,
        horizon_information=last.information,
        horizon_boundary=bound,
    )


def _open_guardrails(experiment: Experiment, analysis: Analysis, arm: str) -> list[str]:
    """Those whose margin is not shown to be kept. One without a margin must only do no harm."""
    return [
        f"guardrail-open:{one.metric}"
        for one in analysis.comparisons
        if one.role == "guardrail" and one.arm == arm and one.margin and not _is_kept(one)
    ]


def _is_kept(one: Comparison) -> bool:
    """Where neither arm varies there is no interval; then zero of n seen must be enough."""
    if one.is_non_inferior is not None:
        return one.is_non_inferior
    equal = one.inconclusive == "no-variance" and one.mean == one.control_mean
    return equal and min(one.units, one.control_units) * (one.margin or 0.0) >= _RULE_OF_THREE


def _verdict(experiment: Experiment, action: Action, reasons: list[str], **more: object) -> Verdict:
    document = {
        "rule": RULE,
        "action": action,
        "reasons": reasons,
        "harm_threshold": harm_threshold(experiment),
        **more,
    }
    return Verdict.model_validate(document)


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
