"""Whole experiments from the first unit to the rule's last word, on exact sums of random units.
Tests nothing; how a verdict is carried out is told again here, without tables."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from chalicelib.experiments import assignment, lifecycle
from chalicelib.experiments.analysis.analysis import analyse
from chalicelib.experiments.analysis.report import Verdict
from chalicelib.experiments.counting.sums import Cell, Six, Sums
from chalicelib.experiments.deciding.rule import Standing, decide
from chalicelib.experiments.events import SCALE
from chalicelib.experiments.model import CONTROL, Definition, Experiment, State
from chalicelib.registry.metrics import Metric

MILLI = SCALE // 1000
"""Values are whole thousandths."""
STARTED = datetime(2026, 3, 2, tzinfo=UTC)
_SLOWER = 0.9
"""Of the planned duration, when all planned units have come."""
_STEPS_BEYOND = 1.6
"""Of the horizon: the units that are made, so that an extension has enough."""
Whole = npt.NDArray[np.int64]


class Metrics(NamedTuple):
    """What is measured, with its mean and variance of one unit (less what x explains)."""

    metric: Metric
    mean: float
    variance: float
    covariate: bool = False


METRICS = {
    "mean": Metrics(Metric(name="score"), 5.0, 4.0),
    "skewed": Metrics(Metric(name="score"), 5.0, 25.0),
    "binary": Metrics(Metric(name="score", kind="binary"), 0.2, 0.16),
    "adjusted": Metrics(Metric(name="score"), 5.0, 1.44, covariate=True),
    "ratio": Metrics(Metric(name="score", kind="ratio", denominator="requests"), 0.1, 0.0333),
}


class Design(NamedTuple):
    """effects: of each challenger, as shares of the control's mean. looks: evaluations by look."""

    kind: Literal["mean", "skewed", "binary", "adjusted", "ratio"]
    effects: tuple[float, ...] = (0.0,)
    minimal_effect: float = 0.1
    definition: dict[str, Any] = {}  # noqa: RUF012
    per_look: int = 4
    reshared: tuple[float, float] | None = None
    """By hand: at which share of the horizon, to which share of the challenger."""


class Ending(NamedTuple):
    """share: of the planned units, that had come. rolled_back: arms. told: all reasons."""

    action: str
    arm: str | None
    reasons: list[str]
    share: float
    rolled_back: list[str]
    is_extended: bool
    told: set[str]


def define(design: Design) -> Definition:
    measured = METRICS[design.kind]
    names = ["treatment", "second", "third"][: len(design.effects)]
    default: dict[str, Any] = {
        "name": "x",
        "model": "eta",
        "challengers": [{"name": name, "version": "1.1.0"} for name in names],
        "primary": "score",
        "metrics": [measured.metric],
        "guardrails": [],
        "minimal_effect": design.minimal_effect,
        "covariate": measured.covariate,
    }
    return Definition.model_validate({**default, **design.definition})


def endings(design: Design, *, planned_units: int, times: int, seed: int) -> list[Ending]:
    """Of so many experiments; planned_units: of all arms, at the horizon."""
    rng = np.random.default_rng(seed)
    definition = define(design)
    drafted = lifecycle.draft(definition, experiment="exp_1", control="1.0.0", now=STARTED)
    experiment = lifecycle.start(
        drafted,
        metrics=lifecycle.metrics_of(definition, []),
        namespace_range=assignment.WHOLE,
        planned_units=planned_units,
        now=STARTED,
    )
    steps = design.per_look * definition.looks
    return [_ending(rng, design, experiment, steps=steps) for _ in range(times)]


def error_of(rate: float, times: int) -> float:
    """Three standard errors of the simulation."""
    return 3.0 * math.sqrt(rate * (1.0 - rate) / times)


