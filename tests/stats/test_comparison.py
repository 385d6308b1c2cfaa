"""Differences, lifts and margins from moments, beside other programs and in the extremes.
How often intervals cover the truth is asked in test_coverage."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from chalicelib.stats import comparison
from chalicelib.stats.answers import Inconclusive
from chalicelib.stats.comparison import Estimate
from chalicelib.stats.moments import Moments, PairMoments, moments

ARMS = st.builds(
    Moments, st.integers(2, 10**7), st.floats(-1e6, 1e6), st.floats(1e-6, 1e9), st.just(0.0)
)


def mean_moments(values: np.ndarray) -> Moments:
    return Moments(len(values), float(values.mean()), float(values.var(ddof=1)))


def pairs(y: np.ndarray, x: np.ndarray) -> PairMoments:
    (var_y, cov), (_, var_x) = np.cov(y, x)
    return PairMoments(len(y), *map(float, (y.mean(), x.mean(), var_y, cov, var_x)))


def sure(found: Estimate | Inconclusive) -> Estimate:
    assert isinstance(found, Estimate), found
    return found


def two_samples(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.gamma(2.0, 3.0, 40), rng.gamma(2.0, 4.0, 31)


def test_means_are_compared_as_scipy_compares_them():
    c, t = two_samples()
    welch = scipy_stats.ttest_ind(t, c, equal_var=False)

    estimate = sure(comparison.difference_of_means(mean_moments(c), mean_moments(t)))

    assert comparison.p_value(estimate) == pytest.approx(welch.pvalue, rel=1e-9)
    assert estimate.df == pytest.approx(welch.df, rel=1e-12)
    expected = welch.confidence_interval(0.9)
    assert comparison.interval(estimate, alpha=0.1) == pytest.approx(tuple(expected), rel=1e-9)


def test_a_difference_of_three_hundred_zeros_keeps_its_digits():
    """scipy.special.stdtr's tail, which mpmath confirms to 1e-13 there."""
    control, treatment = Moments(10**6, 0.0, 1.0), Moments(10**6, 0.0523, 1.0)
    estimate = sure(comparison.difference_of_means(control, treatment))
    t = estimate.difference / sqrt(estimate.variance)

    p = comparison.p_value(estimate)

    expected = 2 * float(scipy_stats.t.sf(t, estimate.df))
    assert 1e-300 < expected < 1e-295
    assert p == pytest.approx(expected, rel=1e-9, abs=0.0)


@given(ARMS, ARMS)
def test_swapping_the_arms_turns_the_sign_and_nothing_else(control: Moments, treatment: Moments):
    there = sure(comparison.difference_of_means(control, treatment))
    back = sure(comparison.difference_of_means(treatment, control))

    assert back.difference == -there.difference
    assert comparison.p_value(back) == pytest.approx(comparison.p_value(there), rel=1e-9)


@given(ARMS, ARMS, st.floats(0.1, 36.0), st.floats(1e-3, 1e3))
def test_the_unit_of_measurement_changes_no_p_value(
    control: Moments, other: Moments, t: float, k: float
):
    error = sqrt(control.variance / control.n + other.variance / other.n)
    treatment = other._replace(mean=t * error)
    control = control._replace(mean=0.0)

    def p_value(factor: float) -> float | Inconclusive:
        scaled = (
            Moments(arm.n, arm.mean * factor, arm.variance * factor * factor)
            for arm in (control, treatment)
        )
        return comparison.p_value(sure(comparison.difference_of_means(*scaled)))

    assert p_value(k) == pytest.approx(p_value(1.0), rel=1e-9, abs=0.0)


def test_an_offset_of_a_million_million_leaves_the_same_comparison():
    c, t = [1_500_000, 2_250_000, 2_400_001], [2_500_000, 3_250_003, 4_000_000]

    def estimate(offset: int) -> Estimate:
        arms = [
            moments(3, sum(v), sum(x * x for x in v), scale=10**6)
            for v in ([x + offset for x in c], [x + offset for x in t])
        ]
        assert isinstance(arms[0], Moments)
        assert isinstance(arms[1], Moments)
        return sure(comparison.difference_of_means(arms[0], arms[1]))

    near, far = estimate(0), estimate(10**18)
    assert (far.difference, far.variance, far.df) == pytest.approx(
        (near.difference, near.variance, near.df), rel=1e-12
    )


def test_a_ratio_of_constant_denominators_is_a_mean():
    c, t = two_samples()
    ones = sure(comparison.difference_of_means(mean_moments(c / 4), mean_moments(t / 4)))

    ratio = sure(
        comparison.difference_of_ratios(pairs(c, np.full(40, 4.0)), pairs(t, np.full(31, 4.0)))
    )

    assert ratio == pytest.approx(ones, rel=1e-12)


def test_the_error_of_a_ratio_is_that_of_its_linear_residuals():
    """The delta method's variance is that of y - r x, over n times the squared mean of x."""
    rng = np.random.default_rng(5)
    x, noise = rng.gamma(3.0, 1.0, 500), rng.normal(0, 1, 500)
    y = 2 * x + noise
    r = y.mean() / x.mean()

    estimate = sure(comparison.difference_of_ratios(pairs(y, x), pairs(y + x, x)))

    residual = (y - r * x).var(ddof=1) / 500 / x.mean() ** 2
    assert estimate.difference == pytest.approx(1.0, rel=1e-12)
    assert estimate.control_variance == pytest.approx(residual, rel=1e-9)


