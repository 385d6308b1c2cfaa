"""From sums of units to a difference of two arms by one metric: in each phase, then over phases.
Numbers only; what they say of a challenger, and what is done about it, is not known here."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from chalicelib.experiments.counting.sums import Six
from chalicelib.experiments.events import SCALE
from chalicelib.registry.metrics import Metric
from chalicelib.stats import comparison
from chalicelib.stats.answers import Inconclusive, Interval
from chalicelib.stats.comparison import Estimate
from chalicelib.stats.moments import Moments, PairMoments, moments, pair_moments
from chalicelib.stats.sequences import cautious_variance, effective_units

Sign = Literal[-1, 1]
"""-1 where less is better."""
SixByPhase = Mapping[int, Six]

_SMALL = frozenset({"empty-arm", "too-few-units", "zero-denominator"})
"""Reasons to leave a phase out while others speak; any other reason is a fault of the sums."""
_SAME = 1e-9
"""Constants that differ by a smaller share are one constant, rounded."""


class Reading(NamedTuple):
    """mean: of y. adjusted: of y, by the covariate x. ratio: sum of y by sum of x.

    is_pooled: variances are taken to be one in both arms, which keeps small arms calm; for shares
    that follow the outcomes.
    """

    kind: Literal["mean", "adjusted", "ratio"]
    is_pooled: bool = False


class Contrast(NamedTuple):
    """parts: of the phases that count. effective_units: of the combination, see `sequences`."""

    estimate: Estimate
    parts: tuple[Estimate, ...]
    effective_units: float


class Margin(NamedTuple):
    """How much worse the treatment may be: in the metric's unit, or as a share of the control."""

    width: float = 0.0
    is_relative: bool = False


_NONE = Margin()


class Score(NamedTuple):
    """What is decided on: a difference, signed so that more is better, and its variance."""

    difference: float
    variance: float


class Evidence(NamedTuple):
    """z: of the difference. above: z of being above what the margin allows. Both signed.

    at_one_look, always: intervals of the unsigned difference.
    """

    z: float
    above: float
    g: float
    p: float | None
    at_one_look: Interval | None
    always: Interval


class Mean(NamedTuple):
    """variance: of the value, not of a unit."""

    n: int
    value: float
    variance: float


def reading_of(metric: Metric, *, covariate: bool, is_pooled: bool = False) -> Reading:
    if metric.kind == "ratio":
        return Reading("ratio", is_pooled)
    return Reading("adjusted" if covariate else "mean", is_pooled)


def contrast(
    control: SixByPhase, treatment: SixByPhase, reading: Reading, *, least: int
) -> Contrast | Inconclusive:
    """Treatment minus control, each phase weighted by its share of the units.

    least: where there are several phases, those in which an arm has fewer units with a value are
    left out; a variance told by a handful of units would speak for all units of its phase.
    """
    parts: list[Estimate] = []
    reasons = ["empty-arm"]
    shared = sorted(control.keys() & treatment.keys())
    for phase in shared:
        found = difference(control[phase], treatment[phase], reading)
        if isinstance(found, Inconclusive):
            if found.reason not in _SMALL:
                return found
            reasons.append(found.reason)
        elif len(shared) > 1 and min(found.control_n, found.treatment_n) < least:
            reasons.append("too-few-units")
        else:
            parts.append(found)
    if not parts:
        return Inconclusive(reasons[-1])
    if len(parts) == 1:
        only = parts[0]
        return Contrast(only, (only,), effective_units(only.control_n, only.treatment_n))
    return Contrast(comparison.combine(parts), tuple(parts), _effective(parts))


def difference(control: Six, treatment: Six, reading: Reading) -> Estimate | Inconclusive:
    """Of one phase."""
    if reading.kind == "mean":
        return _means(control, treatment, reading)
    c, t = pair_moments(*control, scale=SCALE), pair_moments(*treatment, scale=SCALE)
    if isinstance(c, Inconclusive):
        return c
    if isinstance(t, Inconclusive):
        return t
    if reading.is_pooled:
        c, t = _pooled_pairs(c, t)
    if reading.kind == "ratio":
        return comparison.difference_of_ratios(c, t)
    return comparison.difference_adjusted(c, t)


def scores(found: Contrast, *, sign: Sign, margin: Margin = _NONE) -> list[Score]:
    """Of each part: how far the treatment is above what the margin allows.

    Variances are the cautious ones of `sequences`: two arms of one constant each, all requests
    failing in one and none in the other, have one too. It is zero where the arms do not differ.
    """
    return [_score(part, sign=sign, margin=margin) for part in found.parts]


