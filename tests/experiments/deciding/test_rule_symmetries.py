"""What must not change a verdict: the metric's unit, its sign with its direction, names, order."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.experiments import lifecycle
from chalicelib.experiments.analysis.analysis import analyse
from chalicelib.experiments.analysis.report import Verdict
from chalicelib.experiments.assignment import WHOLE
from chalicelib.experiments.counting.sums import Cell, Six, Sums
from chalicelib.experiments.deciding.rule import decide
from chalicelib.experiments.model import Experiment
from chalicelib.registry.metrics import Metric
from tests.builders.analyses import STARTED, draft, standing
from tests.builders.sums import six_of

ARMS = ("control", "treatment", "second", "third")
UNITS = 300
KINDS = {
    "adjusted": {"kind": "mean"},
    "mean": {"kind": "mean"},
    "ratio": {"kind": "ratio", "denominator": "requests"},
}
_EFFECTS = st.tuples(*[st.floats(-1.5, 1.5) for _ in ARMS[1:]])
few = settings(max_examples=15)
each_kind = pytest.mark.parametrize("kind", sorted(KINDS))


def experiment_with(kind: str, *, better: str = "higher", planned: int = 2_000) -> Experiment:
    """Of three challengers, which must also keep a relative margin of the same values."""
    metrics = [{"name": name, "better": better, **KINDS[kind]} for name in ("score", "guarded")]
    made = draft(
        3,
        metrics=metrics,
        guardrails=[{"metric": "guarded", "margin": 0.3, "is_relative": True}],
        covariate=kind == "adjusted",
        planned_units=planned,
    )
    return lifecycle.start(
        made,
        metrics=[Metric.model_validate(one) for one in metrics],
        namespace_range=WHOLE,
        planned_units=None,
        now=STARTED,
    )


def sums_with(effects: tuple[float, ...]) -> dict[str, Six]:
    """Of one metric, by arm; the same but for the effects."""
    rng = np.random.default_rng(17)
    found: dict[str, Six] = {}
    for arm, effect in zip(ARMS, (0.0, *effects), strict=True):
        x = rng.uniform(1.0, 3.0, UNITS)
        found[arm] = six_of(np.round(5.0 + effect + x + rng.normal(0, 4, UNITS), 3), np.round(x, 3))
    return found


def verdict(experiment: Experiment, by_arm: dict[str, Six]) -> Verdict:
    sums: Sums = {
        (arm, 1): Cell(units=six[0], metrics={"score": six, "guarded": six})
        for arm, six in by_arm.items()
    }
    seen = analyse(experiment, sums, now=STARTED)
    return decide(experiment, seen, standing(experiment))


def times(six: Six, factor: int, *, x: int = 1) -> Six:
    n, sy, syy, sx, sxx, sxy = six
    return [n, factor * sy, factor**2 * syy, x * sx, x**2 * sxx, factor * x * sxy]


def plain(found: Verdict) -> dict[str, Any]:
    return {name: value for name, value in found.model_dump().items() if value is not None}


def said(found: Verdict) -> dict[str, Any]:
    """Numbers may differ by the rounding of a mean."""
    return {
        name: pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
        for name, value in plain(found).items()
    }


@each_kind
@few
@given(_EFFECTS, st.sampled_from([2, 8, 1024]))
def test_the_unit_of_the_metric_decides_nothing(kind: str, effects: tuple[float, ...], factor: int):
    experiment, by_arm = experiment_with(kind), sums_with(effects)

    found = verdict(experiment, {arm: times(six, factor) for arm, six in by_arm.items()})

    assert plain(found) == said(verdict(experiment, by_arm))


@each_kind
@few
@given(_EFFECTS, st.sampled_from([2, 16]))
def test_the_unit_of_the_covariate_or_denominator_decides_nothing(
    kind: str, effects: tuple[float, ...], factor: int
):
    experiment, by_arm = experiment_with(kind), sums_with(effects)

    found = verdict(experiment, {arm: times(six, 1, x=factor) for arm, six in by_arm.items()})

    assert plain(found) == said(verdict(experiment, by_arm))


@each_kind
@few
@given(_EFFECTS)
def test_less_of_the_opposite_is_as_good_as_more(kind: str, effects: tuple[float, ...]):
    by_arm = sums_with(effects)

    found = verdict(
        experiment_with(kind, better="lower"), {arm: times(six, -1) for arm, six in by_arm.items()}
    )

    assert plain(found) == said(verdict(experiment_with(kind), by_arm))


@each_kind
@few
@given(_EFFECTS, st.permutations(ARMS[1:]))
def test_what_a_challenger_is_called_decides_nothing(
    kind: str, effects: tuple[float, ...], names: list[str]
):
    experiment, by_arm = experiment_with(kind), sums_with(effects)
    renamed = {"control": "control", **dict(zip(ARMS[1:], names, strict=True))}

    found = verdict(experiment, by_arm)
    again = verdict(experiment, {renamed[arm]: six for arm, six in by_arm.items()})

    assert plain(again.model_copy(update={"arm": found.arm})) == said(found)
    assert again.arm == (renamed[found.arm] if found.arm else None)


@few
@given(_EFFECTS, st.permutations(ARMS))
def test_the_order_of_sums_decides_nothing(effects: tuple[float, ...], order: list[str]):
    experiment, by_arm = experiment_with("mean"), sums_with(effects)

    assert verdict(experiment, {arm: by_arm[arm] for arm in order}) == verdict(experiment, by_arm)


def test_these_experiments_end_in_each_way():
    # Else the symmetries would be those of nothing happening.
    ends = {
        verdict(experiment_with("mean", planned=planned), sums_with(effects)).action
        for planned, effects in [
            (2_000, (1.5, 0.0, 0.0)),
            (2_000, (-1.5, 0.0, 0.0)),
            (2_000, (0.0, 0.0, 0.0)),
            (1_000, (0.0, 0.0, 0.0)),
        ]
    }

    assert ends == {"promote", "roll_back", "continue", "stop"}
