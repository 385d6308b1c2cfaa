"""Sums to differences: beside numpy and scipy on raw values, and over phases of other shares."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from chalicelib.experiments.analysis import estimates
from chalicelib.experiments.analysis.estimates import Contrast, Margin, Reading
from chalicelib.experiments.counting.sums import Six
from chalicelib.stats import comparison
from chalicelib.stats.answers import Inconclusive
from chalicelib.stats.comparison import NonInferiority
from tests.builders.sums import six_of

MEAN, RATIO, ADJUSTED = Reading("mean"), Reading("ratio"), Reading("adjusted")


def contrast(control: dict[int, Six], treatment: dict[int, Six], reading: Reading) -> Contrast:
    found = estimates.contrast(control, treatment, reading, least=2)
    assert isinstance(found, Contrast)
    return found


def test_a_mean_is_compared_as_scipy_compares_raw_values():
    rng = np.random.default_rng(1)
    c, t = rng.normal(5, 1, 40), rng.normal(5.5, 3, 25)

    found = contrast({1: six_of(c)}, {1: six_of(t)}, MEAN).estimate

    welch = scipy_stats.ttest_ind(t, c, equal_var=False)
    assert comparison.p_value(found) == pytest.approx(welch.pvalue, rel=1e-6)


def test_an_offset_of_1e12_changes_no_digit_of_the_variance():
    c, t = [1.0, 2.0, 4.0, 8.0], [2.0, 3.0, 5.0]
    near = contrast({1: six_of(c)}, {1: six_of(t)}, MEAN).estimate

    far = contrast(
        {1: six_of(1e12 + value for value in c)}, {1: six_of(1e12 + value for value in t)}, MEAN
    ).estimate

    assert (far.difference, far.variance) == pytest.approx((near.difference, near.variance))


def test_a_ratio_has_the_variance_of_its_linearised_units():
    rng = np.random.default_rng(2)
    x = rng.integers(1, 9, 60)
    y = rng.binomial(x, 0.3)

    mean = estimates.mean_of(six_of(y, x), RATIO)

    # Deng, Knoblich, Lu 2018: the variance of (y - r x) / mean x, by numpy on raw values.
    linear = (y - y.sum() / x.sum() * x) / x.mean()
    assert mean == pytest.approx((60, y.sum() / x.sum(), linear.var(ddof=1) / 60), rel=1e-9)


def test_a_covariate_takes_away_the_share_of_variance_that_it_explains():
    rng = np.random.default_rng(3)
    x_c, x_t = rng.standard_normal((2, 20_000))
    y_c, y_t = (0.8 * x + 0.6 * rng.standard_normal(20_000) for x in (x_c, x_t))

    found = contrast({1: six_of(y_c, x_c)}, {1: six_of(y_t, x_t)}, ADJUSTED).estimate

    # rho = 0.8 by construction, so rho^2 = 0.64; its error at 40,000 units is about 0.003.
    assert found.variance_reduction == pytest.approx(0.64, abs=0.012)


def test_phases_of_other_shares_are_compared_each_for_itself():
    # The metric falls by 10 while the treatment's share rises: no phase knows a difference.
    early_c, early_t = [20.0, 22.0] * 45, [20.0, 22.0] * 5
    late_c, late_t = [10.0, 12.0] * 5, [10.0, 12.0] * 45

    found = contrast(
        {1: six_of(early_c), 2: six_of(late_c)}, {1: six_of(early_t), 2: six_of(late_t)}, MEAN
    ).estimate

    assert found.difference == 0.0


def test_the_effective_units_are_what_the_combined_variance_is_by():
    # With one variance s^2 for all, the combination has the variance s^2 / effective units.
    values = [0.0, 1.0]
    sixes = [{1: six_of(values * a), 2: six_of(values * b)} for a, b in ((40, 30), (10, 60))]

    found = contrast(*sixes, MEAN)

    assert found.effective_units * found.estimate.variance == pytest.approx(0.25, rel=0.03)


def test_a_phase_in_which_an_arm_is_tiny_is_left_out():
    control = {1: six_of([0.0, 1.0] * 50), 2: six_of([0.0, 1.0] * 50)}
    treatment = {1: six_of([0.0, 1.0] * 50), 2: six_of([0.0, 1.0])}

    found = estimates.contrast(control, treatment, MEAN, least=10)

    assert isinstance(found, Contrast)
    assert found.estimate.control_n == 100


@pytest.mark.parametrize(
    ("control", "treatment", "reason"),
    [
        ({}, {1: six_of([1.0, 2.0])}, "empty-arm"),
        ({1: six_of([1.0])}, {1: six_of([1.0, 2.0])}, "too-few-units"),
        ({1: six_of([1.0, 2.0])}, {2: six_of([1.0, 2.0])}, "empty-arm"),
        ({1: [2, 10, 3, 0, 0, 0]}, {1: six_of([1.0, 2.0])}, "inconsistent-sums"),
    ],
)
def test_sums_that_cannot_be_compared_say_why(control: Any, treatment: Any, reason: str):
    found = estimates.contrast(control, treatment, MEAN, least=2)

    assert found == Inconclusive(reason)


def test_two_constants_that_differ_are_scored_by_the_variance_between_them():
    # 0 of 60 against 40 of 40 failures. The pooled z of two rates is the root of n (99 by n - 1).
    found = contrast({1: six_of([0.0] * 60)}, {1: six_of([1.0] * 40)}, MEAN)

    score = estimates.combined(found, estimates.scores(found, sign=-1))

    assert score.difference / math.sqrt(score.variance) == pytest.approx(-math.sqrt(99))


def test_one_constant_that_both_arms_have_is_no_difference_however_it_is_rounded():
    # y / x is 1/3 in every unit, which no float is.
    found = contrast({1: six_of([1.0] * 7, [3.0] * 7)}, {1: six_of([1e5] * 9, [3e5] * 9)}, RATIO)

    assert estimates.scores(found, sign=1) == [(0.0, 0.0)]


@pytest.mark.parametrize("margin", [Margin(0.3), Margin(0.1, is_relative=True)])
def test_above_the_margin_is_what_non_inferiority_tests(margin: Margin):
    # Equal arms of unequal spread, the treatment's above: Welch's variance is the cautious one.
    rng = np.random.default_rng(4)
    c, t = rng.normal(5, 1, 200), rng.normal(5, 6, 100)
    found = contrast({1: six_of(c)}, {1: six_of(t)}, MEAN)

    score = estimates.combined(found, estimates.scores(found, sign=1, margin=margin))

    tested = comparison.non_inferiority(
        found.estimate, margin=margin.width, relative=margin.is_relative
    )
    assert isinstance(tested, NonInferiority)
    assert score == pytest.approx((tested.difference, tested.variance), rel=1e-9)


def test_a_lower_metric_may_rise_by_its_relative_margin():
    # From 100 to 104 where 5 % more is allowed: one below what the margin allows.
    found = contrast({1: six_of([99.0, 101.0] * 20)}, {1: six_of([103.0, 105.0] * 20)}, MEAN)

    (score,) = estimates.scores(found, sign=-1, margin=Margin(0.05, is_relative=True))

    assert score.difference == pytest.approx(1.0)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=8),
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=8),
    st.sampled_from([MEAN, ADJUSTED]),
)
@settings(max_examples=60, deadline=None)
def test_swapping_the_arms_turns_the_sign(c: list[float], t: list[float], reading: Reading):
    c, t = [*c, 0.0, 1.0], [*t, 0.0, 1.0]
    there = contrast({1: six_of(c)}, {1: six_of(t)}, reading)

    back = contrast({1: six_of(t)}, {1: six_of(c)}, reading)

    there_score, back_score = (estimates.scores(one, sign=1)[0] for one in (there, back))
    assert there_score.difference == pytest.approx(-back_score.difference, rel=1e-9)
    assert there_score.variance == pytest.approx(back_score.variance, rel=1e-9)


def test_rates_between_zero_and_one_are_no_successes():
    assert estimates.successes(six_of([0.0, 1.0, 1.0])) == 2
    assert estimates.successes(six_of([0.0, 0.5, 1.0])) is None
