"""The normal mixture: its evidence is the integral that it claims to be, its bounds invert it."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from chalicelib.stats import sequences

scores = st.floats(-30.0, 30.0)
ratios = st.floats(1e-6, 1e6)
alphas = st.sampled_from([0.001, 0.01, 0.05, 0.2])


def mixture(z: float, g: float, *, low: float, factor: float) -> float:
    """Likelihood ratios of z ~ N(effect, 1) against N(0, 1), over effects ~ N(0, g) from low."""

    def weighted(effect: float) -> float:
        prior = math.exp(-0.5 * effect * effect / g) / math.sqrt(2.0 * math.pi * g)
        return factor * prior * math.exp(z * effect - 0.5 * effect * effect)

    reach = 12.0 * math.sqrt(g)
    return integrate.quad(weighted, low * reach, reach, epsabs=0.0, limit=500)[0]


@pytest.mark.parametrize("z", [-3.0, 0.0, 1.96, 5.0])
@pytest.mark.parametrize("g", [0.1, 1.0, 9.0])
def test_the_evidence_is_the_mixture_over_all_effects(z: float, g: float):
    integral = mixture(z, g, low=-1.0, factor=1.0)

    assert sequences.log_evidence(z, g) == pytest.approx(math.log(integral), abs=1e-9)


@pytest.mark.parametrize("z", [-3.0, 0.0, 1.96, 5.0])
@pytest.mark.parametrize("g", [0.1, 1.0, 9.0])
def test_the_evidence_above_is_the_mixture_over_positive_effects(z: float, g: float):
    integral = mixture(z, g, low=0.0, factor=2.0)

    assert sequences.log_evidence_above(z, g) == pytest.approx(math.log(integral), abs=1e-9)


@given(scores, ratios)
def test_the_evidence_of_both_directions_averages_to_the_two_sided_one(z: float, g: float):
    above, below = sequences.log_evidence_above(z, g), sequences.log_evidence_above(-z, g)

    highest = max(above, below)
    mean = highest + math.log(0.5 * (math.exp(above - highest) + math.exp(below - highest)))
    assert mean == pytest.approx(sequences.log_evidence(z, g), rel=1e-9, abs=1e-9)


def test_the_evidence_above_has_no_seam_where_its_series_takes_over():
    seam, step = -25.0 * math.sqrt(2.0), 0.001

    higher, lower = (sequences.log_evidence_above(seam + d, 1.0) for d in (step / 2, -step / 2))

    # Far below, log E falls as -log|z|: by step/|z| to the first order, 1 - 2/x^2 of it in all.
    assert higher - lower == pytest.approx(step / -seam, rel=0.005)


def test_a_very_bad_score_leaves_finite_evidence():
    # The tail's expansion: log(sqrt(2/pi)/x) with x = 1e6/sqrt(2), less ln(2)/2.
    expected = math.log(math.sqrt(2.0 / math.pi) / (1e6 / math.sqrt(2.0))) - 0.5 * math.log(2.0)

    assert sequences.log_evidence_above(-1e6, 1.0) == pytest.approx(expected, abs=1e-9)


@given(ratios, alphas)
def test_the_critical_score_is_where_the_evidence_reaches_one_over_alpha(g: float, alpha: float):
    z = sequences.critical(g, alpha=alpha)

    assert sequences.log_evidence(z, g) == pytest.approx(-math.log(alpha), rel=1e-9)


@given(ratios, alphas)
def test_the_one_sided_critical_score_inverts_the_evidence_above(g: float, alpha: float):
    z = sequences.critical_above(g, alpha=alpha)

    assert sequences.log_evidence_above(z, g) == pytest.approx(-math.log(alpha), rel=1e-9)


@given(ratios, alphas)
def test_one_direction_is_found_earlier_than_either(g: float, alpha: float):
    assert sequences.critical_above(g, alpha=alpha) < sequences.critical(g, alpha=alpha)


def test_the_interval_is_narrowest_where_it_was_tuned():
    def width(tuned: int) -> float:
        g = sequences.information_ratio(10_000, tuned_for_units=tuned, alpha=0.05)
        return sequences.half_width(1.0, g, alpha=0.05)

    widths = {tuned: width(tuned) for tuned in (2_500, 5_000, 10_000, 20_000, 40_000)}

    assert min(widths, key=widths.__getitem__) == 10_000


def test_the_information_ratio_is_the_published_one():
    # Eppo's documentation: rho = N / (2 ln(1/a) + ln(1 + 2 ln(1/a))), 10,000 / 7.9366 at a = .05.
    g = sequences.information_ratio(5_000, tuned_for_units=10_000, alpha=0.05)

    assert g == pytest.approx(5_000 / (10_000 / 7.9366), rel=1e-4)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_effective_units_are_those_of_the_smaller_arm_at_most(control: int, treatment: int):
    units = sequences.effective_units(control, treatment)

    assert 0.0 <= units <= min(control, treatment)


def test_a_small_quiet_arm_borrows_the_variance_of_all_units():
    # 0 of 100 against 50 of 1,000: the score test's variance p (1-p) (1/n_c + 1/n_t), p = 50/1100.
    p = 50 / 1100

    variance = sequences.cautious_variance(
        difference=-0.05,
        control_n=1000,
        control_variance=0.05 * 0.95 / 999,
        treatment_n=100,
        treatment_variance=0.0,
    )

    assert variance == pytest.approx(p * (1 - p) * (1 / 1000 + 1 / 100) * 1100 / 1099, rel=1e-12)


def test_a_small_loud_arm_keeps_its_own_variance():
    variance = sequences.cautious_variance(
        difference=0.0, control_n=1000, control_variance=1e-3, treatment_n=100, treatment_variance=1
    )

    assert variance == 1.001


def test_before_the_first_unit_nothing_is_ruled_out():
    assert sequences.log_evidence(0.0, 0.0) == 0.0
    assert sequences.half_width(0.0, 0.0, alpha=0.05) == math.inf


@pytest.mark.parametrize("log_e", [-1e6, -1.0, 0.0])
def test_evidence_below_one_gives_a_p_value_of_one(log_e: float):
    assert sequences.always_valid_p(log_e) == 1.0


@pytest.mark.parametrize("log_e", [1.0, 690.0, 744.0, 1e5])
def test_a_p_value_of_finite_evidence_is_never_zero(log_e: float):
    assert 0.0 < sequences.always_valid_p(log_e) < 1.0


def test_more_evidence_never_gives_a_larger_p_value():
    p_values = [sequences.always_valid_p(log_e) for log_e in (-5.0, 0.5, 3.0, 700.0, 1e4, math.inf)]

    assert all(one >= other for one, other in itertools.pairwise(p_values))
