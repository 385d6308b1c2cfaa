"""Moments from exact sums are the moments of the values, at any offset and any size.
The values themselves are known here only."""

from fractions import Fraction
from statistics import covariance, mean, variance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.stats.answers import Inconclusive
from chalicelib.stats.moments import Moments, PairMoments, moments, pair_moments

TICKS = st.lists(st.integers(-(10**15), 10**15), min_size=2, max_size=30)
PAIRS = st.lists(
    st.tuples(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9)), min_size=2, max_size=30
)


def told(values: list[int], *, scale: int = 1) -> Moments | Inconclusive:
    return moments(len(values), sum(values), sum(v * v for v in values), scale=scale)


def told_pairs(pairs: list[tuple[int, int]], *, scale: int = 1) -> PairMoments | Inconclusive:
    ys, xs = zip(*pairs, strict=True)
    squares = [sum(a * b for a, b in zip(*z, strict=True)) for z in ((ys, ys), (xs, xs), (xs, ys))]
    return pair_moments(
        len(pairs), sum(ys), squares[0], sum(xs), squares[1], squares[2], scale=scale
    )


@given(TICKS)
def test_moments_are_those_of_the_values(values: list[int]):
    exact = [Fraction(v, 10**6) for v in values]

    found = told(values, scale=10**6)

    assert isinstance(found, Moments)
    assert found.mean + found.rest == pytest.approx(float(mean(exact)), rel=1e-15)
    assert found.variance == float(variance(exact))


@given(PAIRS)
def test_pair_moments_are_those_of_the_pairs(pairs: list[tuple[int, int]]):
    ys, xs = ([float(v) for v in vs] for vs in zip(*pairs, strict=True))

    found = told_pairs(pairs, scale=1)

    assert isinstance(found, PairMoments)
    assert (found.var_y, found.var_x) == pytest.approx((variance(ys), variance(xs)), rel=1e-9)
    near = 1e-9 * (found.var_y + found.var_x)
    assert found.cov == pytest.approx(covariance(ys, xs), rel=1e-9, abs=near)


def test_an_offset_of_a_million_million_changes_neither_variance_nor_difference():
    values = [1_000_001, 2_500_000, 2_500_007, 9_999_999]

    near, far = told(values, scale=10**6), told([v + 10**18 for v in values], scale=10**6)

    assert isinstance(near, Moments)
    assert isinstance(far, Moments)
    assert far.variance == near.variance
    assert (far.mean - 1e12) + far.rest == pytest.approx(near.mean, rel=1e-12)


def test_values_far_beyond_the_integers_of_floats_are_summed():
    found = told([10**200, 3 * 10**200, 2 * 10**200], scale=10**100)

    assert found == Moments(3, 2e100, 1e200)


def test_what_no_float_holds_is_out_of_range():
    assert told([10**400, 2 * 10**400]) == Inconclusive("out-of-range")
    assert told_pairs([(10**400, 1), (0, 2)]) == Inconclusive("out-of-range")


@pytest.mark.parametrize(("n", "reason"), [(0, "empty-arm"), (1, "too-few-units")])
def test_fewer_than_two_units_have_no_moments(n: int, reason: str):
    assert moments(n, n, n, scale=1) == Inconclusive(reason)
    assert pair_moments(n, n, n, n, n, n, scale=1) == Inconclusive(reason)


def test_equal_values_have_a_mean_and_no_variance():
    assert told([7, 7, 7]) == Moments(3, 7.0, 0.0)
    assert told_pairs([(7, 1), (7, 3)]) == PairMoments(2, 7.0, 2.0, 0.0, 0.0, 2.0)


IMPOSSIBLE = {
    "squares of y": (3, 6, 11, 6, 14, 12),
    "squares of x": (3, 6, 14, 6, 11, 12),
    "products": (3, 6, 14, 6, 14, 15),
}


@pytest.mark.parametrize("fault", sorted(IMPOSSIBLE))
def test_sums_that_no_values_have_are_named(fault: str):
    found = pair_moments(*IMPOSSIBLE[fault], scale=1)

    assert found == Inconclusive("inconsistent-sums")


def test_a_square_sum_below_the_least_is_named():
    assert moments(3, 6, 11, scale=1) == Inconclusive("inconsistent-sums")
