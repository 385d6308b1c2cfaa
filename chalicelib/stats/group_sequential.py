"""Promotion at planned looks: Lan-DeMets boundaries with O'Brien-Fleming-type spending of alpha.
Nothing for looks that were not planned, and no dates: a look is its spending time and information.

z scores are one-sided and grow with the treatment's advantage; a difference of d gives the drift
d in E z_k = drift * sqrt(information_k) when information is one over the difference's variance.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import zip_longest
from math import ceil, cos, erfc, exp, inf, log, pi, sqrt
from typing import NamedTuple

from chalicelib.stats.normal import survival, upper_quantile

_SQRT_2 = sqrt(2.0)
_SQRT_2_PI = sqrt(2.0 * pi)
_LEAST_SPENT = 1e-14
"""Less than this is not spent at a look but kept for the next."""
_LEAST_GAIN = 1.0 / 500.0
"""A look that adds a smaller share to the information is no look: its alpha is kept too."""
_BELOW, _ABOVE = 6.5, 10.0
"""The range of z that is integrated, around its mean; what lies outside weighs under 1e-10."""
_REACH = 9.0
"""Steps of more standard deviations than this are left out of a sum."""
_NODES_PER_SD = 2.5
_MOST_STEPS = 60


class Look(NamedTuple):
    """spending: share of the horizon passed, up to 1, above 1 in an extension. information: grows.

    Both are fixed by the calendar and by the units counted, never by the differences seen.
    """

    spending: float
    information: float


class _Going(NamedTuple):
    """Paths that have not crossed: masses at the nodes of the score z * sqrt(information)."""

    information: float
    scores: list[float]
    masses: list[float]


_START = _Going(0.0, [0.0], [1.0])


def spent(alpha: float, s: float) -> float:
    """The part of a one-sided alpha spent by spending time s: 2 - 2 Phi(z_{alpha/2} / sqrt s).

    Lan and DeMets 1983; all of it from s = 1 on, nothing at s <= 0.
    """
    if s <= 0.0:
        return 0.0
    return alpha if s >= 1.0 else 2.0 * survival(upper_quantile(alpha / 2.0) / sqrt(s))


def spent_with_reserve(alpha: float, s: float, *, reserve: float) -> float:
    """As `spent` for the share 1 - reserve of alpha; the rest at the first look after s = 1.

    The reserve pays for one extension, whoever decides on it, if its length is fixed beforehand:
    without it the looks reject in (1 - reserve) * alpha, with it in alpha of the null's paths.
    """
    return alpha if s > 1.0 else spent((1.0 - reserve) * alpha, s)


def boundary(looks: Sequence[Look], *, alpha: float, reserve: float = 0.0) -> tuple[float, ...]:
    """The z at or above which each look rejects, in the order of the looks.

    Recursive numerical integration (Armitage, McPherson, Rowe 1969; Jennison and Turnbull 2000,
    chapter 19), within 1e-6 of a fine grid. A bound depends on its own and earlier looks only, so
    it never moves when looks are added, and is the same to the bit on the same platform. It is
    infinite where nothing may be spent, or where the information has not grown by 0.2 %.
    """
    going, used = _START, 0.0
    bounds = [inf] * len(looks)
    for index, gain in _informative(looks):
        look = looks[index]
        allowed = spent_with_reserve(alpha, look.spending, reserve=reserve) - used
        if allowed >= _LEAST_SPENT:
            bounds[index] = _solve(going, look.information, allowed)
            used += allowed
        going = _advance(going, look.information, bounds[index], drift=0.0, gain=gain)
    return tuple(bounds)


def crossing_probabilities(
    looks: Sequence[Look], bounds: Sequence[float], *, drift: float
) -> tuple[float, ...]:
    """P(z is at or above its bound first at this look), for each look."""
    going = _START
    found = [0.0] * len(looks)
    for index, gain in _informative(looks):
        information = looks[index].information
        if bounds[index] < inf:
            found[index] = _tail(going, information, bounds[index], drift=drift)
        going = _advance(going, information, bounds[index], drift=drift, gain=gain)
    return tuple(found)


def power(looks: Sequence[Look], *, alpha: float, drift: float, reserve: float = 0.0) -> float:
    """P(any of the looks rejects)."""
    bounds = boundary(looks, alpha=alpha, reserve=reserve)
    return sum(crossing_probabilities(looks, bounds, drift=drift))


def predictive_power(
    z: float, information: float, *, horizon_information: float, horizon_boundary: float
) -> float:
    """Conditional power over the drifts that z leaves plausible, from a flat prior.

    Jennison and Turnbull 2000, section 10.3. Without information it is one half.
    """
    left = horizon_information - information
    if left <= 0.0:
        return 1.0 if z >= horizon_boundary else 0.0
    missing = horizon_boundary * sqrt(information) - z * sqrt(horizon_information)
    return survival(missing / sqrt(left))


def _informative(looks: Sequence[Look]) -> Iterator[tuple[int, float]]:
    """The looks that add information, with the share that the next one adds (0 for the last)."""
    kept: list[int] = []
    last = 0.0
    for index, look in enumerate(looks):
        if look.information > 0.0 and look.information - last >= _LEAST_GAIN * look.information:
            kept.append(index)
            last = look.information
    for index, following in zip_longest(kept, kept[1:]):
        if following is None:
            yield index, 0.0
        else:
            then = looks[following].information
            yield index, (then - looks[index].information) / then


def _tail(going: _Going, information: float, bound: float, *, drift: float) -> float:
    """P(still going and then z >= bound)."""
    step = information - going.information
    scale = 1.0 / (_SQRT_2 * sqrt(step))
    edge = bound * sqrt(information) - drift * step
    pairs = zip(going.scores, going.masses, strict=True)
    return 0.5 * sum([mass * erfc((edge - score) * scale) for score, mass in pairs])


def _densities(
    going: _Going, information: float, points: Sequence[float], *, drift: float
) -> list[float]:
    """The density of z among the paths still going, at each point."""
    step = information - going.information
    scale = 1.0 / sqrt(step)
    scores = [score * scale for score in going.scores]
    factor = sqrt(information) * scale / _SQRT_2_PI
    found: list[float] = []
    for point in points:
        at = (point * sqrt(information) - drift * step) * scale
        near = slice(bisect_left(scores, at - _REACH), bisect_right(scores, at + _REACH))
        pairs = zip(scores[near], going.masses[near], strict=True)
        terms = [mass * exp(-0.5 * (at - score) * (at - score)) for score, mass in pairs]
        found.append(factor * sum(terms))
    return found


def _solve(going: _Going, information: float, allowed: float) -> float:
    """The bound that is crossed with chance `allowed`.

    Newton's method on the log of the tail, which is concave; bisection where that is too small.
    """
    low, high = -_ABOVE, upper_quantile(allowed)
    bound = high
    for _ in range(_MOST_STEPS):
        tail = _tail(going, information, bound, drift=0.0)
        (density,) = _densities(going, information, [bound], drift=0.0)
        low, high = (bound, high) if tail > allowed else (low, bound)
        step = log(tail / allowed) * tail / density if tail > 0.0 and density > 0.0 else inf
        if abs(step) <= 1e-12:
            break
        bound = bound + step if low < bound + step < high else 0.5 * (low + high)
    return bound


def _advance(
    going: _Going, information: float, bound: float, *, drift: float, gain: float
) -> _Going:
    """The paths below the bound, on as many nodes as the next step's `gain` needs."""
    mean = drift * sqrt(information)
    low, high = mean - _BELOW, min(bound, mean + _ABOVE)
    if gain <= 0.0 or high <= low:
        return _Going(information, [], [])
    half = 0.5 * (high - low)
    count = ceil(_NODES_PER_SD * half / sqrt(gain) / 8.0) * 8 + 8
    nodes, weights = _gauss_legendre(count)
    points = [low + half * (1.0 + node) for node in nodes]
    densities = _densities(going, information, points, drift=drift)
    scores = [point * sqrt(information) for point in points]
    masses = [half * weight * found for weight, found in zip(weights, densities, strict=True)]
    return _Going(information, scores, masses)


@lru_cache(maxsize=64)
def _gauss_legendre(count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Nodes in (-1, 1), ascending, and weights; count is even."""
    right: list[tuple[float, float]] = []
    for index in range(count // 2):
        x = cos(pi * (index + 0.75) / (count + 0.5))
        slope = 0.0
        for _ in range(_MOST_STEPS):
            value, slope = _legendre(count, x)
            x -= value / slope
            if abs(value / slope) <= 1e-15:
                break
        right.append((x, 2.0 / ((1.0 - x * x) * slope * slope)))
    left = [(-x, weight) for x, weight in right]
    nodes, weights = zip(*left, *reversed(right), strict=True)
    return nodes, weights


def _legendre(degree: int, x: float) -> tuple[float, float]:
    """The polynomial of this degree and its slope at x."""
    before, value = 1.0, x
    for k in range(2, degree + 1):
        before, value = value, ((2 * k - 1) * x * value - (k - 1) * before) / k
    return value, degree * (x * value - before) / (x * x - 1.0)
