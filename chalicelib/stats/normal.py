"""The standard normal distribution, right to the last digits in its far tails.
No tail is ever one minus the other: a p-value of 1e-300 keeps its digits."""

from functools import lru_cache
from math import erf, erfc, exp, inf, log, pi, sqrt

_SQRT_2 = sqrt(2.0)
_SQRT_2_PI = sqrt(2.0 * pi)
_MOST_STEPS = 40


def survival(z: float) -> float:
    """P(Z > z); relative error below 1e-12 down to 1e-300, zero beyond z = 38.5."""
    return 0.5 * erfc(z / _SQRT_2)


def distribution(z: float) -> float:
    """P(Z <= z); relative error below 1e-12 down to 1e-300."""
    return 0.5 * erfc(-z / _SQRT_2)


def two_sided_p(z: float) -> float:
    return erfc(abs(z) / _SQRT_2)


def density(z: float) -> float:
    return exp(-0.5 * z * z) / _SQRT_2_PI


def quantile(p: float) -> float:
    """The z with P(Z <= z) = p; relative error below 1e-14, also at p = 1e-300.

    A p close to one has lost its digits: ask upper_quantile for such a z.
    """
    return -upper_quantile(p)


@lru_cache(maxsize=512)
def upper_quantile(q: float) -> float:
    """The z with P(Z > z) = q, for q in [0, 1]; infinite at both ends; else ValueError."""
    if not 0.0 <= q <= 1.0:
        raise ValueError(f"a probability is in [0, 1], not {q!r}")
    if q in (0.0, 1.0):
        return inf if q == 0.0 else -inf
    if abs(q - 0.5) <= 0.25:
        return _central(0.5 - q)
    return _tail(q) if q < 0.5 else -_tail(1.0 - q)


def _central(share: float) -> float:
    """The z with P(0 < Z < z) = share, by Newton's method on erf, which is exact near zero."""
    z = share * _SQRT_2_PI
    for _ in range(_MOST_STEPS):
        step = (share - 0.5 * erf(z / _SQRT_2)) / density(z)
        z += step
        if abs(step) <= 1e-16 * abs(z):
            break
    return z


def _tail(q: float) -> float:
    """Newton's method on the log of the tail, which is concave: it closes in from above."""
    twice = -2.0 * log(q)
    z = sqrt(twice - log(4.0 * twice))
    for _ in range(_MOST_STEPS):
        tail = survival(z)
        step = log(tail / q) * tail / density(z)
        z += step
        if abs(step) <= 1e-16 * z:
            break
    return z
