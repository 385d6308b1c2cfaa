"""Plans from what is given, and what stays unknown.
What is taken from a model's own history is in test_planning_history."""

from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.experiments.model import Definition, ValueRefused
from chalicelib.experiments.planning.plans import Figure, NoHistory, Plan, PlanRequest
from chalicelib.registry.metrics import Metric
from chalicelib.registry.model import ModelNotFound
from tests.builders.plans import MODEL, crown, declare_model, plan

GIVEN = {
    "baseline_mean": 4.0,
    "variance": 1.0,
    "units_per_day": 400.0,
    "outcome_share": 0.8,
    "minimal_effect": 0.05,
    "looks": 1,
    "may_extend": False,
}
NO_PLAN = {"units_per_arm", "units", "planned_units", "fixed_units", "duration_days"}


@pytest.fixture
def model(tenant: str) -> str:
    return declare_model(tenant)


def test_what_is_given_needs_no_history(tenant: str, model: str):
    found = plan(tenant, **GIVEN)

    # scipy: 2 * (norm.ppf(.975) + norm.ppf(.8))^2 * 1 / .2^2 = 392.44 with a value in each arm
    assert found.planned_units == 786
    assert found.units_per_arm == {"control": 492, "treatment": 492}
    assert (found.units, found.fixed_units, found.duration_days) == (984, 984, 3)
    assert found.unknown == []


def test_each_number_that_is_given_says_so(tenant: str, model: str):
    found = plan(tenant, **GIVEN)

    assert found.baseline.mean == Figure(value=4.0, source="given")
    assert found.baseline.outcome_share == Figure(value=0.8, source="given")
    assert found.traffic.units_per_day == Figure(value=400.0, source="given")
    assert found.baseline.units is None


def test_the_share_of_a_yes_is_all_that_a_yes_or_no_needs(tenant: str, model: str):
    found = plan(tenant, metric="is_correct", baseline_mean=0.1, minimal_effect=0.2)

    assert found.baseline.variance.value == pytest.approx(0.09)
    assert found.baseline.variance.source == "p(1 - p) of the mean"


def test_looks_come_evenly_with_their_bounds_and_days(tenant: str, model: str):
    found = plan(tenant, **{**GIVEN, "looks": 5, "units_per_day": 100.0})

    assert found.units is not None
    assert [look.units for look in found.looks] == [
        pytest.approx(found.units * number / 5, abs=1) for number in range(1, 6)
    ]
    assert [look.day for look in found.looks] == [3, 5, 7, 9, found.duration_days]
    assert [look.boundary for look in found.looks] == pytest.approx(
        [4.8769, 3.3570, 2.6803, 2.2898, 2.0310], abs=5e-5
    )


def test_looks_and_the_extension_cost_units(tenant: str, model: str):
    fixed, looked = plan(tenant, **GIVEN), plan(tenant, **{**GIVEN, "looks": 5, "may_extend": True})

    assert looked.fixed_units == fixed.units
    assert looked.units == pytest.approx((fixed.units or 0) * looked.inflation, rel=0.01)
    assert 1.0 < looked.inflation < 1.15


def test_several_challengers_have_their_shares(tenant: str, model: str):
    found = plan(tenant, **GIVEN, shares=[0.25, 0.25])

    arms = found.units_per_arm or {}
    assert list(arms) == ["control", "treatment-1", "treatment-2"]
    assert arms["control"] == pytest.approx(2 * arms["treatment-1"], abs=1)


def test_a_part_of_the_traffic_takes_longer(tenant: str, model: str):
    found = plan(tenant, **GIVEN, traffic=0.1)

    assert found.duration_days == 25  # 984 units at 40 a day


def test_outcomes_that_come_late_are_waited_for(tenant: str, model: str):
    late = Metric(name="returned", lag_h=36)

    found = plan(tenant, **GIVEN, metric="returned", metrics=[late])

    assert found.duration_days == 4  # 984 units at 400 a day, and a day and a half


def test_a_covariate_saves_what_it_explains(tenant: str, model: str):
    found = plan(tenant, **GIVEN, covariate_r2=0.36)

    assert found.planned_units == 504  # 2 * ceil(392.44 * .64)


def test_the_smallest_effect_of_a_time_is_the_one_planned_for(tenant: str, model: str):
    found = plan(tenant, **GIVEN, duration_days=984 / 400).minimal_effect_at_duration

    assert found is not None
    assert found.relative == pytest.approx(0.05, rel=2e-3)
    assert found.absolute == pytest.approx(0.2, rel=2e-3)


def test_more_time_finds_less(tenant: str, model: str):
    short, long = (
        plan(tenant, **GIVEN, duration_days=days).minimal_effect_at_duration for days in (7, 28)
    )

    assert short is not None
    assert long is not None
    assert long.absolute == pytest.approx(short.absolute / 2, rel=1e-3)


def test_what_only_the_least_units_ask_for_is_said(tenant: str, model: str):
    found = plan(tenant, **{**GIVEN, "variance": 0.01})

    assert found.planned_units == 200
    assert any("nothing is decided below 100 units" in one for one in found.assumptions)


