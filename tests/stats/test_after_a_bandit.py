"""Calibration: what may be concluded after shares that followed the results.
Both arms are alike in every simulated path; shares and statistics are the shipped code's."""

from typing import NamedTuple

import numpy as np

from chalicelib.stats import allocation
from tests.stats.simulated import ALPHA, PATHS, Counts, most


class Pulls(NamedTuple):
    """Both arms of all batches, control first: units and successes, shape (batches, paths, 2)."""

    units: Counts
    successes: Counts


def bandit_pulls(*, batches: int, size: int, rate: float) -> Pulls:
    """Thompson shares from all batches before, recomputed by the shipped code for each path."""
    rng = np.random.default_rng(11)
    units = np.zeros((batches, PATHS, 2), dtype=np.int64)
    successes = np.zeros_like(units)
    treatment_share = np.full(PATHS, 0.5)
    for batch in range(batches):
        treated = rng.binomial(size, treatment_share)
        units[batch] = np.stack([size - treated, treated], axis=1)
        successes[batch] = rng.binomial(units[batch], rate)
        n, s = units.sum(axis=0), successes.sum(axis=0)
        # Beta(1 + s, 1 + f), by its mean and variance.
        means = (s + 1.0) / (n + 2.0)
        variances = means * (1.0 - means) / (n + 3.0)
        pairs = zip(means.tolist(), variances.tolist(), strict=True)
        treatment_share = np.array([allocation.thompson_shares(m, v)[1] for m, v in pairs])
    return Pulls(units, successes)


def batched_score(units: list[list[int]], successes: list[list[int]]) -> float:
    """The shipped statistic of one path."""
    batches: list[allocation.Batch] = []
    for (n0, n1), (s0, s1) in zip(units, successes, strict=True):
        within = (s0 - s0 * s0 / n0 if n0 else 0.0) + (s1 - s1 * s1 / n1 if n1 else 0.0)
        batches.append(
            allocation.Batch(
                n0, s0 / max(n0, 1), n1, s1 / max(n1, 1), variance=within / (n0 + n1 - 2)
            )
        )
    found = allocation.batched_z(batches)
    assert isinstance(found, allocation.BatchedZ)
    return found.z


def test_after_a_bandit_the_batched_statistic_holds_and_welchs_does_not():
    pulls = bandit_pulls(batches=25, size=100, rate=0.5)
    by_path = zip(
        pulls.units.swapaxes(0, 1).tolist(), pulls.successes.swapaxes(0, 1).tolist(), strict=True
    )
    n, s = pulls.units.sum(axis=0), pulls.successes.sum(axis=0)
    means = s / n
    naive = (means[:, 1] - means[:, 0]) / np.sqrt((means * (1.0 - means) / n).sum(axis=1))

    batched = np.array([batched_score(units, successes) for units, successes in by_path])

    assert 0.5 * ALPHA < (np.abs(batched) >= 1.959964).mean() <= most(ALPHA)
    assert (np.abs(naive) >= 1.959964).mean() > most(ALPHA)