def _ending(
    rng: np.random.Generator, design: Design, experiment: Experiment, *, steps: int
) -> Ending:
    planned = experiment.planned_units or 0
    size = math.ceil(planned / steps)
    standing = Standing(live_arms=list(experiment.versions))
    sums: Sums = {}
    rolled_back: list[str] = []
    told: set[str] = set()
    for step, new in enumerate(_steps(rng, design, size, math.ceil(steps * _STEPS_BEYOND)), 1):
        _add(sums, experiment, new)
        days = experiment.definition.duration_days * _SLOWER * step / steps
        now = STARTED + timedelta(days=days)
        verdict = decide(experiment, analyse(experiment, sums, now=now), standing)
        told |= set(verdict.reasons)
        if verdict.action == "roll_back":
            rolled_back.append(verdict.arm or "")
        experiment, is_over = _carried_out(experiment, verdict, now)
        if is_over:
            share = step * size / planned
            action = verdict.action
            found = Ending(action, verdict.arm, verdict.reasons, share, rolled_back, False, told)
            return found._replace(is_extended=experiment.is_extended)
        if design.reshared is not None and step == round(design.reshared[0] * steps):
            other = design.reshared[1]
            shares = {CONTROL: 1.0 - other, "treatment": other}
            experiment = lifecycle.reshare(experiment, shares, now=now)
    raise AssertionError("an experiment did not end")


def _carried_out(found: Experiment, verdict: Verdict, now: datetime) -> tuple[Experiment, bool]:
    if verdict.look is not None:
        found = lifecycle.take_look(found, verdict.look, now=now)
    left = lifecycle.challengers_left(found)
    if verdict.action == "roll_back" and len(left) > 1:
        assert verdict.arm is not None
        return lifecycle.reshare(found, lifecycle.without(found, verdict.arm), now=now), False
    if verdict.action == "extend":
        return lifecycle.extend(found, now=now), False
    return found, verdict.action != "continue" or found.state is not State.RUNNING


class _Units(NamedTuple):
    """chance: uniform, deals the unit to an arm. y: in thousandths, by arm. x: one for all arms.

    guarded: a mean with no difference between arms, independent of the rest.
    """

    chance: npt.NDArray[np.float64]
    y: Whole
    x: Whole
    guarded: Whole


def _steps(rng: np.random.Generator, design: Design, size: int, steps: int) -> Iterator[_Units]:
    all_units = _units(rng, design, size * steps)
    for first in range(0, size * steps, size):
        part = slice(first, first + size)
        chance, y, x, guarded = all_units
        yield _Units(chance[part], y[:, part], x[part], guarded[part])


def _units(rng: np.random.Generator, design: Design, n: int) -> _Units:
    """What each unit would bring in each arm."""
    mean = METRICS[design.kind].mean
    lifts = np.asarray([0.0, *design.effects])[:, np.newaxis]
    x = np.zeros(n)
    if design.kind == "binary":
        y = rng.random(n) < mean * (1.0 + lifts)
    elif design.kind == "ratio":
        x = 1.0 + rng.poisson(2.0, n)
        own = rng.beta(2.0, 18.0, n) * (1.0 + lifts)
        y = rng.binomial(x.astype(int), own)
    elif design.kind == "skewed":
        y = rng.exponential(mean, n) + mean * lifts
    else:
        x = rng.normal(0.0, 1.0, n) if design.kind == "adjusted" else x
        spread = 1.2 if design.kind == "adjusted" else 2.0
        y = mean * (1.0 + lifts) + rng.normal(0.0, spread, n) + 1.6 * x
    return _Units(rng.random(n), _milli(y), _milli(x), _milli(rng.normal(5.0, 2.0, n)))


def _milli(values: Any) -> Whole:
    return np.rint(np.asarray(values, dtype=float) * 1000).astype(np.int64)


def _add(sums: Sums, experiment: Experiment, new: _Units) -> None:
    phase = experiment.phases[-1]
    shares = phase.shares()
    edges = np.cumsum([shares.get(arm, 0.0) for arm in experiment.versions])
    dealt = np.searchsorted(edges[:-1], new.chance, side="right")
    for number, arm in enumerate(experiment.versions):
        mine = dealt == number
        if not mine.any():
            continue
        cell = sums.setdefault((arm, phase.number), Cell())
        x = new.x[mine]
        brought = {"score": _six(new.y[number][mine], x)}
        if experiment.definition.guardrails:
            brought["guarded"] = _six(new.guarded[mine], np.zeros_like(x))
        for name, six in brought.items():
            old = cell.metrics.get(name, [0] * 6)
            cell.metrics[name] = [a + b for a, b in zip(old, six, strict=True)]
        cell.units += int(mine.sum())


def _six(y: Whole, x: Whole) -> Six:
    one, two = MILLI, MILLI * MILLI
    sums = [len(y), y.sum(), y @ y, x.sum(), x @ x, x @ y]
    return [
        int(value) * scale for value, scale in zip(sums, [1, one, two, one, two, two], strict=True)
    ]
