"""The rule that promotes, rolls back, stops and extends: one analysis in, one verdict out.
Pure and versioned: who calls it, and what is done about a verdict, is not known here."""

from collections.abc import Mapping, Sequence
from math import isfinite, log
from typing import NamedTuple

from chalicelib.experiments.analysis.report import Action, Analysis, Comparison, Verdict
from chalicelib.experiments.deciding.holds import (
    Progress,
    has_looked_last,
    holds,
    is_due,
    primaries,
    progress_of,
)
from chalicelib.experiments.lifecycle import EXTENSION, challengers_left, reserve_of
from chalicelib.experiments.model import CONTROL, Experiment, Look
from chalicelib.kit.values import Value
from chalicelib.stats import group_sequential, normal

RULE = "r1"
"""Changes with every change of what follows; old verdicts name the rule they were made by."""

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


class _Ranked(NamedTuple):
    arm: str
    z: float


def decide(experiment: Experiment, analysis: Analysis, standing: Standing) -> Verdict:
    """What to do now, from numbers that may be looked at as often as one likes."""
    broken = _broken(experiment, standing)
    if broken:
        return _verdict(experiment, "stop", [broken])
    harmful = _harm(experiment, analysis)
    if harmful is not None:
        reasons = [f"harm:{harmful.metric}"]
        return _verdict(experiment, "roll_back", reasons, arm=harmful.arm, z=harmful.z)
    progress = progress_of(experiment, analysis)
    if experiment.definition.mode == "shadow":
        # It ends by itself, and never promotes: nobody was answered by the challenger.
        is_over = progress is not None and progress.spending >= 1.0
        return _verdict(experiment, "stop" if is_over else "continue", ["shadow"])
    if progress is None:
        return _verdict(experiment, "continue", ["no-plan-yet"])
    return _by_the_clock(experiment, analysis, progress)


def _by_the_clock(experiment: Experiment, analysis: Analysis, progress: Progress) -> Verdict:
    held = holds(experiment, analysis)
    if held:
        gives_up = progress.lateness >= _GIVE_UP_AFTER
        return _verdict(experiment, "stop" if gives_up else "continue", held)
    if has_looked_last(experiment):
        return _after_the_last_look(experiment, analysis, progress)
    if not is_due(experiment, progress):
        return _verdict(experiment, "continue", ["before-next-look"])
    return _at_look(experiment, analysis, progress)


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


def _at_look(experiment: Experiment, analysis: Analysis, progress: Progress) -> Verdict:
    look = _look(experiment, analysis, progress)
    bound = _bounds(experiment, [*experiment.looks, look])[-1]
    ranked = _ranked(experiment, analysis)
    says: dict[str, object] = {"look": look, "boundary": _finite(bound), "z": ranked[0].z}
    better = [one for one in ranked if one.z >= bound]
    open_by_arm = {one.arm: _open_guardrails(experiment, analysis, one.arm) for one in better}
    for arm, z in better:
        if not open_by_arm[arm]:
            return _verdict(experiment, "promote", ["better"], **{**says, "arm": arm, "z": z})
    worst = ranked[-1]
    if worst.z <= -bound:
        reasons = [f"worse:{experiment.definition.primary}"]
        return _verdict(experiment, "roll_back", reasons, **{**says, **worst._asdict()})
    if better:
        open_ones = open_by_arm[better[0].arm]
        return _undecided(experiment, progress, says, power=1.0, open_ones=open_ones)
    power = _predictive_power(experiment, ranked[0].z, look, progress)
    return _undecided(experiment, progress, says, power=power)


def _after_the_last_look(experiment: Experiment, analysis: Analysis, progress: Progress) -> Verdict:
    """It took one of several challengers out; what of the others, without another look?"""
    z = _ranked(experiment, analysis)[0].z
    look = _look(experiment, analysis, progress)
    power = _predictive_power(experiment, z, look, progress)
    return _undecided(experiment, progress, {"z": z}, power=power)


def _look(experiment: Experiment, analysis: Analysis, progress: Progress) -> Look:
    return Look(
        number=len(experiment.looks) + 1,
        at=analysis.at,
        spending=EXTENSION if experiment.is_extended else min(progress.spending, 1.0),
        information=progress.information,
    )


def _ranked(experiment: Experiment, analysis: Analysis) -> list[_Ranked]:
    """Challengers by the primary metric, the best first; at least one, where nothing holds."""
    found = primaries(experiment, analysis)
    ranked = [_Ranked(one.arm, one.z) for one in found if one.z is not None]
    return sorted(ranked, key=lambda one: (-one.z, one.arm))


def _undecided(
    experiment: Experiment,
    progress: Progress,
    says: Mapping[str, object],
    *,
    power: float,
    open_ones: Sequence[str] = (),
) -> Verdict:
    """power: at the next end, of the horizon or of the extension.

    open_ones: guardrails that keep a better challenger from being promoted."""
    says = {**says, "predictive_power": power}
    if progress.spending < 1.0:
        if progress.spending >= 0.5 and power < FUTILE_BELOW:
            return _verdict(experiment, "stop", ["futile"], **says)
        return _verdict(experiment, "continue", [*open_ones] or ["not-yet"], **says)
    if _may_extend(experiment, progress) and power >= PROMISING_FROM:
        return _verdict(experiment, "extend", ["promising", *open_ones], **says)
    return _verdict(experiment, "stop", [*open_ones] or ["no-difference-shown"], **says)


def _may_extend(experiment: Experiment, progress: Progress) -> bool:
    """Once, where there is a plan to extend, and where its extension is not over as well."""
    is_allowed = experiment.definition.may_extend and not experiment.is_extended
    return is_allowed and experiment.planned_units is not None and progress.spending < EXTENSION


def _bounds(experiment: Experiment, looks: list[Look]) -> tuple[float, ...]:
    """One-sided, for the best of all challengers that the experiment began with."""
    alpha = experiment.definition.alpha / 2.0 / (len(experiment.versions) - 1)
    return group_sequential.boundary(
        [group_sequential.Look(look.spending, look.information) for look in looks],
        alpha=alpha,
        reserve=reserve_of(experiment.definition),
    )


def _predictive_power(experiment: Experiment, z: float, look: Look, progress: Progress) -> float:
    """At the horizon; once there, at the extension's end."""
    end = 1.0 if progress.spending < 1.0 else EXTENSION
    growth = max(end / progress.spending, 1.0)
    last = look.model_copy(update={"spending": end, "information": look.information * growth})
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
    relative = {one.metric for one in experiment.definition.guardrails if one.is_relative}
    return [
        f"guardrail-open:{one.metric}"
        for one in analysis.comparisons
        if one.role == "guardrail"
        and one.arm == arm
        and one.margin
        and not _is_kept(one, is_relative=one.metric in relative)
    ]


def _is_kept(one: Comparison, *, is_relative: bool) -> bool:
    """Where neither arm varies there is no interval; then zero of n seen must be enough."""
    if one.is_non_inferior is not None:
        return one.is_non_inferior
    if one.inconclusive != "no-variance" or one.mean is None or one.control_mean is None:
        return False
    worse_by = one.mean - one.control_mean
    worse_by = -worse_by if one.better == "higher" else worse_by
    width = (one.margin or 0.0) * (abs(one.control_mean) if is_relative else 1.0)
    return worse_by <= 0.0 and min(one.units, one.control_units) * width >= _RULE_OF_THREE


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
