"""Student's t has its digits for any degrees of freedom, at the centre and at 1e-300.
Nothing here knows what the numbers are used for."""

from math import inf, nan, pi, sqrt, tan

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from chalicelib.stats import normal, student

DFS = [0.3, 1.0, 1.5, 2.0, 3.7, 8.0, 12.9, 13.0, 13.1, 30.3, 100.0, 333.0, 1e4]
TS = [1e-9, 0.1, 1.0, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0, 13.0, 20.0, 36.0, 37.0, 100.0, 1e20, 1e200]


def exact_p(t: float, df: float) -> mpmath.mpf:
    """The regularized incomplete beta function, by mpmath with 50 digits."""
    with mpmath.workdps(50):
        t, df = mpmath.mpf(t), mpmath.mpf(df)
        x = df / (df + t * t)
        return mpmath.betainc(df / 2, mpmath.mpf(1) / 2, 0, x, regularized=True)


@pytest.mark.parametrize("df", DFS)
def test_p_has_the_digits_that_mpmath_gives_it(df: float):
    exact = {t: exact_p(t, df) for t in TS}

    told = {t: student.two_sided_p(t, df) for t, p in exact.items() if p > 1e-300}

    assert told == {t: pytest.approx(float(exact[t]), rel=5e-11, abs=0.0) for t in told}


@pytest.mark.parametrize("df", [1e5, 3e7, 1e9, 1e15])
@pytest.mark.parametrize("t", [0.5, 1.96, 12.0, 36.0])
def test_p_of_very_many_degrees_is_the_normal_one_and_its_first_correction(t: float, df: float):
    """2 Q(t) + phi(t) (t^3 + t) / (2 df), the first terms of Fisher's expansion (1925)."""
    expansion = normal.two_sided_p(t) + normal.density(t) * (t**3 + t) / (2 * df)

    assert student.two_sided_p(t, df) == pytest.approx(expansion, rel=t**8 / df**2 + 1e-11, abs=0)


@pytest.mark.parametrize("df", DFS)
@pytest.mark.parametrize("t", [0.0, 1e-320, 1e-170])
def test_p_is_one_without_a_difference(t: float, df: float):
    assert student.two_sided_p(t, df) == pytest.approx(1.0, abs=1e-11)
    assert student.quantile(0.5, df) == 0.0


def test_p_is_the_same_on_both_sides():
    assert student.two_sided_p(-3.0, 5.0) == student.two_sided_p(3.0, 5.0)


def test_an_infinite_t_has_no_chance():
    assert student.two_sided_p(inf, 3.0) == 0.0


@given(st.floats(0.5, 1e7), st.floats(1e-3, 30.0))
def test_a_larger_t_is_never_more_likely(df: float, t: float):
    assert student.two_sided_p(t * 1.001, df) < student.two_sided_p(t, df)


@pytest.mark.parametrize("df", DFS[1:])
@pytest.mark.parametrize("q", [1e-300, 1e-100, 1e-30, 1e-9, 0.001, 0.025, 0.19, 0.21, 0.4])
def test_a_quantile_has_the_tail_it_was_asked_for(q: float, df: float):
    t = student.upper_quantile(q, df)

    elasticity = (df + 1) / (1 + df / t / t)
    assert student.two_sided_p(t, df) == pytest.approx(2 * q, rel=1e-9 * elasticity, abs=0.0)


@pytest.mark.parametrize("p", [0.01, 0.3, 0.6, 0.9, 0.975, 0.9999])
def test_quantiles_of_one_and_two_degrees_have_closed_forms(p: float):
    cauchy, two = tan(pi * (p - 0.5)), (2 * p - 1) / sqrt(2 * p * (1 - p))

    assert student.quantile(p, 1.0) == pytest.approx(cauchy, rel=1e-12)
    assert student.quantile(p, 2.0) == pytest.approx(two, rel=1e-12)


@given(st.floats(0.8, 1e9), st.floats(1e-6, 0.499))
def test_quantiles_agree_with_scipy_everywhere(df: float, q: float):
    assert student.upper_quantile(q, df) == pytest.approx(-special.stdtrit(df, q), rel=1e-9)


def test_a_quantile_beyond_all_floats_is_infinite():
    assert student.upper_quantile(1e-300, 0.3) == inf


@pytest.mark.parametrize(("t", "df"), [(1.0, 0.0), (1.0, -1.0), (1.0, nan), (nan, 3.0)])
def test_what_is_no_t_has_no_p(t: float, df: float):
    with pytest.raises(ValueError, match="df positive"):
        student.two_sided_p(t, df)


def test_a_quantile_needs_degrees_of_freedom():
    with pytest.raises(ValueError, match="df is positive"):
        student.upper_quantile(0.1, 0.0)
