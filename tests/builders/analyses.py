"""Running experiments and what an analysis says of them, with defaults in which nothing happens.
No number here is computed from sums; only `verdict` and `bound_at` ask the product anything."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.experiments import assignment, lifecycle
from chalicelib.experiments.analysis.report import (
    Analysis,
    ArmReport,
    Comparison,
    SampleRatio,
    Verdict,
)
from chalicelib.experiments.deciding.rule import Standing, decide
from chalicelib.experiments.model import CONTROL, Definition, Experiment, Look, State
from chalicelib.stats import group_sequential

STARTED = datetime(2026, 3, 2, tzinfo=UTC)
DAYS, UNITS = 10.0, 12_000
"""Of the horizon."""


def define(challengers: int | Sequence[float] = 1, **given: Any) -> Definition:
    """10 days or 12,000 units, five looks, one guardrail without a margin.

    challengers: how many, or their shares.
    """
    shares = [None] * challengers if isinstance(challengers, int) else challengers
    names = ["treatment", "second", "third"]
    default: dict[str, Any] = {
        "name": "exp_1",
        "model": "eta",
        "challengers": [
            {"name": name, "version": f"1.{number}.0", "share": share}
            for number, (name, share) in enumerate(zip(names, shares, strict=False), 1)
        ],
        "primary": "score",
        "guardrails": [{"metric": "error_rate"}],
        "duration_days": DAYS,
        "planned_units": UNITS,
    }
    return Definition.model_validate({**default, **given})


def draft(challengers: int | Sequence[float] = 1, **given: Any) -> Experiment:
    definition = define(challengers, **given)
    return lifecycle.draft(definition, experiment="exp_1", control="1.0.0", now=STARTED)


def running(
    challengers: int | Sequence[float] = 1,
    *,
    taken: Sequence[float] = (),
    is_extended: bool = False,
    state: State = State.RUNNING,
    **given: Any,
) -> Experiment:
    """taken: spending of the looks taken, which is their information too."""
    made = draft(challengers, **given)
    metrics = lifecycle.metrics_of(made.definition, [])
    started = lifecycle.start(
        made, metrics=metrics, namespace_range=assignment.WHOLE, planned_units=None, now=STARTED
    )
    looks = [
        Look(number=number, at=STARTED, spending=at, information=at)
        for number, at in enumerate(taken, 1)
    ]
    changed = started.model_copy(update={"looks": looks, "state": state})
    return lifecycle.extend(changed, now=STARTED) if is_extended else changed


def comparison(
    arm: str = "treatment", metric: str = "score", *, role: str = "primary", **given: Any
) -> Comparison:
    default: dict[str, Any] = {
        "better": "higher" if role == "primary" else "lower",
        "control_units": 0,
        "units": 0,
        "z": 0.0,
        "harm_evidence": -2.0,
        "margin": 0.0 if role == "guardrail" else None,
    }
    return Comparison.model_validate(
        {"arm": arm, "metric": metric, "role": role, **default, **given}
    )


def analysis(
    experiment: Experiment,
    *,
    share: float = 0.0,
    day: float = 0.0,
    z: Mapping[str, float | None] | float | None = 0.0,
    primary: Mapping[str, Any] | None = None,
    others: Sequence[Comparison] = (),
    **given: Any,
) -> Analysis:
    """share: of the planned units, that have a value by now. day: since the start.

    z: by the primary metric, of each challenger or of all. primary: what else is said of all.
    """
    counts = {
        arm: round(share * UNITS * part) for arm, part in experiment.definition.shares().items()
    }
    z_by_arm = z if isinstance(z, Mapping) else dict.fromkeys(counts, z)
    told = [
        comparison(
            arm,
            **{
                "control_units": counts[CONTROL],
                "units": units,
                "z": z_by_arm.get(arm),
                **(primary or {}),
            },
        )
        for arm, units in counts.items()
        if arm != CONTROL
    ]
    default: dict[str, Any] = {
        "experiment": experiment.id,
        "state": experiment.state,
        "at": STARTED + timedelta(days=day),
        "units": sum(counts.values()),
        "planned_units": experiment.planned_units,
        "arms": [arm_report(experiment, arm, units=units) for arm, units in counts.items()],
        "comparisons": [*told, *others],
        "sample_ratio": SampleRatio(evidence=0.0, alarms=False, p_value=0.5),
    }
    return Analysis.model_validate({**default, **given})


def arm_report(experiment: Experiment, arm: str, **given: Any) -> ArmReport:
    default: dict[str, Any] = {
        "name": arm,
        "version": experiment.versions[arm],
        "share": experiment.definition.shares()[arm],
        "units": 1_000,
        "crossed": 0,
        "outcome_share": 1.0,
        "matured_share": 1.0,
    }
    return ArmReport.model_validate({**default, **given})


def with_arm(found: Analysis, arm: str, **given: Any) -> Analysis:
    """The same, but for what is said of an arm."""
    arms = [one.model_copy(update=given) if one.name == arm else one for one in found.arms]
    return found.model_copy(update={"arms": arms})


def standing(experiment: Experiment, **given: Any) -> Standing:
    """All arms live, and the control champion."""
    default: dict[str, Any] = {"live_arms": list(experiment.versions)}
    return Standing.model_validate({**default, **given})


def days(number: float) -> timedelta:
    return timedelta(days=number)


def verdict(experiment: Experiment, **seen: Any) -> Verdict:
    return decide(experiment, analysis(experiment, **seen), standing(experiment))


def said(found: Verdict) -> tuple[str, list[str]]:
    return found.action, found.reasons


def bound_at(share: float, *, taken: tuple[float, ...] = (), alpha: float = 0.025) -> float:
    """Of the designs here, by the statistics' own function."""
    looks = [group_sequential.Look(at, at) for at in (*taken, share)]
    return group_sequential.boundary(looks, alpha=alpha, reserve=0.2)[-1]


def after(experiment: Experiment, found: Verdict) -> Experiment:
    """As the service keeps it."""
    assert found.look is not None
    return lifecycle.take_look(experiment, found.look, now=found.look.at)


def guardrail(arm: str = "treatment", **given: Any) -> Comparison:
    return comparison(arm, "error_rate", role="guardrail", **given)
