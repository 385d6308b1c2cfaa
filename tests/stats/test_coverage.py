"""Intervals cover the truth as often as they say, over seeded simulations.
Bounds are binomial: 3.5 standard errors around the promise."""

from collections.abc import Iterator
from math import sqrt

import numpy as np
import pytest

from chalicelib.stats import comparison, proportions
from chalicelib.stats.answers import Inconclusive, Interval
from chalicelib.stats.comparison import Estimate, Lift
from chalicelib.stats.moments import Moments, PairMoments

PATHS, ALPHA = 4_000, 0.05
ERROR = 3.5 * sqrt(ALPHA * (1 - ALPHA) / PATHS)


def covered(found: Iterator[Interval | Inconclusive], truth: float) -> float:
    """The share of intervals that hold the truth; no answer holds nothing."""
    intervals = [i for i in found if isinstance(i, Interval)]
    return sum(i.low <= truth <= i.high for i in intervals) / PATHS


def intervals(estimates: Iterator[Estimate | Inconclusive]) -> Iterator[Interval | Inconclusive]:
    for estimate in estimates:
        assert isinstance(estimate, Estimate)
        yield comparison.interval(estimate, alpha=ALPHA)


def arms(values: np.ndarray) -> Iterator[Moments]:
    """values: shape (paths, units)."""
    n = values.shape[1]
    for mean, variance in zip(values.mean(1).tolist(), values.var(1, ddof=1).tolist(), strict=True):
        yield Moments(n, mean, variance)


def pair_arms(y: np.ndarray, x: np.ndarray) -> Iterator[PairMoments]:
    n = y.shape[1]
    off_y, off_x = y - y.mean(1, keepdims=True), x - x.mean(1, keepdims=True)
    seconds = [
        (a * b).sum(1) / (n - 1) for a, b in ((off_y, off_y), (off_y, off_x), (off_x, off_x))
    ]
    for row in np.column_stack([y.mean(1), x.mean(1), *seconds]).tolist():
        yield PairMoments(n, *row)


def test_welch_covers_the_difference_of_small_arms_with_unequal_variances():
    rng = np.random.default_rng(11)
    c, t = arms(rng.normal(5, 1, (PATHS, 8))), arms(rng.normal(6, 4, (PATHS, 25)))

    share = covered(intervals(map(comparison.difference_of_means, c, t)), 1.0)

    assert abs(share - (1 - ALPHA)) < ERROR


def test_the_delta_method_covers_the_difference_of_ratios_of_many_requests():
    """Units make 1 + Poisson requests and differ in their rates, so that requests correlate."""
    rng = np.random.default_rng(12)

    def sample(rate: float, n: int) -> Iterator[PairMoments]:
        requests = 1.0 + rng.poisson(4, (PATHS, n))
        clicks = rng.binomial(requests.astype(int), rng.beta(8 * rate, 8 * (1 - rate), (PATHS, n)))
        return pair_arms(clicks.astype(float), requests)

    estimates = map(comparison.difference_of_ratios, sample(0.3, 250), sample(0.35, 150))

    assert abs(covered(intervals(estimates), 0.05) - (1 - ALPHA)) < ERROR


@pytest.mark.parametrize("n", [6, 60])
def test_cuped_covers_the_difference_and_narrows_it(n: int):
    rng = np.random.default_rng(13)

    def sample(mean: float) -> Iterator[PairMoments]:
        x = rng.normal(20, 5, (PATHS, n))
        return pair_arms(mean + 0.8 * x + rng.normal(0, 2, (PATHS, n)), x)

    estimates = list(map(comparison.difference_adjusted, sample(0.0), sample(0.5)))

    reductions = [e.variance_reduction for e in estimates if isinstance(e, Estimate)]
    assert abs(covered(intervals(iter(estimates)), 0.5) - (1 - ALPHA)) < ERROR
    assert np.median(reductions) == pytest.approx(0.8, abs=0.05)


def test_phases_with_changing_shares_cover_the_common_difference():
    rng = np.random.default_rng(14)

    def phase(level: float, n_c: int, n_t: int) -> Iterator[Estimate | Inconclusive]:
        c, t = rng.normal(level, 2, (PATHS, n_c)), rng.normal(level + 1, 3, (PATHS, n_t))
        return map(comparison.difference_of_means, arms(c), arms(t))

    phases = zip(phase(0, 45, 5), phase(8, 25, 25), strict=True)
    whole = (comparison.combine([e for e in both if isinstance(e, Estimate)]) for both in phases)

    assert abs(covered(intervals(whole), 1.0) - (1 - ALPHA)) < ERROR


RATES = [(0.01, 300, 0.03, 200), (0.2, 40, 0.2, 40), (0.5, 30, 0.9, 20), (0.98, 100, 0.95, 90)]


@pytest.mark.parametrize(("rate_c", "n_c", "rate_t", "n_t"), RATES)
def test_newcombe_covers_the_difference_of_rates_up_to_what_counts_allow(
    rate_c: float, n_c: int, rate_t: float, n_t: int
):
    """Counts are coarse, so that coverage moves in steps around .95 with the true rates."""
    rng = np.random.default_rng(15)
    c, t = rng.binomial(n_c, rate_c, PATHS).tolist(), rng.binomial(n_t, rate_t, PATHS).tolist()

    share = covered(
        (proportions.interval(s, n_c, w, n_t, alpha=ALPHA) for s, w in zip(c, t, strict=True)),
        rate_t - rate_c,
    )

    assert 0.93 < share < 0.99


@pytest.mark.parametrize(("base", "method"), [(4.0, "fieller"), (9.0, "delta")])
def test_a_lift_covers_the_true_lift_near_and_far_from_a_zero_baseline(base: float, method: str):
    """The mean of the control is `base` of its standard errors from zero."""
    rng = np.random.default_rng(16)
    c, t = rng.normal(base, 10, (PATHS, 100)), rng.normal(1.5 * base, 10, (PATHS, 100))

    estimates = map(comparison.difference_of_means, arms(c), arms(t))
    answers = [
        comparison.relative_lift(e, alpha=ALPHA) for e in estimates if isinstance(e, Estimate)
    ]

    lifts = [answer for answer in answers if isinstance(answer, Lift)]
    missed = sum(not lift.interval.low <= 0.5 <= lift.interval.high for lift in lifts)
    assert abs(missed / PATHS - ALPHA) < ERROR
    assert sum(lift.method == method for lift in lifts) > 0.8 * len(lifts)