def combined(found: Contrast, by_part: Sequence[Score]) -> Score:
    """Weighted as the estimate is."""
    sizes = [part.control_n + part.treatment_n for part in found.parts]
    n = sum(sizes)
    pairs = list(zip(sizes, by_part, strict=True))
    return Score(
        sum(size * score.difference for size, score in pairs) / n,
        sum(size * size * score.variance for size, score in pairs) / n / n,
    )


def mean_of(six: Six, reading: Reading) -> Mean | Inconclusive:
    """Of one arm, without any adjustment."""
    if reading.kind != "ratio":
        found = moments(*six[:3], scale=SCALE)
        if isinstance(found, Inconclusive):
            return found
        return Mean(found.n, found.mean, found.variance / found.n)
    pair = pair_moments(*six, scale=SCALE)
    if isinstance(pair, Inconclusive):
        return pair
    if pair.mean_x == 0.0:
        return Inconclusive("zero-denominator")
    ratio = pair.mean_y / pair.mean_x
    parts = pair.var_y + ratio * ratio * pair.var_x
    spread = parts - 2.0 * ratio * pair.cov
    # What is within rounding of zero is zero.
    spread = spread if spread > 4e-15 * parts else 0.0
    return Mean(pair.n, ratio, spread / pair.mean_x / pair.mean_x / pair.n)


def raw_mean(six: Six, reading: Reading) -> float | None:
    """Also of a single unit; None without any, or without a denominator."""
    under = six[3] if reading.kind == "ratio" else six[0] * SCALE
    return six[1] / under if under else None


def total(sixes: Iterable[Six]) -> Six:
    found = [0, 0, 0, 0, 0, 0]
    for six in sixes:
        found = [a + b for a, b in zip(found, six, strict=True)]
    return found


def successes(six: Six) -> int | None:
    """How many units have the value 1; None where not all values are 0 or 1.

    Values are between 0 and 1, where a square equals its root at both ends only."""
    return six[1] // SCALE if six[2] == six[1] * SCALE else None


def _score(part: Estimate, *, sign: Sign, margin: Margin) -> Score:
    """The null is m_t = kept m_c, or m_t = m_c less an absolute margin; see `non_inferiority`."""
    base, gap = part.control_mean, part.difference
    if part.variance <= 0.0 and abs(gap) <= _SAME * max(abs(base), abs(part.treatment_mean)):
        gap = 0.0
    kept, above = 1.0, sign * gap + margin.width
    if margin.is_relative:
        kept = 1.0 - margin.width if sign * base > 0.0 else 1.0 + margin.width
        above = sign * (gap + (1.0 - kept) * base)
    shared = kept * part.covariance
    own_c = max(0.0, kept * kept * part.control_variance - shared)
    own_t = max(0.0, part.treatment_variance - shared)
    variance = cautious_variance(
        difference=above,
        control_n=part.control_n,
        control_variance=own_c,
        treatment_n=part.treatment_n,
        treatment_variance=own_t,
    )
    return Score(above, variance)


def _means(control: Six, treatment: Six, reading: Reading) -> Estimate | Inconclusive:
    c, t = moments(*control[:3], scale=SCALE), moments(*treatment[:3], scale=SCALE)
    if isinstance(c, Inconclusive):
        return c
    if isinstance(t, Inconclusive):
        return t
    if reading.is_pooled:
        c, t = _pooled(c, t)
    return comparison.difference_of_means(c, t)


def _pooled(c: Moments, t: Moments) -> tuple[Moments, Moments]:
    variance = _within(c.n, c.variance, t.n, t.variance)
    return c._replace(variance=variance), t._replace(variance=variance)


def _pooled_pairs(c: PairMoments, t: PairMoments) -> tuple[PairMoments, PairMoments]:
    var_y, var_x = _within(c.n, c.var_y, t.n, t.var_y), _within(c.n, c.var_x, t.n, t.var_x)
    cov = _within(c.n, c.cov, t.n, t.cov)
    return (
        c._replace(var_y=var_y, cov=cov, var_x=var_x),
        t._replace(var_y=var_y, cov=cov, var_x=var_x),
    )


def _within(n_c: int, c: float, n_t: int, t: float) -> float:
    return ((n_c - 1) * c + (n_t - 1) * t) / (n_c + n_t - 2)


def _effective(parts: Sequence[Estimate]) -> float:
    """With one variance for all units, that of the combination is it by so many units."""
    sizes = [part.control_n + part.treatment_n for part in parts]
    n = sum(sizes)
    return 1.0 / sum(
        (size / n) ** 2 / effective_units(part.control_n, part.treatment_n)
        for size, part in zip(sizes, parts, strict=True)
    )
