"""Evidence that may be looked at after every unit: one normal mixture, as e-values and as bounds.
Nothing that is valid at one planned look only; sums and intervals for one look are elsewhere."""

from math import erfc, exp, inf, log, pi, sqrt, ulp

from chalicelib.stats.normal import density, distribution

_SQRT_2 = sqrt(2.0)
_FAR = 25.0
"""From here on the scaled tail is summed from its asymptotic series, to a relative 1e-9."""
_MOST_STEPS = 60


def effective_units(control: int, treatment: int) -> float:
    """n_c n_t / (n_c + n_t): one unit's variance divided by it is the variance of a difference."""
    return control * treatment / (control + treatment) if control and treatment else 0.0


def cautious_variance(
    *,
    difference: float,
    control_n: int,
    control_variance: float,
    treatment_n: int,
    treatment_variance: float,
) -> float:
    """The variance of a difference that automatic decisions use, early and with unequal arms too.

    The variances given are those of the two means. The larger of Welch's and the pooled one: in a
    small arm of skewed values the mean and its own variance move together, so a low mean looks
    surely low, and Welch's alone calls harm in far more than alpha of the looks of a ramp. The
    pooled one, around the common mean as in a score test, alone would trust a noisy small arm.
    """
    units = control_n + treatment_n
    per_difference = 1.0 / control_n + 1.0 / treatment_n
    within = (control_n - 1) * control_n * control_variance
    within += (treatment_n - 1) * treatment_n * treatment_variance
    between = difference * difference / per_difference
    pooled = (within + between) / (units - 1) * per_difference
    return max(control_variance + treatment_variance, pooled)


def information_ratio(units: float, *, tuned_for_units: float, alpha: float) -> float:
    """The g of every function here: prior variance of the difference over its variance V.

    units: the effective units so far. tuned_for_units, in the same measure and fixed before the
    first look, is where the two-sided interval is narrowest; it moves power, never validity.
    g = units / rho with rho from Howard et al. 2021 (arXiv 1810.08240), after their eq. 14.
    """
    return units / tuned_for_units * (_twice_log(alpha) + log(1.0 + _twice_log(alpha)))


def log_evidence(z: float, g: float) -> float:
    """The log of the e-value against a difference of zero: alarm at ln(1/alpha), at any look.

    z: the difference over its standard error, finite. Robbins' normal mixture, Howard et al. 2021
    eq. 14: log E = (z^2 g/(1+g) - ln(1+g)) / 2. Before the first unit (g = 0) it is zero.
    """
    return 0.5 * (z * z * (g / (1.0 + g)) - log(1.0 + g))


def log_evidence_above(z: float, g: float) -> float:
    """The log of the e-value against a difference of zero or less.

    The mixture of the same family over positive effects only (half-normal; the one-sided normal
    mixture of Howard et al. 2021): log(2 Phi(x)) + log E with x = z sqrt(g/(1+g)). Each effect
    mixed over is a supermartingale when the truth is zero or below, hence so is the mixture.
    """
    return _log_scaled_tail(-z * sqrt(g / (1.0 + g))) - 0.5 * log(1.0 + g)


def always_valid_p(log_e: float) -> float:
    """The p-value of the evidence at one look; the least over all looks is valid too.

    Zero only for infinite evidence: what a float cannot hold is rounded up.
    """
    if log_e <= 0.0:
        return 1.0
    return 0.0 if log_e == inf else max(exp(-log_e), ulp(0.0))


def critical(g: float, *, alpha: float) -> float:
    """The |z| at which the two-sided evidence reaches 1/alpha; infinite before the first unit."""
    if g <= 0.0:
        return inf
    return sqrt((1.0 + g) / g * (log(1.0 + g) + _twice_log(alpha)))


def critical_above(g: float, *, alpha: float) -> float:
    """The z at which the one-sided evidence reaches 1/alpha; infinite before the first unit.

    Newton's method on a convex function, from the closed bound 2 ln(1 + sqrt(1+g)/(2 alpha)) on
    the square of the root, which lies above it: every step stays on the safe side.
    """
    if g <= 0.0:
        return inf
    wanted = 0.5 * log(1.0 + g) - log(alpha)
    x = sqrt(2.0 * log(1.0 + sqrt(1.0 + g) / (2.0 * alpha)))
    for _ in range(_MOST_STEPS):
        excess = _log_scaled_tail(-x) - wanted
        x -= excess / (x + density(x) / distribution(x))
        if excess <= 1e-13 * wanted:
            break
    return x * sqrt((1.0 + g) / g)


def half_width(variance: float, g: float, *, alpha: float) -> float:
    """Of the interval that holds the difference at all looks together with chance 1 - alpha."""
    return sqrt(variance) * critical(g, alpha=alpha) if g > 0.0 else inf


def _twice_log(alpha: float) -> float:
    return -2.0 * log(alpha)


def _log_scaled_tail(x: float) -> float:
    """The log of 2 P(Z > x) exp(x^2/2), for any x."""
    if x < _FAR:
        return log(erfc(x / _SQRT_2)) + 0.5 * x * x
    s = 1.0 / (x * x)
    series = 1.0 - s * (1.0 - 3.0 * s * (1.0 - 5.0 * s * (1.0 - 7.0 * s)))
    return log(series * sqrt(2.0 / pi) / x)
