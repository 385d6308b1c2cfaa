"""Relative lifts by the delta method and by Fieller, and margins of non-inferiority.
Each against a second way to the same number."""

from math import inf, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.stats import comparison
from chalicelib.stats.answers import Inconclusive
from chalicelib.stats.comparison import Estimate, Lift

CRITICAL = 1.96


def make_estimate(
    *, base: float = 10.0, other: float = 11.0, errors: tuple[float, float] = (1.0, 1.0),
    covariance: float = 0.0,
) -> Estimate:  # fmt: skip
    """errors: the variances of the control's and of the treatment's mean."""
    variance = sum(errors) - 2 * covariance
    return Estimate(
        other - base, variance, 200.0, 100, 102, base, other, *errors, covariance, variance
    )


def sure(found: Lift | Inconclusive) -> Lift:
    assert isinstance(found, Lift), found
    return found


def squared_score(estimate: Estimate, lift: float) -> float:
    """The squared z of m_t - (1 + lift) m_c, which Fieller's interval bounds by critical^2."""
    ratio = 1 + lift
    gap = estimate.treatment_mean - ratio * estimate.control_mean
    own = estimate.treatment_variance + ratio**2 * estimate.control_variance
    return gap**2 / (own - 2 * ratio * estimate.covariance)


def test_a_far_baseline_takes_the_delta_method():
    """Var(m_t / m_c) = V_t / m_c^2 + m_t^2 V_c / m_c^4."""
    lift = sure(comparison.lift_interval(make_estimate(errors=(0.9, 1.0)), critical=2.0))

    half = 2.0 * sqrt(1.0 / 10**2 + 11**2 * 0.9 / 10**4)
    assert lift.method == "delta"
    assert lift.lift == pytest.approx(0.1)
    assert tuple(lift.interval) == pytest.approx((0.1 - half, 0.1 + half), rel=1e-12)


@pytest.mark.parametrize("covariance", [-0.8, 0.0, 0.5])
@pytest.mark.parametrize("base", [-3.0, 2.2, 3.0])
def test_fieller_ends_where_the_score_reaches_the_critical_value(base: float, covariance: float):
    estimate = make_estimate(base=base, other=4.0, covariance=covariance)

    lift = sure(comparison.lift_interval(estimate, critical=CRITICAL))

    ends = [squared_score(estimate, end) for end in lift.interval]
    assert lift.method == "fieller"
    assert ends == pytest.approx([CRITICAL**2] * 2, rel=1e-9)
    assert lift.interval.low < lift.lift < lift.interval.high


def test_a_baseline_that_may_be_zero_bounds_no_lift():
    found = comparison.lift_interval(make_estimate(base=1.9), critical=CRITICAL)

    assert found == Inconclusive("unbounded-lift")


@pytest.mark.parametrize("errors", [(0.0, 1.0), (1.0, 1.0)])
def test_an_infinite_critical_value_bounds_no_lift(errors: tuple[float, float]):
    found = comparison.lift_interval(make_estimate(errors=errors), critical=inf)

    assert found == Inconclusive("unbounded-lift")


def test_a_baseline_of_zero_has_no_lift():
    found = comparison.relative_lift(make_estimate(base=0.0), alpha=0.05)

    assert found == Inconclusive("zero-baseline")


def test_a_wide_critical_value_leaves_the_delta_method_sooner():
    estimate = make_estimate(base=10.0, errors=(1.0, 1.0))

    methods = [
        sure(comparison.lift_interval(estimate, critical=c)).method for c in (2.0, 3.9, 4.1, 9.0)
    ]

    assert methods == ["delta", "delta", "fieller", "fieller"]


def test_a_lift_is_bounded_at_the_quantile_of_its_degrees_of_freedom():
    """2.345137 is scipy.special.stdtrit(200, 0.99)."""
    estimate = make_estimate()

    by_alpha = comparison.relative_lift(estimate, alpha=0.02)

    by_critical = sure(comparison.lift_interval(estimate, critical=2.345137))
    assert sure(by_alpha).interval == pytest.approx(by_critical.interval, rel=1e-6)


@given(st.floats(0.01, 100.0), st.floats(5.5, 50.0))
def test_a_lift_has_no_unit(k: float, base: float):
    estimate = make_estimate(base=base)
    scaled = make_estimate(base=base * k, other=11.0 * k, errors=(k * k, k * k))

    one = sure(comparison.relative_lift(estimate, alpha=0.05))
    many = sure(comparison.relative_lift(scaled, alpha=0.05))

    assert tuple(many.interval) == pytest.approx(tuple(one.interval), rel=1e-9, abs=1e-12)


def test_an_absolute_margin_shifts_the_difference():
    found = comparison.non_inferiority(
        make_estimate(base=10.0, other=9.0, errors=(0.5, 0.5)), margin=3.0, relative=False
    )

    assert found == pytest.approx((2.0, 2.0, 1.0))


def test_a_relative_margin_counts_the_error_of_the_baseline_it_is_a_share_of():
    """m_t - 0.9 m_c = 0.5, V = 0.6 + 0.81 * 0.4 - 2 * 0.9 * 0.1."""
    estimate = make_estimate(base=10.0, other=9.5, errors=(0.4, 0.6), covariance=0.1)

    found = comparison.non_inferiority(estimate, margin=0.1, relative=True)

    assert found == pytest.approx((0.5 / sqrt(0.744), 0.5, 0.744))


def test_less_is_better_flipped_allows_a_rise_by_the_relative_margin():
    """A latency of 105 against 100 with a margin of 10 %: 110 - 105, V = 1 + 1.21."""
    latency = make_estimate(base=100.0, other=105.0)

    found = comparison.non_inferiority(comparison.flipped(latency), margin=0.1, relative=True)

    assert found == pytest.approx((5.0 / sqrt(2.21), 5.0, 2.21))


def test_a_share_of_nothing_is_no_margin():
    found = comparison.non_inferiority(make_estimate(base=0.0), margin=0.1, relative=True)

    assert found == Inconclusive("zero-baseline")


def test_flipping_twice_changes_nothing():
    estimate = make_estimate()

    assert comparison.flipped(comparison.flipped(estimate)) == estimate
