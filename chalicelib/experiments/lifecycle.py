"""The rules by which an experiment moves from state to state, its shares, and its ramp.
Nothing here reads a clock, a table or the numbers that were counted."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from chalicelib.experiments import assignment
from chalicelib.experiments.assignment import Segment
from chalicelib.experiments.model import (
    CONCLUDED,
    CONTROL,
    ArmRange,
    Definition,
    Experiment,
    ExperimentNotRunning,
    Look,
    Phase,
    State,
)
from chalicelib.experiments.traffic import Route
from chalicelib.registry.metrics import PAIRED, Metric, metrics_by_name

_MEASURED = ("error_rate", "latency_ms")
EXTENSION = 1.5
"""Length of an extended experiment, in units of its planned one."""
RESERVE = 0.2
"""Share of alpha that is kept for the extension, where one is allowed."""


def planned_looks(definition: Definition) -> int:
    """A bandit's shares follow the data: it is looked at once, at the end."""
    return 1 if definition.allocation == "bandit" else definition.looks


def reserve_of(definition: Definition) -> float:
    return RESERVE if definition.may_extend else 0.0


def metric_of(experiment: Experiment, name: str) -> Metric:
    """As it was frozen at the start; before that, as it is where nobody declares it."""
    return metrics_by_name(experiment.metrics).get(name) or Metric(name=name)


def draft(definition: Definition, *, experiment: str, control: str, now: datetime) -> Experiment:
    """control: the version that the challengers are compared with."""
    challengers = {one.name: one.version for one in definition.challengers}
    return Experiment(
        id=experiment,
        definition=definition,
        state=State.DRAFT,
        versions={CONTROL: control, **challengers},
        created_at=now,
        updated_at=now,
    )


def metrics_of(definition: Definition, declared: Sequence[Metric]) -> list[Metric]:
    """All that the experiment counts: what it names, what serving measures, and pairs.

    declared: by the model's settings; a name that nobody declared is a mean, the higher the better.
    """
    known = metrics_by_name([*declared, *definition.metrics])
    guarded = [guardrail.metric for guardrail in definition.guardrails]
    named = [definition.primary, *guarded, *definition.secondary, *_MEASURED]
    found = [known.get(name) or Metric(name=name) for name in dict.fromkeys(named)]
    return found if definition.mode == "split" else [*found, *PAIRED]


def start(
    experiment: Experiment,
    *,
    metrics: list[Metric],
    namespace_range: assignment.Range,
    planned_units: int | None,
    now: datetime,
) -> Experiment:
    """planned_units: None when nothing is known yet of the primary metric's spread."""
    _require(experiment, State.DRAFT)
    definition = experiment.definition
    first = _phase(1, assignment.apportion(definition.shares()), now)
    known = definition.planned_units or planned_units
    update: dict[str, object] = {
        "state": State.RUNNING,
        "metrics": metrics,
        "phases": [first],
        "namespace_range": namespace_range,
        "planned_units": known,
        "started_at": now,
        "ramped_at": now,
        "ends_at": now + timedelta(days=definition.duration_days),
        "updated_at": now,
    }
    if known is not None:
        update["tuned_for_units"] = effective_units(definition, known)
    return experiment.model_copy(update=update)


def pause(experiment: Experiment, *, now: datetime) -> Experiment:
    """The champion answers everybody; outcomes of what was answered are counted all the same."""
    _require(experiment, State.RUNNING)
    return experiment.model_copy(update={"state": State.PAUSED, "updated_at": now})


def resume(experiment: Experiment, *, now: datetime) -> Experiment:
    """Time that was paused is no time of the experiment's, nor of its ramp's step."""
    _require(experiment, State.PAUSED)
    update = {"state": State.RUNNING, "updated_at": now, **_delayed(experiment, now)}
    return experiment.model_copy(update=update)


def elapsed(experiment: Experiment, *, at: datetime) -> timedelta | None:
    """Since the start, less all pauses; None before the start."""
    if experiment.ends_at is None:
        return None
    reached = min(at, experiment.updated_at) if experiment.state is State.PAUSED else at
    return reached - (experiment.ends_at - _length(experiment, is_extended=experiment.is_extended))


def conclude(
    experiment: Experiment, state: State, *, why: str, winner: str | None = None, now: datetime
) -> Experiment:
    """Over for good: a concluded experiment takes no units and moves no more."""
    if experiment.state in CONCLUDED:
        raise ExperimentNotRunning(f"experiment {experiment.id!r} is {experiment.state.value!r}")
    return experiment.model_copy(
        update={
            "state": state,
            "conclusion": why[:500],
            "winner": winner,
            "concluded_at": now,
            "updated_at": now,
        }
    )


