"""Shares for many arms by deterministic Thompson sampling, and a test that stays valid after it.
Draws nothing at random: the same sums give the same shares; who is in which arm is assignment's."""

from collections.abc import Sequence
from itertools import pairwise
from math import erfc, exp, fsum, inf, pi, prod, sqrt
from typing import NamedTuple

from chalicelib.stats.answers import Inconclusive
from chalicelib.stats.normal import distribution

_SQRT_2 = sqrt(2.0)
_GRID = tuple(k / 2.0 for k in range(-14, 15))
"""Of each arm, in its standard deviations; seven of them leave out 1e-12."""
_NODES = ((-sqrt(0.6), 5.0 / 9.0), (0.0, 8.0 / 9.0), (sqrt(0.6), 5.0 / 9.0))
_LEAST_RATIO = 1e-6
"""Standard deviations below this part of the largest scale are raised to it."""


def thompson_shares(
    means: Sequence[float], variances_of_means: Sequence[float], *, floor: float = 0.05
) -> tuple[float, ...]:
    """Each arm's share: its chance to be the best, lifted to the floor; they add up to 1.

    Higher means are better. An arm without data has infinite variance and an equal chance. With
    K arms a chance w becomes floor + (1 - K floor) w, which keeps their order; where K floor >= 1
    the shares are equal. Means and the other variances are finite.
    """
    arms = len(means)
    known = [arm for arm in range(arms) if variances_of_means[arm] < inf]
    if arms * floor >= 1.0 or not known:
        return (1.0 / arms,) * arms
    chances = [1.0 / arms] * arms
    best = _chances_to_be_best(
        [means[arm] for arm in known], [sqrt(variances_of_means[arm]) for arm in known]
    )
    for arm, chance in zip(known, best, strict=True):
        chances[arm] = chance * len(known) / arms
    return tuple([floor + (1.0 - arms * floor) * chance for chance in chances])


class Batch(NamedTuple):
    """What two arms collected between two changes of the shares.

    variance: of one unit, pooled within the two arms of this batch.
    """

    control_n: int
    control_mean: float
    treatment_n: int
    treatment_mean: float
    variance: float


class BatchedZ(NamedTuple):
    """A standard normal statistic under equal means; above zero the treatment is ahead."""

    z: float
    batches: int


def batched_z(batches: Sequence[Batch]) -> BatchedZ | Inconclusive:
    """Batched least squares: the shares of a batch may depend on all batches before it.

    Zhang, Janson, Murphy 2020 (arXiv 2002.03217): each batch's z, added up and divided by the
    root of their number. Left out are batches in which an arm is empty or nothing varies.
    For one look after the last batch, whose number is fixed beforehand.
    """
    scores = [
        sqrt(b.control_n * b.treatment_n / ((b.control_n + b.treatment_n) * b.variance))
        * (b.treatment_mean - b.control_mean)
        for b in batches
        if b.control_n > 0 and b.treatment_n > 0 and b.variance > 0.0
    ]
    if not scores:
        return Inconclusive("no-usable-batch")
    return BatchedZ(sum(scores) / sqrt(len(scores)), len(scores))


def _chances_to_be_best(means: Sequence[float], deviations: Sequence[float]) -> list[float]:
    """Of independent normal arms: the integral of one's density times the others' distributions.

    Exact for two arms. Otherwise by three Gauss-Legendre nodes between all arms' grid points, so
    that arms of very different precision are each resolved; error below 1e-5.
    """
    shifted = [mean - means[0] for mean in means]
    scale = max(*deviations, max(shifted) - min(shifted), 0.0)
    if len(means) == 1 or scale == 0.0:
        return [1.0 / len(means)] * len(means)
    sds = [max(deviation, _LEAST_RATIO * scale) for deviation in deviations]
    if len(means) == 2:
        ahead = (shifted[1] - shifted[0]) / sqrt(sds[0] * sds[0] + sds[1] * sds[1])
        return [distribution(-ahead), distribution(ahead)]
    totals = _integrals(shifted, sds)
    whole = fsum(totals)
    return [total / whole for total in totals]


def _integrals(means: Sequence[float], sds: Sequence[float]) -> list[float]:
    arms = list(zip(means, sds, strict=True))
    edges = sorted({mean + sd * step for mean, sd in arms for step in _GRID})
    totals = [0.0] * len(arms)
    for low, high in pairwise(edges):
        half = 0.5 * (high - low)
        for node, weight in _NODES:
            x = low + half * (1.0 + node)
            scores = [(x - mean) / sd for mean, sd in arms]
            below = [0.5 * erfc(-score / _SQRT_2) for score in scores]
            everyone = prod(below)
            if everyone <= 0.0:
                continue
            factor = half * weight * everyone / sqrt(2.0 * pi)
            for arm, score in enumerate(scores):
                density = exp(-0.5 * score * score) / arms[arm][1]
                totals[arm] += factor * density / below[arm]
    return totals
