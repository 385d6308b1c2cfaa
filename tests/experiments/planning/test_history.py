"""What the past says of a metric, from sums that the real fold made of real events."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from chalicelib.experiments.counting import fold
from chalicelib.experiments.events import SCALE, Event
from chalicelib.experiments.model import Challenger, Definition, Experiment, State
from chalicelib.experiments.planning import history
from chalicelib.experiments.planning.history import Past
from chalicelib.registry.metrics import BUILT_IN, Metric
from tests.builders.outcomes import METRICS, event, exposure, outcome

NOW = datetime(2026, 2, 7, tzinfo=UTC)
SCORE = METRICS[0]
ERROR_RATE = BUILT_IN["error_rate"]
SCORES = [1.0, 2.5, 4.0, 4.5, 3.0]


def make_experiment(
    name: str = "exp_1", *, age_days: float | None = 1.0, mode: str = "split"
) -> Experiment:
    """age_days: None for one that never began."""
    definition = {"name": name, "model": "eta", "challengers": [Challenger(version="1.1.0")]}
    return Experiment(
        id=name,
        definition=Definition.model_validate({**definition, "mode": mode}),
        state=State.RUNNING,
        metrics=list(METRICS),
        versions={"control": "1.0.0", "treatment": "1.1.0"},
        created_at=NOW,
        updated_at=NOW,
        started_at=None if age_days is None else NOW - timedelta(days=age_days),
    )


def past_of(events: list[Event], metric: Metric) -> Past:
    experiment = make_experiment()
    sums = fold.fold(events, fold.make_counting(experiment.metrics))
    return history.past_of_experiment(experiment, sums, metric)


def scored(**given: Any) -> list[Event]:
    """Five units with a score, whom five others join that have none."""
    units = [f"u{number}" for number in range(10)]
    return [
        *(exposure(unit, **given) for unit in units),
        *(
            outcome(unit, values={"score": score}, **given)
            for unit, score in zip(units, SCORES, strict=False)
        ),
    ]


def test_an_experiment_tells_the_spread_of_its_control():
    others = [outcome(f"v{n}", arm="treatment", values={"score": 99.0}) for n in range(5)]

    found = past_of([*scored(), *others], SCORE).spread

    assert found is not None
    assert (found.units, found.mean) == (5, 3.0)
    assert found.variance == pytest.approx(np.var(SCORES, ddof=1), rel=1e-15)


def test_an_experiment_tells_who_brings_outcomes():
    assert past_of(scored(), SCORE).outcome_share == 0.5


def test_phases_are_taken_together():
    later = [one.model_copy(update={"unit": f"{one.unit}b", "phase": 1}) for one in scored()]
    renamed = [one.model_copy(update={"id": f"{one.id}b"}) for one in later]

    found = past_of([*scored(), *renamed], SCORE).spread

    assert found is not None
    assert found.units == 10


def test_an_experiment_tells_how_often_units_come_again():
    again = [exposure("u0", number) for number in range(1, 6)]

    assert past_of([*scored(), *again], SCORE).requests_per_unit == 1.5


def test_an_experiment_tells_that_even_of_a_metric_that_it_does_not_have():
    found = past_of(scored(), Metric(name="other"))

    assert found == Past("experiment exp_1", None, requests_per_unit=1.0)


def test_a_covariate_explains_the_squared_correlation():
    dice = random.Random(1)
    x = [dice.gauss(0, 1) for _ in range(50)]
    y = [0.7 * value + dice.gauss(0, 1) for value in x]
    units = [(f"u{number}", *values) for number, values in enumerate(zip(x, y, strict=True))]
    events = [exposure(unit, covariate=round(value * SCALE)) for unit, value, _ in units]
    events += [outcome(unit, values={"score": value}) for unit, _, value in units]

    found = past_of(events, SCORE).spread

    assert found is not None
    assert found.covariate_r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, rel=1e-6)


def test_without_a_covariate_nothing_is_said_of_one():
    found = past_of(scored(), SCORE).spread

    assert found is not None
    assert found.covariate_r2 is None


def test_a_ratio_varies_as_its_residuals_do():
    requests, errors = np.array([1, 2, 3, 6, 3]), np.array([0, 1, 0, 3, 1])
    events = [
        exposure(f"u{unit}", number)
        for unit, count in enumerate(requests)
        for number in range(count)
    ]
    events += [
        event("measurement", f"u{unit}", number, values={"errors": 1.0})
        for unit, count in enumerate(errors)
        for number in range(count)
    ]

    found = past_of(events, ERROR_RATE).spread

    rate = errors.sum() / requests.sum()
    residuals = (errors - rate * requests) / requests.mean()
    assert found is not None
    assert found.mean == pytest.approx(rate, rel=1e-15)
    assert found.variance == pytest.approx(residuals.var(ddof=1), rel=1e-12)


def test_units_that_bought_nothing_count_in_a_sum_per_unit():
    events = [*scored(), outcome("u1", values={"clicks": 4.0})]

    found = past_of(events, METRICS[2])

    assert found.spread is not None
    assert (found.spread.units, found.spread.mean, found.outcome_share) == (10, 0.4, 1.0)


def test_a_metric_of_the_name_with_another_rule_is_another_metric():
    assert past_of(scored(), SCORE.model_copy(update={"absent": "zero"})).spread is None


def test_other_ranges_do_not_make_another_metric():
    assert past_of(scored(), SCORE.model_copy(update={"maximum": 9.0, "lag_h": 2.0})).spread


@pytest.mark.parametrize("units", [0, 1])
def test_sums_of_too_few_say_nothing(units: int):
    events = [outcome(f"u{number}", values={"score": 1.0}) for number in range(units)]

    assert past_of(events, SCORE).spread is None


# ---- predictions outside of experiments ------------------------------------------------------


def past_of_predictions(events: list[Event], metric: Metric) -> Past:
    return history.past_of_version("1.0.0", fold.fold(events, fold.Counting()), metric)


def test_predictions_tell_the_spread_of_a_mean():
    found = past_of_predictions(scored(arm="1.0.0"), SCORE)

    assert found.spread is not None
    assert (found.spread.units, found.spread.mean) == (5, 3.0)


def test_predictions_tell_a_metric_by_the_outcome_that_it_sums():
    metric = Metric(name="happiness", numerator="score")

    assert past_of_predictions(scored(arm="1.0.0"), metric).spread is not None


def test_predictions_do_not_tell_who_brings_no_outcome():
    assert past_of_predictions(scored(arm="1.0.0"), SCORE).outcome_share is None


@pytest.mark.parametrize(
    "metric",
    [
        Metric(name="score", kind="count"),
        Metric(name="score", absent="zero"),
        Metric(name="score", kind="ratio", denominator="requests"),
    ],
    ids=["count", "absent", "ratio"],
)
def test_predictions_tell_nothing_of_what_needs_every_unit(metric: Metric):
    assert past_of_predictions(scored(arm="1.0.0"), metric).spread is None


# ---- which experiments -----------------------------------------------------------------------


def test_the_five_newest_experiments_are_asked_newest_first():
    begun = [make_experiment(f"e{age}", age_days=age) for age in (3, 1, 6, 2, 5, 4)]

    assert [one.id for one in history.newest_of(begun)] == ["e1", "e2", "e3", "e4", "e5"]


def test_drafts_and_experiments_that_do_not_count_all_units_are_not_asked():
    others = [make_experiment(age_days=None), make_experiment(mode="disagreement")]

    assert history.newest_of(others) == []