def test_an_adjusted_difference_is_that_of_an_analysis_of_covariance():
    """Ordinary least squares of y on (1, arm, x) with arms of one size, by numpy's lstsq."""
    rng = np.random.default_rng(8)
    x = rng.normal(50, 9, 60)
    arm = np.repeat([0.0, 1.0], 30)
    y = 0.7 * x + 2.0 * arm + rng.normal(0, 3, 60)
    design = np.column_stack([np.ones(60), arm, x])
    coefficients, (residue,), *_ = np.linalg.lstsq(design, y)
    error = residue / 57 * np.linalg.inv(design.T @ design)[1, 1]

    estimate = sure(comparison.difference_adjusted(pairs(y[:30], x[:30]), pairs(y[30:], x[30:])))

    assert estimate.difference == pytest.approx(coefficients[1], rel=1e-9)
    assert estimate.variance == pytest.approx(error, rel=1e-9)
    assert 0.6 < estimate.variance_reduction < 0.95


def test_adjusted_means_differ_by_the_difference_and_vary_together():
    rng = np.random.default_rng(9)
    x, y = rng.normal(5, 2, 90), rng.normal(3, 1, 90)
    c, t = pairs(y[:40] + x[:40], x[:40]), pairs(y[40:] + x[40:], x[40:])

    e = sure(comparison.difference_adjusted(c, t))

    apart = e.control_variance + e.treatment_variance - 2 * e.covariance
    assert e.treatment_mean - e.control_mean == pytest.approx(e.difference, rel=1e-9)
    assert apart == pytest.approx(e.variance, rel=1e-9)


def test_a_covariate_that_never_varies_adjusts_nothing():
    c, t = two_samples()
    plain = sure(comparison.difference_of_means(mean_moments(c), mean_moments(t)))

    found = sure(comparison.difference_adjusted(pairs(c, np.ones(40)), pairs(t, np.ones(31))))

    assert found == pytest.approx(plain, rel=1e-12)
    assert found.variance_reduction == 0.0


def test_one_phase_combined_is_itself():
    c, t = two_samples()
    one = sure(comparison.difference_of_means(mean_moments(c), mean_moments(t)))

    assert comparison.combine([one]) == pytest.approx(one, rel=1e-12)


def test_phases_with_other_shares_do_not_make_an_effect_of_time():
    """Both arms rise from 1 to 2 between the phases, while the treatment's share grows."""
    early = comparison.difference_of_means(Moments(900, 1.0, 1.0), Moments(100, 1.0, 1.0))
    late = comparison.difference_of_means(Moments(100, 2.0, 1.0), Moments(900, 2.0, 1.0))

    both = comparison.combine([sure(early), sure(late)])

    assert (both.difference, both.control_n, both.treatment_n) == (0.0, 1000, 1000)
    assert both.variance == pytest.approx(0.5 * (1 / 900 + 1 / 100), rel=1e-12)
    assert 100 < both.df < 1996


def test_nothing_cannot_be_combined():
    with pytest.raises(ValueError, match="nothing to combine"):
        comparison.combine([])


FLAT, RISEN = Moments(50, 1.0, 0.0), Moments(50, 2.0, 0.0)
QUESTIONS = {
    "interval": lambda e: comparison.interval(e, alpha=0.05),
    "lift": lambda e: comparison.relative_lift(e, alpha=0.05),
    "margin": lambda e: comparison.non_inferiority(e, margin=0.1, relative=True),
    "p": comparison.p_value,
}


@pytest.mark.parametrize("question", sorted(QUESTIONS))
@pytest.mark.parametrize("treatment", [FLAT, RISEN])
def test_nothing_is_said_of_values_that_never_vary(treatment: Moments, question: str):
    estimate = sure(comparison.difference_of_means(FLAT, treatment))

    assert QUESTIONS[question](estimate) == Inconclusive("no-variance")


def test_one_constant_arm_is_compared_with_the_degrees_of_the_other():
    estimate = sure(comparison.difference_of_means(FLAT, Moments(20, 3.0, 4.0)))

    assert estimate.df == pytest.approx(19.0)
    assert comparison.p_value(estimate) == pytest.approx(2 * scipy_stats.t.sf(sqrt(20), 19))


def test_values_beyond_floats_are_out_of_range():
    huge = Moments(2, 1e308, 1e308)

    found = comparison.difference_of_means(huge, huge._replace(mean=-1e308))

    assert found == Inconclusive("out-of-range")


def test_huge_values_are_compared_like_small_ones():
    huge = comparison.difference_of_means(Moments(9, 1e150, 1e300), Moments(9, 2e150, 1e300))
    small = comparison.difference_of_means(Moments(9, 1.0, 1.0), Moments(9, 2.0, 1.0))

    assert comparison.p_value(sure(huge)) == pytest.approx(comparison.p_value(sure(small)))


@pytest.mark.parametrize("side", ["control", "treatment"])
def test_an_arm_of_one_unit_is_not_compared(side: str):
    arms = {"control": FLAT, "treatment": FLAT} | {side: Moments(1, 1.0, 0.0)}

    assert comparison.difference_of_means(**arms) == Inconclusive("too-few-units")


def test_a_ratio_over_nothing_is_not_formed():
    zero, fine = PairMoments(9, 1.0, 0.0, 1.0, 0.0, 0.0), PairMoments(9, 1.0, 1.0, 1.0, 0.0, 1.0)

    assert comparison.difference_of_ratios(zero, fine) == Inconclusive("zero-denominator")
    assert comparison.difference_of_ratios(fine, zero) == Inconclusive("zero-denominator")


def test_outcomes_that_are_a_multiple_of_the_denominator_do_not_vary():
    x = np.random.default_rng(2).gamma(3.0, 1.0, 50)

    estimate = sure(comparison.difference_of_ratios(pairs(x / 3, x), pairs(x / 7, x)))

    assert comparison.p_value(estimate) == Inconclusive("no-variance")
    assert estimate.difference == pytest.approx(1 / 7 - 1 / 3)
