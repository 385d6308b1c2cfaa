"""The normal distribution keeps its digits where a cdf has none left.
Nothing here knows what the numbers are used for."""

from math import inf

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from chalicelib.stats import normal


def exact_tail(z: float) -> mpmath.mpf:
    with mpmath.workdps(50):
        return mpmath.erfc(mpmath.mpf(z) / mpmath.sqrt(2)) / 2


@pytest.mark.parametrize("z", [-38.0, -3.0, -1e-9, 0.0, 0.5, 1.96, 8.3, 20.0, 37.0])
def test_a_tail_has_the_digits_that_mpmath_gives_it(z: float):
    assert normal.survival(z) == pytest.approx(float(exact_tail(z)), rel=1e-12, abs=0.0)
    assert normal.distribution(-z) == normal.survival(z)


def test_two_sides_are_twice_the_tail_and_never_one_minus_it():
    p = normal.two_sided_p(-37.0)

    assert p == pytest.approx(2 * float(exact_tail(37.0)), rel=1e-12, abs=0.0)
    assert p == normal.two_sided_p(37.0)


def test_the_density_is_the_slope_of_the_distribution():
    slope = (normal.distribution(1.3 + 1e-5) - normal.distribution(1.3 - 1e-5)) / 2e-5

    assert normal.density(1.3) == pytest.approx(slope, rel=1e-8)


@pytest.mark.parametrize("q", [1e-300, 3e-120, 1e-17, 1e-4, 0.025, 0.2499, 0.2501, 0.4, 0.499999])
def test_a_quantile_has_the_digits_that_mpmath_gives_it(q: float):
    with mpmath.workdps(50):
        exact = mpmath.findroot(lambda z: mpmath.log(exact_tail(z) / mpmath.mpf(q)), 1.0 / q**0.01)

    assert normal.upper_quantile(q) == pytest.approx(float(exact), rel=1e-14, abs=0.0)
    assert normal.quantile(q) == -normal.upper_quantile(q)


@given(st.floats(1e-12, 1 - 1e-12))
def test_quantiles_agree_with_scipy_everywhere(p: float):
    assert normal.quantile(p) == pytest.approx(special.ndtri(p), rel=1e-12, abs=1e-15)


def test_certain_and_impossible_probabilities_lie_at_infinity():
    assert [normal.quantile(p) for p in (0.0, 0.5, 1.0)] == [-inf, 0.0, inf]


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_has_no_quantile(q: float):
    with pytest.raises(ValueError, match="a probability is in"):
        normal.upper_quantile(q)