def reshare(experiment: Experiment, shares: Mapping[str, float], *, now: datetime) -> Experiment:
    """Other shares from now on; only units of the boundary move. A dropped arm has share 0.

    Raises SharesRefused where nothing is left to compare, or for an arm of no version.
    """
    _require(experiment, State.RUNNING, State.PAUSED)
    _check_arms(experiment, shares)
    last = experiment.phases[-1]
    present = [Segment(one.start, one.end, one.arm) for one in last.ranges]
    moved = assignment.reapportion(present, shares)
    phases = [*experiment.phases, _phase(last.number + 1, moved, now)]
    update = {"phases": phases, "updated_at": now, **_delayed(experiment, now)}
    return experiment.model_copy(update=update)


def without(experiment: Experiment, arm: str) -> dict[str, float]:
    """The shares when an arm's units are given to the others, in proportion."""
    shares = experiment.phases[-1].shares()
    left = {name: share for name, share in shares.items() if name != arm}
    total = sum(left.values())
    return {name: share / total for name, share in left.items()}


def challengers_left(experiment: Experiment) -> list[str]:
    """Those that still get units."""
    shares = experiment.phases[-1].shares()
    return [name for name in experiment.versions if name != CONTROL and shares.get(name, 0) > 0]


def next_ramp_step(experiment: Experiment, *, now: datetime) -> Experiment | None:
    """The experiment one step further, when the step has lasted long enough; None otherwise."""
    last = len(experiment.definition.ramp) - 1
    if experiment.ramp_step >= last or experiment.ramped_at is None:
        return None
    if now - experiment.ramped_at < timedelta(hours=experiment.definition.ramp_step_h):
        return None
    update = {"ramp_step": experiment.ramp_step + 1, "ramped_at": now, "updated_at": now}
    return experiment.model_copy(update=update)


def is_ramping(experiment: Experiment) -> bool:
    return experiment.ramp_step < len(experiment.definition.ramp) - 1


def take_look(experiment: Experiment, look: Look, *, now: datetime) -> Experiment:
    return experiment.model_copy(update={"looks": [*experiment.looks, look], "updated_at": now})


def extend(experiment: Experiment, *, now: datetime) -> Experiment:
    assert experiment.ends_at is not None, "only what runs is extended"
    began = experiment.ends_at - _length(experiment, is_extended=experiment.is_extended)
    ends_at = began + _length(experiment, is_extended=True)
    return experiment.model_copy(
        update={"is_extended": True, "ends_at": ends_at, "updated_at": now}
    )


def effective_units(definition: Definition, planned_units: int) -> float:
    """Of the control and one challenger at the horizon, the one with the largest share.

    As in `sequences.effective_units`, but of units not rounded: a tiny share is not nobody.
    """
    shares = definition.shares()
    control = shares[CONTROL]
    challenger = max(share for arm, share in shares.items() if arm != CONTROL)
    return planned_units * control * challenger / (control + challenger)


def route_of(experiment: Experiment, *, holdout: float) -> Route:
    """What serving must know while the experiment runs."""
    assert experiment.namespace_range is not None, "only what runs has a route"
    phase = experiment.phases[-1]
    return Route(
        experiment=experiment.id,
        mode=experiment.definition.mode,
        namespace=experiment.namespace,
        namespace_range=experiment.namespace_range,
        holdout=holdout,
        salt=experiment.salt,
        phase=phase.number,
        ranges=phase.ranges,
        exposed=experiment.exposed,
        versions=experiment.versions,
        shadow_share=experiment.definition.shadow_share,
        comparing=experiment.definition.comparing,
    )


def _phase(number: int, segments: Sequence[Segment], now: datetime) -> Phase:
    ranges = [ArmRange(start=one.start, end=one.end, arm=one.arm) for one in segments]
    return Phase(number=number, ranges=ranges, since=now)


def _length(experiment: Experiment, *, is_extended: bool) -> timedelta:
    return timedelta(days=experiment.definition.duration_days * (EXTENSION if is_extended else 1.0))


def _delayed(experiment: Experiment, now: datetime) -> dict[str, object]:
    """The times that wait while an experiment is paused, later by the pause up to now.

    Whatever changes a paused experiment must do so, and set `updated_at`, which a pause is from."""
    if experiment.state is not State.PAUSED:
        return {}
    pause = max(now - experiment.updated_at, timedelta())
    times = {"ends_at": experiment.ends_at, "ramped_at": experiment.ramped_at}
    return {name: time + pause for name, time in times.items() if time is not None}


def _check_arms(experiment: Experiment, shares: Mapping[str, float]) -> None:
    strange = sorted(set(shares) - set(experiment.versions))
    if strange:
        raise assignment.SharesRefused(f"the experiment has no arm {strange[0]!r}")
    taking = {arm for arm, share in shares.items() if share > 0.0}
    if CONTROL not in taking or len(taking) < 2:
        raise assignment.SharesRefused("the control and a challenger keep a share")


def _require(experiment: Experiment, *states: State) -> None:
    if experiment.state not in states:
        raise ExperimentNotRunning(f"experiment {experiment.id!r} is {experiment.state.value!r}")