# ---- what cannot be told ---------------------------------------------------------------------


def test_an_unknown_model_has_no_plan(tenant: str):
    with pytest.raises(ModelNotFound):
        plan(tenant, **GIVEN)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["baseline_mean", "variance"]),
        ({"baseline_mean": 3.0}, ["variance"]),
        ({"variance": 1.0}, ["baseline_mean"]),
        ({"metric": "is_correct"}, ["baseline_mean"]),
        ({"metric": "is_correct", "variance": 0.2}, ["baseline_mean"]),
    ],
)
def test_without_history_a_plan_says_what_to_give(
    tenant: str, model: str, asked: dict[str, Any], names: list[str]
):
    with pytest.raises(NoHistory) as refusal:
        plan(tenant, **asked)

    assert [flaw.at for flaw in refusal.value.flaws] == [f"body.{name}" for name in names]


def test_a_model_that_nobody_asks_has_units_but_no_days(tenant: str, model: str):
    crown(tenant)

    found = plan(tenant, baseline_mean=3.0, variance=1.0)

    assert found.units is not None
    assert (found.duration_days, found.minimal_effect_at_duration) == (None, None)
    assert found.unknown == ["duration_days:no-traffic", "minimal_effect_at_duration:no-traffic"]


def test_a_model_without_champion_has_units_but_no_days(tenant: str, model: str):
    assert "duration_days:no-traffic" in plan(tenant, baseline_mean=3.0, variance=1.0).unknown


def test_nothing_changes_by_a_share_of_zero(tenant: str, model: str):
    found = plan(tenant, **{**GIVEN, "metric": "clicks", "baseline_mean": 0.0})

    assert set(found.unknown) == {f"{field}:zero-baseline" for field in NO_PLAN}
    assert found.minimal_effect_at_duration is not None
    assert found.minimal_effect_at_duration.relative is None
    assert found.minimal_effect_at_duration.absolute > 0


def test_a_metric_that_never_varies_has_no_plan(tenant: str, model: str):
    found = plan(tenant, metric="is_correct", baseline_mean=1.0, units_per_day=10.0)

    assert set(found.unknown) == {
        f"{field}:no-variance" for field in {*NO_PLAN, "minimal_effect_at_duration"}
    }


def test_a_trickle_of_units_has_no_last_day(tenant: str, model: str):
    found = plan(tenant, **{**GIVEN, "units_per_day": 1e-9})

    assert found.unknown == [
        "duration_days:too-little-traffic",
        "minimal_effect_at_duration:too-few-units",
    ]


@pytest.mark.parametrize(
    ("metric", "mean"),
    [("is_correct", 1.5), ("is_correct", -0.1), ("quality_score", 7.0), ("quality_score", 0.0)],
)
def test_a_mean_that_cannot_be_is_refused(tenant: str, model: str, metric: str, mean: float):
    with pytest.raises(ValueRefused) as refusal:
        plan(tenant, metric=metric, baseline_mean=mean, variance=1.0)

    assert refusal.value.flaws[0].at == "body.baseline_mean"


@pytest.mark.parametrize(
    "asked",
    [
        {"shares": []},
        {"shares": [0.5, 0.5]},
        {"shares": [0.0]},
        {"minimal_effect": 0.0},
        {"variance": -1.0},
        {"variance": float("nan")},
        {"baseline_mean": float("inf")},
        {"units_per_day": 0.0},
        {"outcome_share": 0.0},
        {"covariate_r2": 1.0},
        {"looks": 21},
        {"alpha": 0.0},
        {"mean": 1.0},
    ],
    ids=str,
)
def test_absurd_questions_are_refused(asked: dict[str, Any]):
    with pytest.raises(ValidationError):
        PlanRequest.model_validate({"model": MODEL, **asked})


@pytest.mark.parametrize(
    "asked",
    [
        {"baseline_mean": 1e-300},
        {"baseline_mean": 5e-324},
        {"baseline_mean": 1e12, "variance": 1e24},
        {"variance": 1e-300},
        {"shares": [1e-320]},
        {"shares": [0.9999999999999999]},
        {"units_per_day": 5e-324},
        {"duration_days": 5e-324},
        {"traffic": 5e-324},
        {"minimal_effect": 5e-324},
    ],
    ids=str,
)
def test_extreme_questions_have_an_answer_that_json_can_say(
    tenant: str, model: str, asked: dict[str, Any]
):
    found = plan(tenant, **{**GIVEN, "metric": "clicks", **asked})

    assert Plan.model_validate_json(found.model_dump_json()) == found
    assert "inf" not in found.model_dump_json(exclude={"assumptions"}).replace("inflation", "")


@pytest.mark.parametrize(
    "name", ["alpha", "duration_days", "looks", "may_extend", "minimal_effect", "power", "traffic"]
)
def test_what_a_plan_leaves_out_is_what_an_experiment_leaves_out(name: str):
    assert PlanRequest.model_fields[name].default == Definition.model_fields[name].default
