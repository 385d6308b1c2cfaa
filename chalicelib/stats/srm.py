"""Sample ratio mismatch: do the arms hold the units that their weights promise?
Counts only; never a metric's value, and no decision on what to do about a mismatch."""

from collections.abc import Sequence
from math import erfc, exp, inf, lgamma, log, sqrt

from chalicelib.stats.answers import Inconclusive

_LEAST_EXPECTED = 5.0


def chi_square_p(counts: Sequence[int], weights: Sequence[float]) -> float | Inconclusive:
    """Pearson's test at one look fixed in advance; for repeated looks there is log_evidence.

    df is the number of arms of positive weight less one. A unit in an arm of zero weight is a
    mismatch by itself: the answer is then 0.0. Weights need not add up to one.
    """
    if _has_strays(counts, weights):
        return 0.0
    units, total = sum(counts), sum(weights)
    pairs = [(n, units * w / total) for n, w in zip(counts, weights, strict=True) if w > 0.0]
    if len(pairs) < 2:
        return Inconclusive("one-arm")
    if min(expected for _, expected in pairs) < _LEAST_EXPECTED:
        return Inconclusive("too-few-units")
    statistic = sum((n - expected) ** 2 / expected for n, expected in pairs)
    return _chi_square_tail(statistic, len(pairs) - 1)


def log_evidence(
    counts: Sequence[int], weights: Sequence[float], *, concentration: float = 100.0
) -> float:
    """The log of the e-value against the weights: alarm at ln(1/alpha), at any look.

    The sequential multinomial test of Lindon and Malek (NeurIPS 2022): a Dirichlet prior around
    the weights w with `concentration` k, ln B(k w + n) - ln B(k w) - sum n ln w. An arm of zero
    weight without units is left out; with a unit in it the evidence is infinite.
    """
    if _has_strays(counts, weights):
        return inf
    units, total = sum(counts), sum(weights)
    evidence = lgamma(concentration) - lgamma(concentration + units)
    for n, weight in zip(counts, weights, strict=True):
        if n:
            share = weight / total
            prior = concentration * share
            evidence += lgamma(prior + n) - lgamma(prior) - n * log(share)
    return evidence


def log_evidence_of_phases(
    phases: Sequence[tuple[Sequence[int], Sequence[float]]], *, concentration: float = 100.0
) -> float:
    """The evidence of all phases between changes of the weights, each (counts, weights).

    The e-values are multiplied, so one alpha covers the whole experiment. The counts are those
    of the phase alone; a change of weights must not wait for a certain ratio of the counts.
    """
    return sum(log_evidence(n, weights, concentration=concentration) for n, weights in phases)


def _has_strays(counts: Sequence[int], weights: Sequence[float]) -> bool:
    return any(n and weight <= 0.0 for n, weight in zip(counts, weights, strict=True))


def _chi_square_tail(statistic: float, df: int) -> float:
    """P(chi-square >= statistic): a finite sum of positive terms, so no digit cancels.

    The regularised upper incomplete gamma function at half-integers, DLMF section 8.4.
    Each term is taken from logarithms: relative error below 1e-12 down to 1e-300.
    """
    x = 0.5 * statistic
    if x == 0.0:
        return 1.0
    first = 0.5 * (df % 2)
    start = erfc(sqrt(x)) if df % 2 else 0.0
    powers = (first + step for step in range(df // 2))
    return start + sum(exp(power * log(x) - x - lgamma(power + 1.0)) for power in powers)
