"""What a flat prior makes of a difference: the chance to be better, and what choosing costs.
No random draw, and no rule about what to do with either."""

from math import exp, lgamma, log, log1p, pi, sqrt
from typing import NamedTuple

from chalicelib.stats import normal
from chalicelib.stats.answers import Inconclusive

_MOST_TERMS = 1_000
_RESCALE_AT = 1e250
_HALF_LOG_2_PI = 0.5 * log(2.0 * pi)


class ExpectedLoss(NamedTuple):
    """What choosing an arm is expected to lose, in the difference's own unit."""

    treatment: float
    control: float


def chance_to_beat(difference: float, variance: float) -> float | Inconclusive:
    """P(the true difference > 0) under a normal posterior; `no-variance` without any."""
    if variance <= 0.0:
        return Inconclusive("no-variance")
    return normal.distribution(difference / sqrt(variance))


def expected_loss(difference: float, variance: float) -> ExpectedLoss | Inconclusive:
    """E[max(0, -d)] of choosing the treatment, E[max(0, d)] of keeping the control."""
    if variance <= 0.0:
        return Inconclusive("no-variance")
    sd, gain = sqrt(variance), abs(difference)
    z = gain / sd
    smaller = max(0.0, sd * normal.density(z) - gain * normal.survival(z))
    larger = smaller + gain
    return ExpectedLoss(smaller, larger) if difference > 0.0 else ExpectedLoss(larger, smaller)


def beta_chance_to_beat(
    control_successes: int, control_n: int, treatment_successes: int, treatment_n: int
) -> float:
    """P(the treatment's rate > the control's) after uniform priors on both.

    A finite sum while the fewest successes or failures of an arm are below 1,000 (Miller 2015),
    wrong by less than 1e-9; above, the normal with the posteriors' means and variances, wrong by
    less than 1e-4.
    """
    if not (0 <= control_successes <= control_n and 0 <= treatment_successes <= treatment_n):
        raise ValueError("successes are between 0 and n")
    a_c, b_c = control_successes + 1, control_n - control_successes + 1
    a_t, b_t = treatment_successes + 1, treatment_n - treatment_successes + 1
    fewest = min(a_c, b_c, a_t, b_t)
    if fewest > _MOST_TERMS:
        return _by_normal(a_c, b_c, a_t, b_t)
    if fewest == a_t:
        return _sum(a_c, b_c, a_t, b_t)
    if fewest == b_c:
        return _sum(b_t, a_t, b_c, a_c)
    if fewest == a_c:
        return 1.0 - _sum(a_t, b_t, a_c, b_c)
    return 1.0 - _sum(b_c, a_c, b_t, a_t)


def _by_normal(a_c: int, b_c: int, a_t: int, b_t: int) -> float:
    n_c, n_t = a_c + b_c, a_t + b_t
    variance = a_c * b_c / (n_c * n_c * (n_c + 1)) + a_t * b_t / (n_t * n_t * (n_t + 1))
    return normal.distribution((a_t / n_t - a_c / n_c) / sqrt(variance))


def _sum(a: int, b: int, a_other: int, b_other: int) -> float:
    """P(Beta(a_other, b_other) > Beta(a, b)), a sum of a_other positive terms."""
    log_unit = _log_rising(a, over=b, under=b + b_other)
    total, term = 1.0, 1.0
    for i in range(a_other - 1):
        term *= (a + i) * (b_other + i) / ((a + b + b_other + i) * (1 + i))
        total += term
        if total > _RESCALE_AT:
            log_unit += log(_RESCALE_AT)
            total /= _RESCALE_AT
            term /= _RESCALE_AT
    return min(1.0, exp(log_unit + log(total)))


def _log_rising(a: int, *, over: int, under: int) -> float:
    """log of G(over + a) G(under) / (G(over) G(under + a)), G the gamma function.

    By Stirling's formula with its remainder, as differences of log-gammas near 1e10 keep
    six digits less.
    """
    main = (over - 0.5) * log1p(a / over) - (under - 0.5) * log1p(a / under)
    main -= a * log1p((under - over) / (over + a))
    return main + _rest(over + a) - _rest(over) + _rest(under) - _rest(under + a)


def _rest(x: int) -> float:
    """What Stirling's formula leaves of log G(x); error below 1e-13."""
    if x < 100:
        return lgamma(x) - ((x - 0.5) * log(x) - x + _HALF_LOG_2_PI)
    return 1.0 / (12.0 * x) - 1.0 / (360.0 * x * x * x)
