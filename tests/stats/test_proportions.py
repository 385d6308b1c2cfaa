"""Two rates are told apart from counts alone, however few or many they are.
Each p beside scipy or another way to it; coverage is in test_coverage."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from chalicelib.stats import proportions
from chalicelib.stats.answers import Inconclusive, Interval

SMALL = st.tuples(st.integers(1, 60), st.floats(0, 1)).map(lambda t: (round(t[0] * t[1]), t[0]))


def sure(p: float | Inconclusive) -> float:
    assert isinstance(p, float), p
    return p


def test_no_conversion_against_thirty_of_a_thousand_is_no_accident():
    """1.4936655762609e-09 is scipy.stats.fisher_exact's."""
    assert proportions.p_value(0, 1000, 30, 1000) == pytest.approx(1.4936655762609e-09, rel=1e-10)


@given(SMALL, st.integers(0, 4), st.integers(5, 60))
def test_sparse_counts_are_judged_as_by_fisher(arm: tuple[int, int], few: int, n: int):
    told = proportions.p_value(few, n, *arm)

    exact = scipy_stats.fisher_exact([[few, n - few], [arm[0], arm[1] - arm[0]]]).pvalue
    nobody = few + arm[0] in (0, n + arm[1])
    assert told == (Inconclusive("no-variance") if nobody else pytest.approx(exact, rel=1e-9))


def test_dense_counts_are_judged_by_the_pooled_z():
    """The square of the pooled z is Pearson's chi-square of the table, without correction."""
    table = [[200, 1800], [260, 1740]]

    p = proportions.p_value(200, 2000, 260, 2000)

    expected = scipy_stats.chi2_contingency(table, correction=False).pvalue
    assert p == pytest.approx(expected, rel=1e-10)


def test_a_p_of_three_hundred_zeros_keeps_its_digits():
    """Rates of .5 - d and .5 + d of n units each: z^2 = 8 n d^2, here 37^2."""
    n = 10**6
    gap = 37 / sqrt(8 * n)
    low, high = round(n * (0.5 - gap)), round(n * (0.5 + gap))

    p = sure(proportions.p_value(low, n, high, n))

    z = (high - low) / sqrt(0.5 * n)
    assert p == pytest.approx(2 * float(scipy_stats.norm.sf(z)), rel=1e-10, abs=0.0)
    assert 1e-301 < p < 1e-290


def test_billions_of_units_with_a_rare_success_need_no_factorial():
    """Given 23 successes, those of the treatment are binomial with its share of units, 1 / 11."""
    p = proportions.p_value(11, 10**12, 12, 10**11)

    assert p == pytest.approx(scipy_stats.binomtest(12, 23, 1 / 11).pvalue, rel=1e-6)


@given(SMALL, SMALL)
def test_swapping_the_arms_or_successes_with_failures_changes_no_p(
    control: tuple[int, int], treatment: tuple[int, int]
):
    p = proportions.p_value(*control, *treatment)

    swapped = proportions.p_value(*treatment, *control)
    turned = proportions.p_value(
        control[1] - control[0], control[1], treatment[1] - treatment[0], treatment[1]
    )
    assert (swapped, turned) == (p, p) or (swapped, turned) == pytest.approx((p, p), rel=1e-9)


@pytest.mark.parametrize("successes", [0, 50])
def test_where_nobody_or_everybody_converted_nothing_is_known(successes: int):
    assert proportions.p_value(successes, 50, successes, 50) == Inconclusive("no-variance")


@pytest.mark.parametrize("arms", [(0, 0, 3, 9), (3, 9, 0, 0)])
def test_an_empty_arm_is_named(arms: tuple[int, int, int, int]):
    assert proportions.p_value(*arms) == Inconclusive("empty-arm")
    assert proportions.interval(*arms, alpha=0.05) == Inconclusive("empty-arm")


@pytest.mark.parametrize("arm", [(-1, 5), (6, 5)])
def test_counts_that_cannot_be_are_refused(arm: tuple[int, int]):
    with pytest.raises(ValueError, match="between 0 and n"):
        proportions.p_value(*arm, 1, 5)


NEWCOMBE = {
    (48, 80, 56, 70): (0.0524, 0.3339),
    (3, 10, 9, 10): (0.1705, 0.8090),
    (0, 20, 10, 10): (0.6791, 1.0000),
    (0, 10, 0, 10): (-0.2775, 0.2775),
}


@pytest.mark.parametrize("arms", sorted(NEWCOMBE))
def test_the_interval_is_the_one_of_newcombes_examples(arms: tuple[int, int, int, int]):
    """Newcombe 1998, table II, method 10, to the four digits printed there."""
    told = proportions.interval(*arms, alpha=0.05)

    assert told == pytest.approx(NEWCOMBE[arms], abs=6e-5)


@given(SMALL, SMALL, st.floats(0.001, 0.5))
def test_an_interval_holds_the_observed_difference_within_what_is_possible(
    control: tuple[int, int], treatment: tuple[int, int], alpha: float
):
    told = proportions.interval(*control, *treatment, alpha=alpha)

    assert isinstance(told, Interval)
    gap = treatment[0] / treatment[1] - control[0] / control[1]
    assert -1 - 1e-12 <= told.low <= gap + 1e-12
    assert gap - 1e-12 <= told.high <= 1 + 1e-12


@pytest.mark.parametrize(("successes", "n"), [(0, 12), (1, 12), (7, 12), (12, 12)])
def test_one_rate_has_the_score_interval_that_scipy_gives_it(successes: int, n: int):
    told = proportions.wilson(successes, n, alpha=0.1)

    expected = scipy_stats.binomtest(successes, n).proportion_ci(0.9, "wilson")
    assert told == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_one_rate_of_no_unit_is_unknown():
    assert proportions.wilson(0, 0, alpha=0.1) == Inconclusive("empty-arm")
