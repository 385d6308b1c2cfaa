"""Sample ratio mismatch: the tail to 1e-300, arms without weight, and evidence over phases."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import gammainc as exact_gamma
from mpmath import mp, mpf
from scipy import stats

from chalicelib.stats import srm
from chalicelib.stats.answers import Inconclusive

counts_of_three = st.lists(st.integers(50, 10**7), min_size=3, max_size=3)


@given(counts_of_three)
def test_the_p_value_is_pearsons(counts: list[int]):
    weights = [0.5, 0.3, 0.2]
    expected = [sum(counts) * weight for weight in weights]

    p = srm.chi_square_p(counts, weights)

    assert p == pytest.approx(stats.chisquare(counts, expected).pvalue, rel=1e-8, abs=1e-290)


@pytest.mark.parametrize("arms", [2, 3, 4, 7])
def test_a_tail_of_1e_300_keeps_its_digits(arms: int):
    moved = 2_600_000
    counts = [10**10 + moved * (arms - 1), *[10**10 - moved] * (arms - 1)]
    statistic = mpf(moved) ** 2 * (arms - 1) * arms / mpf(10**10)
    with mp.workdps(40):
        exact = exact_gamma(mpf(arms - 1) / 2, statistic / 2, regularized=True)

    p = srm.chi_square_p(counts, [1.0] * arms)

    assert p == pytest.approx(float(exact), rel=1e-9)


def test_balanced_arms_give_a_p_value_of_one():
    assert srm.chi_square_p([500, 500], [0.5, 0.5]) == 1.0


def test_an_arm_without_weight_takes_no_degree_of_freedom():
    # Three arms declared, one of them off: chi-square 3.9 with one degree, not two (0.048, 0.142).
    with_idle_arm = srm.chi_square_p([10_000, 10_280, 0], [0.5, 0.5, 0.0])

    assert with_idle_arm == srm.chi_square_p([10_000, 10_280], [0.5, 0.5])


def test_a_unit_in_an_arm_without_weight_is_a_mismatch_by_itself():
    assert srm.chi_square_p([500, 500, 1], [0.5, 0.5, 0.0]) == 0.0
    assert srm.log_evidence([500, 500, 1], [0.5, 0.5, 0.0]) == math.inf


@pytest.mark.parametrize("counts", [[0, 0], [3, 4], [80, 4]])
def test_too_few_units_give_no_p_value(counts: list[int]):
    assert srm.chi_square_p(counts, [0.95, 0.05]) == Inconclusive("too-few-units")


def test_one_arm_has_no_ratio():
    assert srm.chi_square_p([500], [1.0]) == Inconclusive("one-arm")


def test_weights_count_by_their_ratio():
    assert srm.chi_square_p([450, 550], [2.0, 2.0]) == srm.chi_square_p([450, 550], [0.5, 0.5])
    assert srm.log_evidence([450, 550], [2.0, 2.0]) == srm.log_evidence([450, 550], [0.5, 0.5])


def test_counts_and_weights_must_be_of_the_same_arms():
    with pytest.raises(ValueError, match="zip"):
        srm.log_evidence([1, 2, 3], [0.5, 0.5])


def test_the_evidence_is_the_product_of_one_step_predictions():
    weights, order = [0.6, 0.3, 0.1], [0, 0, 1, 2, 0, 1, 1, 2, 0]
    seen = [0, 0, 0]
    evidence = 0.0
    for step, arm in enumerate(order):
        predicted = (100.0 * weights[arm] + seen[arm]) / (100.0 + step)
        evidence += math.log(predicted / weights[arm])
        seen[arm] += 1

    assert srm.log_evidence(seen, weights) == pytest.approx(evidence, abs=1e-12)


def test_the_expected_evidence_under_the_weights_is_one():
    # A fair e-value: the mean of E over every outcome of six units is exactly 1.
    weights = [0.7, 0.3]
    mean = sum(
        stats.binom.pmf(n, 6, weights[0]) * math.exp(srm.log_evidence([n, 6 - n], weights))
        for n in range(7)
    )

    assert mean == pytest.approx(1.0, abs=1e-12)


def test_no_units_are_no_evidence():
    assert srm.log_evidence([0, 0], [0.5, 0.5]) == 0.0
    assert srm.log_evidence_of_phases([]) == 0.0


def test_phases_multiply_their_evidence():
    ramp, half = ([990, 10], [0.99, 0.01]), ([400, 600], [0.5, 0.5])

    together = srm.log_evidence_of_phases([ramp, half])

    assert together == srm.log_evidence(*ramp) + srm.log_evidence(*half)


def test_a_change_of_weights_between_phases_is_no_mismatch():
    phases = [([9_900, 100], [0.99, 0.01]), ([5_000, 5_000], [0.5, 0.5])]
    pooled = srm.log_evidence([14_900, 5_100], [0.5, 0.5])

    assert srm.log_evidence_of_phases(phases) < 0.0 < pooled
