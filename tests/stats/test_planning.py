"""Plans: textbook sample sizes, and designs that need what their looks cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.stats import group_sequential, planning
from chalicelib.stats.answers import Inconclusive
from chalicelib.stats.planning import Traffic, Units

FIXED = planning.needed_drift(alpha=0.05, power=0.8)
shares = st.floats(0.01, 0.5)


def test_the_drift_of_one_look_is_the_sum_of_two_quantiles():
    # R: qnorm(.975) + qnorm(.8)
    assert pytest.approx(1.9599639845400545 + 0.8416212335729143, rel=1e-12) == FIXED


def test_a_tenth_of_a_deviation_needs_the_textbooks_units():
    # 2 (1.959964 + 0.841621)^2 / 0.1^2 = 1569.8 in each arm, statsmodels' NormalIndPower as well.
    found = planning.units_per_arm(variance=1.0, effect=0.1, drift=FIXED)

    assert found == Units(control=1570, treatment=1570, total=3140)


def test_a_small_treatment_arm_needs_more_units_in_all():
    traffic = Traffic(control_share=0.9, treatment_share=0.1)

    found = planning.units_per_arm(variance=1.0, effect=0.1, drift=FIXED, traffic=traffic)

    # V = 1/.9 + 1/.1 per unit in all, times 7.848880 / .01.
    assert found == Units(control=7849, treatment=873, total=8722)


def test_other_arms_take_units_as_well():
    third = Traffic(control_share=1 / 3, treatment_share=1 / 3)

    found = planning.units_per_arm(variance=1.0, effect=0.1, drift=FIXED, traffic=third)

    assert found == Units(control=1570, treatment=1570, total=4710)


def test_a_covariate_saves_its_share_and_missing_outcomes_cost_theirs():
    traffic = Traffic(variance_reduction=0.36, outcome_share=0.5)

    found = planning.units_per_arm(variance=1.0, effect=0.1, drift=FIXED, traffic=traffic)

    # 3139.55 * 0.64 / 0.5
    assert found == Units(control=2010, treatment=2010, total=4020)


@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1e3), shares, shares)
def test_the_minimal_effect_of_the_planned_units_is_the_effect(
    variance: float, effect: float, control: float, treatment: float
):
    traffic = Traffic(control_share=control, treatment_share=treatment)
    plan = planning.units_per_arm(variance=variance, effect=effect, drift=FIXED, traffic=traffic)
    assert isinstance(plan, Units)

    found, with_two_less = (
        planning.minimal_effect(variance=variance, units=units, drift=FIXED, traffic=traffic)
        for units in (plan.total, plan.total - 2)
    )

    assert isinstance(found, float)
    assert found <= effect * (1.0 + 1e-12)
    assert isinstance(with_two_less, Inconclusive) or with_two_less >= effect * (1.0 - 1e-12)


@pytest.mark.parametrize("looks", [1, 2, 10])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.99])
def test_the_needed_drift_has_the_power_asked_for(looks: int, power: float):
    design = [group_sequential.Look(k / looks, k / looks) for k in range(1, looks + 1)]

    drift = planning.needed_drift(alpha=0.05, power=power, looks=looks)

    found = group_sequential.power(design, alpha=0.025, drift=drift)
    assert found == pytest.approx(power, abs=1e-9)


def test_one_look_at_the_horizon_costs_nothing_more():
    assert planning.inflation(alpha=0.05, power=0.8, looks=1) == pytest.approx(1.0, abs=1e-9)


def test_more_looks_and_a_reserve_cost_more_units():
    costs = [
        planning.inflation(alpha=0.05, power=0.8, looks=2),
        planning.inflation(alpha=0.05, power=0.8, looks=5),
        planning.inflation(alpha=0.05, power=0.8, looks=10),
        planning.inflation(alpha=0.05, power=0.8, looks=10, reserve=0.2),
    ]

    assert 1.0 < costs[0] < costs[1] < costs[2] < costs[3] < 1.15


def test_a_day_that_has_begun_counts_whole():
    assert planning.duration_days(units=3140, units_per_day=450.0) == 7
    assert planning.duration_days(units=3151, units_per_day=450.0) == 8


def test_no_traffic_and_no_effect_have_no_plan():
    nobody = Traffic(treatment_share=0.0)

    assert planning.duration_days(units=10, units_per_day=0.0) == Inconclusive("no-traffic")
    assert planning.minimal_effect(variance=1.0, units=0, drift=FIXED) == Inconclusive("no-traffic")
    assert planning.units_per_arm(
        variance=1.0, effect=0.1, drift=FIXED, traffic=nobody
    ) == Inconclusive("no-traffic")
    assert planning.units_per_arm(variance=1.0, effect=0.0, drift=FIXED) == Inconclusive(
        "no-effect"
    )


def test_a_metric_without_variance_needs_no_units():
    found = planning.units_per_arm(variance=0.0, effect=0.1, drift=FIXED)

    assert found == Units(0, 0, 0)
