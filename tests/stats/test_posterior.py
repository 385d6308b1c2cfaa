"""Chances to be better and expected losses are the integrals that define them.
Integrals here are numeric; the product sums or uses closed forms."""

from math import inf, sqrt

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from scipy import stats as scipy_stats

from chalicelib.stats import posterior
from chalicelib.stats.answers import Inconclusive

COUNTS = [
    (0, 0, 0, 0),
    (0, 100, 3, 90),
    (0, 1000, 30, 1000),
    (1, 10, 5, 12),
    (30, 1000, 0, 1000),
    (50, 1000, 70, 1000),
    (900, 1000, 930, 1000),
]


@pytest.mark.parametrize("counts", COUNTS)
def test_the_chance_of_a_rate_is_the_integral_over_both_posteriors(
    counts: tuple[int, int, int, int],
):
    s_c, n_c, s_t, n_t = counts
    control, treatment = (
        scipy_stats.beta(s_c + 1, n_c - s_c + 1),
        scipy_stats.beta(s_t + 1, n_t - s_t + 1),
    )
    peaks = sorted({control.mean(), treatment.mean()})

    told = posterior.beta_chance_to_beat(*counts)

    chance, _ = integrate.quad(
        lambda x: treatment.pdf(x) * control.cdf(x), 0, 1, points=peaks, limit=500, epsabs=1e-12
    )
    assert told == pytest.approx(chance, abs=1e-9)


@pytest.mark.parametrize(
    "counts", [(500, 10**10, 30, 10**9), (3000, 10**9, 310, 10**8), (10**9, 10**9 + 40, 70, 99)]
)
def test_the_chance_keeps_its_digits_among_billions(counts: tuple[int, int, int, int]):
    """The same finite sum (Miller 2015) with 60 digits."""
    s_c, n_c, s_t, n_t = counts
    with mpmath.workdps(60):
        a, b = mpmath.mpf(s_c + 1), mpmath.mpf(n_c - s_c + 1)
        c, d = s_t + 1, mpmath.mpf(n_t - s_t + 1)
        terms = (
            mpmath.beta(a + i, b + d) / ((d + i) * mpmath.beta(1 + i, d) * mpmath.beta(a, b))
            for i in range(c)
        )
        exact = float(mpmath.fsum(terms))

    assert posterior.beta_chance_to_beat(*counts) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("treatment", [1020, 1050, 1090])
def test_many_counts_are_near_enough_to_normal(treatment: int):
    """1,000 of each kind is where the sum ends; scipy integrates."""
    a, b = scipy_stats.beta(1001, 99001), scipy_stats.beta(treatment + 1, 100001 - treatment)

    told = posterior.beta_chance_to_beat(1000, 100_000, treatment, 100_000)

    chance, _ = integrate.quad(lambda x: b.pdf(x) * a.cdf(x), 0.006, 0.015, points=[b.mean()])
    assert told == pytest.approx(chance, abs=1e-4)


COUNT = st.integers(0, 400)


@given(COUNT, COUNT, COUNT, COUNT)
def test_either_the_treatment_or_the_control_is_better(s_c: int, f_c: int, s_t: int, f_t: int):
    there = posterior.beta_chance_to_beat(s_c, s_c + f_c, s_t, s_t + f_t)
    back = posterior.beta_chance_to_beat(s_t, s_t + f_t, s_c, s_c + f_c)
    turned = posterior.beta_chance_to_beat(f_t, s_t + f_t, f_c, s_c + f_c)

    assert (there + back, turned) == pytest.approx((1.0, there), abs=1e-9)
    assert 0.0 <= there <= 1.0


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="between 0 and n"):
        posterior.beta_chance_to_beat(3, 2, 0, 0)


def test_the_chance_of_a_mean_is_a_tail_that_keeps_its_digits():
    chance = posterior.chance_to_beat(-30.0, 1.0)

    assert chance == pytest.approx(float(scipy_stats.norm.sf(30.0)), rel=1e-10, abs=0.0)


@pytest.mark.parametrize("difference", [-3.0, -0.2, 0.0, 0.7, 4.0])
def test_losses_are_the_integrals_of_what_is_missed(difference: float):
    variance = 0.49
    belief = scipy_stats.norm(difference, sqrt(variance))

    told = posterior.expected_loss(difference, variance)

    worse, _ = integrate.quad(lambda d: -d * belief.pdf(d), -inf, 0.0, epsabs=1e-13)
    better, _ = integrate.quad(lambda d: d * belief.pdf(d), 0.0, inf, epsabs=1e-13)
    assert told == pytest.approx((worse, better), rel=1e-6, abs=1e-12)


def test_the_loss_of_a_sure_choice_is_small_and_never_negative():
    """sd (phi(z) - z Q(z)) with z = 30, by mpmath."""
    with mpmath.workdps(50):
        exact = mpmath.npdf(30) - 30 * mpmath.erfc(30 / mpmath.sqrt(2)) / 2

    told = posterior.expected_loss(30.0, 1.0)

    assert told == pytest.approx((float(exact), 30.0 + float(exact)), rel=1e-8, abs=0.0)


def test_without_variance_nothing_is_believed():
    assert posterior.chance_to_beat(1.0, 0.0) == Inconclusive("no-variance")
    assert posterior.expected_loss(1.0, 0.0) == Inconclusive("no-variance")
