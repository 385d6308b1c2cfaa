"""Plans from what was counted, and from what CloudWatch was told, in the offline cloud."""

import pytest

from chalicelib.experiments import store
from chalicelib.experiments.events import SCALE
from chalicelib.experiments.model import Definition
from chalicelib.experiments.planning import service as planning
from chalicelib.experiments.planning.plans import Figure
from chalicelib.experiments.traffic import Routes
from chalicelib.kit import tables
from chalicelib.registry.metrics import BUILT_IN
from tests.builders.experiments import make_route
from tests.builders.outcomes import exposure, outcome
from tests.builders.plans import (
    MODEL,
    count,
    crown,
    declare_model,
    plan,
    rate_predictions,
    run_experiment,
    tell_requests,
)


@pytest.fixture
def model(tenant: str) -> str:
    return declare_model(tenant)


def test_predictions_with_outcomes_are_history(tenant: str, model: str):
    crown(tenant)
    rate_predictions(tenant, [1.0, 2.0, 4.0, 5.0] * 30)

    found = plan(tenant).baseline

    assert found.units == 120
    assert found.mean == Figure(value=3.0, source="predictions of version 1.0.0")
    assert found.variance.value == pytest.approx(300 / 119)


def test_outcomes_that_nobody_can_tell_are_assumed_aloud(tenant: str, model: str):
    crown(tenant)
    rate_predictions(tenant, [1.0, 5.0] * 10)

    found = plan(tenant)

    assert found.baseline.outcome_share == Figure(value=1.0, source="assumed")
    assert any("nobody knows how many do" in one for one in found.assumptions)


def test_an_experiment_with_more_units_tells_more(tenant: str, model: str):
    crown(tenant)
    rate_predictions(tenant, [1.0, 5.0])
    run_experiment(tenant, [2.0, 4.0, 3.0], silent=1)

    found = plan(tenant).baseline

    assert found.mean == Figure(value=3.0, source="experiment exp_1")
    assert found.outcome_share == Figure(value=0.75, source="experiment exp_1")


def test_what_is_given_goes_before_history(tenant: str, model: str):
    run_experiment(tenant, [2.0, 4.0, 3.0])

    found = plan(tenant, baseline_mean=2.0).baseline

    assert found.mean == Figure(value=2.0, source="given")
    assert found.variance == Figure(value=1.0, source="experiment exp_1")


def test_a_covariate_that_is_not_asked_for_is_only_hinted_at(tenant: str, model: str):
    run_experiment(tenant, [])
    pairs = [(1.0, 1.0), (2.0, 2.0), (3.0, 4.0), (4.0, 4.0)]
    brought = [exposure(f"c{n}", covariate=round(x * SCALE)) for n, (x, _) in enumerate(pairs)]
    rated = [outcome(f"c{n}", values={"quality_score": y}) for n, (_, y) in enumerate(pairs)]
    count(tenant, [*brought, *rated])

    plain, adjusted = plan(tenant), plan(tenant, covariate=True)

    r2 = 0.8963  # numpy: corrcoef([1, 2, 3, 4], [1, 2, 4, 4])[0, 1] ** 2
    assert plain.baseline.covariate_r2 is not None
    assert plain.baseline.covariate_r2.value == pytest.approx(r2, abs=1e-4)
    assert any("would save 90%" in one for one in plain.assumptions)
    assert adjusted.planned_units == pytest.approx((plain.planned_units or 0) * (1 - r2), rel=0.02)


def test_requests_of_whole_days_become_units(tenant: str, model: str):
    tell_requests(crown(tenant), {3: 7.0, 2: 300.0, 1: 500.0})
    run_experiment(tenant, [1.0, 5.0], requests=4)

    found = plan(tenant).traffic

    assert found.requests_per_day == Figure(value=400.0, source="CloudWatch, 2 whole days")
    assert found.requests_per_unit == Figure(value=4.0, source="experiment exp_1")
    assert found.units_per_day == Figure(value=100.0, source="CloudWatch, 2 whole days")


def test_where_nobody_told_units_every_request_is_one(tenant: str, model: str):
    tell_requests(crown(tenant), {3: 7.0, 2: 300.0, 1: 500.0})
    rate_predictions(tenant, [1.0, 5.0])

    found = plan(tenant)

    assert found.traffic.requests_per_unit == Figure(value=1.0, source="assumed")
    assert found.traffic.units_per_day is not None
    assert found.traffic.units_per_day.value == 400.0
    assert any("Every request is a unit" in one for one in found.assumptions)


def test_who_runs_already_is_said(tenant: str, model: str):
    tell_requests(crown(tenant), {2: 300.0})
    routes = Routes(routes=[make_route()])
    tables.commit([store.put_routes(tenant, MODEL, None, routes)])

    found = plan(tenant, baseline_mean=3.0, variance=1.0)

    assert any(one.startswith("Experiments run on this model") for one in found.assumptions)


def test_an_experiment_is_sized_by_the_same_history(tenant: str, model: str):
    crown(tenant)
    rate_predictions(tenant, [1.0, 5.0] * 50)
    definition = Definition.model_validate(
        {"name": "x", "model": MODEL, "challengers": [{"version": "1.1.0"}]}
    )
    metric = BUILT_IN["quality_score"]

    found = planning.planned_from_history(tenant, definition, metric, control="1.0.0")

    assert found == plan(tenant).planned_units


def test_an_experiment_is_not_sized_by_a_handful(tenant: str, model: str):
    rate_predictions(tenant, [1.0, 5.0] * 49)
    definition = Definition.model_validate(
        {"name": "x", "model": MODEL, "challengers": [{"version": "1.1.0"}]}
    )
    metric = BUILT_IN["quality_score"]

    assert planning.planned_from_history(tenant, definition, metric, control="1.0.0") is None
