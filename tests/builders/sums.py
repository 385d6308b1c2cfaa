"""Experiments and their sums with defaults, for what is made of sums: reports and decisions.
How units come to be summed is not known here."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from chalicelib.experiments import lifecycle
from chalicelib.experiments.counting.sums import Cell, Six
from chalicelib.experiments.events import SCALE
from chalicelib.experiments.model import Definition, Experiment
from chalicelib.registry.metrics import Metric

STARTED = datetime(2026, 1, 1, tzinfo=UTC)
METRICS = [
    Metric(name="score"),
    Metric(name="bought", kind="binary"),
    Metric(name="cost", better="lower"),
    Metric(name="failures", kind="ratio", better="lower", denominator="tries"),
]


def make_experiment(**given: Any) -> Experiment:
    """Running, control 1.0.0 against treatment 1.1.0, by `score` and no guardrail."""
    challengers = [{"name": "treatment", "version": "1.1.0"}]
    default = {"name": "x", "model": "m", "challengers": challengers, "primary": "score"}
    fields = {**default, "guardrails": [], "metrics": METRICS, **given}
    definition = Definition.model_validate(fields)
    drafted = lifecycle.draft(definition, experiment="exp_1", control="1.0.0", now=STARTED)
    return lifecycle.start(
        drafted,
        metrics=lifecycle.metrics_of(definition, []),
        namespace_range=(0.0, 1.0),
        planned_units=10_000,
        now=STARTED,
    )


def reshared(experiment: Experiment, *shares: float) -> Experiment:
    """With a phase more for each share of the treatment."""
    for day, share in enumerate(shares, start=1):
        experiment = lifecycle.reshare(
            experiment,
            {"control": 1 - share, "treatment": share},
            now=STARTED + timedelta(days=day),
        )
    return experiment


def six_of(y: Any, x: Any = None) -> Six:
    """Exact sums of raw values, in whole ticks."""
    ys = [round(Fraction(float(value)) * SCALE) for value in y]
    xs = [round(Fraction(float(value)) * SCALE) for value in x] if x is not None else [0] * len(ys)
    return [
        len(ys),
        sum(ys),
        sum(value * value for value in ys),
        sum(xs),
        sum(value * value for value in xs),
        sum(a * b for a, b in zip(ys, xs, strict=True)),
    ]


def ones(n: int, successes: int) -> Six:
    """n units, so many of them 1 and the others 0."""
    return [n, successes * SCALE, successes * SCALE * SCALE, 0, 0, 0]


def cell_of(units: int | None = None, **metrics: Six) -> Cell:
    """Of as many units as the first metric has values, if nothing else is said."""
    return Cell(units=next(iter(metrics.values()))[0] if units is None else units, metrics=metrics)
