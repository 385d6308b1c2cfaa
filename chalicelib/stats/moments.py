"""Means, variances and covariances from exact integer sums, which merge in any order.
No event is seen here, and no sum of floats is ever squared."""

from typing import NamedTuple

from chalicelib.stats.answers import Inconclusive


class Moments(NamedTuple):
    """variance is the unbiased one of a unit; mean + rest is the mean to twice the digits."""

    n: int
    mean: float
    variance: float
    rest: float = 0.0


class PairMoments(NamedTuple):
    """Two values of each unit: y is the outcome, x its denominator or covariate."""

    n: int
    mean_y: float
    mean_x: float
    var_y: float
    cov: float
    var_x: float
    rest_y: float = 0.0
    rest_x: float = 0.0


def moments(n: int, s: int, ss: int, *, scale: int) -> Moments | Inconclusive:
    """From the count of units, the sum and the sum of squares in ticks of 1 / scale.

    Sums that no values have are `inconsistent-sums`, values beyond floats `out-of-range`.
    """
    if n < 2:
        return Inconclusive("empty-arm" if n < 1 else "too-few-units")
    spread = n * ss - s * s
    if spread < 0:
        return Inconclusive("inconsistent-sums")
    per = n * scale
    try:
        mean, rest = _mean(s, per)
        return Moments(n, mean, spread / (per * (per - scale)), rest)
    except OverflowError:
        return Inconclusive("out-of-range")


def pair_moments(
    n: int, sy: int, syy: int, sx: int, sxx: int, sxy: int, *, scale: int
) -> PairMoments | Inconclusive:
    """From the count of units and five sums in ticks of 1 / scale, or of its square."""
    if n < 2:
        return Inconclusive("empty-arm" if n < 1 else "too-few-units")
    spread_y, spread_x, together = n * syy - sy * sy, n * sxx - sx * sx, n * sxy - sx * sy
    if spread_y < 0 or spread_x < 0 or together * together > spread_y * spread_x:
        return Inconclusive("inconsistent-sums")
    per = n * scale
    square = per * (per - scale)
    try:
        mean_y, rest_y = _mean(sy, per)
        mean_x, rest_x = _mean(sx, per)
        spreads = (spread_y / square, together / square, spread_x / square)
    except OverflowError:
        return Inconclusive("out-of-range")
    return PairMoments(n, mean_y, mean_x, *spreads, rest_y, rest_x)


def _mean(s: int, per: int) -> tuple[float, float]:
    """s / per as a float and what the float leaves, so that near means subtract well."""
    whole, part = divmod(s, per)
    share = part / per
    mean = whole + share
    return mean, share - (mean - whole)
