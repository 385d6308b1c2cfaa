"""Treatment minus control from each arm's moments: the difference, its error, what it says.
No outcome is better than another here, and no look at the data is counted."""

from collections.abc import Callable, Sequence
from math import inf, isfinite, sqrt
from typing import NamedTuple

from chalicelib.stats import student
from chalicelib.stats.answers import Inconclusive, Interval
from chalicelib.stats.moments import Moments, PairMoments


class Estimate(NamedTuple):
    """A difference of two means or ratios.

    variance: of the difference, with df degrees of freedom.
    control_variance, treatment_variance, covariance: of the two means, not of a unit.
    plain_variance: of the difference before any adjustment by a covariate.
    """

    difference: float
    variance: float
    df: float
    control_n: int
    treatment_n: int
    control_mean: float
    treatment_mean: float
    control_variance: float
    treatment_variance: float
    covariance: float
    plain_variance: float

    @property
    def variance_reduction(self) -> float:
        """The share of variance that the covariate took away; zero where there is none."""
        return 1.0 - self.variance / self.plain_variance if self.plain_variance > 0.0 else 0.0


class Lift(NamedTuple):
    """(treatment - control) / control, a share; method is `delta` or `fieller`."""

    lift: float
    interval: Interval
    method: str


class NonInferiority(NamedTuple):
    """z of the null that the treatment is worse by the margin or more; difference is its top."""

    z: float
    difference: float
    variance: float


_Arm = tuple[int, float, float]
"""Units, mean, and the variance of that mean."""


def difference_of_means(control: Moments, treatment: Moments) -> Estimate | Inconclusive:
    """Unequal variances are allowed (Welch 1947)."""
    n_c, mean_c, spread_c, rest_c = control
    n_t, mean_t, spread_t, rest_t = treatment
    if n_c < 2 or n_t < 2:
        return Inconclusive("too-few-units")
    difference = (mean_t - mean_c) + (rest_t - rest_c)
    return _estimate(difference, (n_c, mean_c, spread_c / n_c), (n_t, mean_t, spread_t / n_t))


def difference_of_ratios(control: PairMoments, treatment: PairMoments) -> Estimate | Inconclusive:
    """Of mean y / mean x by the delta method (Deng, Knoblich, Lu 2018), for large samples."""
    arm_c, arm_t = _ratio(control), _ratio(treatment)
    if isinstance(arm_c, Inconclusive):
        return arm_c
    if isinstance(arm_t, Inconclusive):
        return arm_t
    return _estimate(arm_t[1] - arm_c[1], arm_c, arm_t)


def difference_adjusted(control: PairMoments, treatment: PairMoments) -> Estimate | Inconclusive:
    """Of y, less what a covariate x from before the exposure explains (Deng et al. 2013).

    One slope, pooled within the arms; the means stand at the pooled mean of x. Variances carry
    the slope's own error, as in an analysis of covariance: with arms of one size this is its
    standard error.
    """
    c, t = control, treatment
    n_c, n_t = c.n, t.n
    n = n_c + n_t
    if n_c < 2 or n_t < 2 or n < 5:
        return Inconclusive("too-few-units")
    gap_y = (t.mean_y - c.mean_y) + (t.rest_y - c.rest_y)
    plain = _estimate(gap_y, (n_c, c.mean_y, c.var_y / n_c), (n_t, t.mean_y, t.var_y / n_t))
    spread_x = (n_c - 1) * c.var_x + (n_t - 1) * t.var_x
    if isinstance(plain, Inconclusive) or spread_x <= 0.0:
        return plain
    slope = ((n_c - 1) * c.cov + (n_t - 1) * t.cov) / spread_x
    gap_x = (t.mean_x - c.mean_x) + (t.rest_x - c.rest_x)
    inflation = (n - 2) / (n - 3) * (1.0 + gap_x * gap_x / spread_x * n_c * n_t / n)
    rest_c = inflation * _spread_around(c, slope) / n_c
    rest_t = inflation * _spread_around(t, slope) / n_t
    adjusted = _estimate(
        gap_y - slope * gap_x,
        (n_c, c.mean_y + slope * gap_x * n_t / n, rest_c),
        (n_t, t.mean_y - slope * gap_x * n_c / n, rest_t),
    )
    if isinstance(adjusted, Inconclusive):
        return adjusted
    return _with_shared_error(adjusted, plain, control, treatment, slope=slope, factor=inflation)


def combine(estimates: Sequence[Estimate]) -> Estimate:
    """Of several phases or strata, each weighted by its share of the units.

    df by Satterthwaite 1946; ValueError without any estimate.
    """
    if not estimates:
        raise ValueError("nothing to combine")
    n = sum(e.control_n + e.treatment_n for e in estimates)
    weights = [(e.control_n + e.treatment_n) / n for e in estimates]

    def mean(of: Callable[[Estimate], float]) -> float:
        return sum(w * of(e) for w, e in zip(weights, estimates, strict=True))

    def error(of: Callable[[Estimate], float]) -> float:
        return sum(w * w * of(e) for w, e in zip(weights, estimates, strict=True))

    variance = error(lambda e: e.variance)
    return Estimate(
        difference=mean(lambda e: e.difference),
        variance=variance,
        df=_satterthwaite(
            [(w * w * e.variance, e.df) for w, e in zip(weights, estimates, strict=True)], variance
        ),
        control_n=sum(e.control_n for e in estimates),
        treatment_n=sum(e.treatment_n for e in estimates),
        control_mean=mean(lambda e: e.control_mean),
        treatment_mean=mean(lambda e: e.treatment_mean),
        control_variance=error(lambda e: e.control_variance),
        treatment_variance=error(lambda e: e.treatment_variance),
        covariance=error(lambda e: e.covariance),
        plain_variance=error(lambda e: e.plain_variance),
    )


def flipped(estimate: Estimate) -> Estimate:
    """The same of the negated values, for outcomes of which less is better."""
    return estimate._replace(
        difference=-estimate.difference,
        control_mean=-estimate.control_mean,
        treatment_mean=-estimate.treatment_mean,
    )


def p_value(estimate: Estimate) -> float | Inconclusive:
    """Two-sided, of the null of no difference; `no-variance` where nothing varies."""
    if estimate.variance <= 0.0:
        return Inconclusive("no-variance")
    return student.two_sided_p(estimate.difference / sqrt(estimate.variance), estimate.df)


def interval(estimate: Estimate, *, alpha: float) -> Interval | Inconclusive:
    """Covers the true difference with probability 1 - alpha."""
    if estimate.variance <= 0.0:
        return Inconclusive("no-variance")
    half = student.upper_quantile(0.5 * alpha, estimate.df) * sqrt(estimate.variance)
    return Interval(estimate.difference - half, estimate.difference + half)


def relative_lift(estimate: Estimate, *, alpha: float) -> Lift | Inconclusive:
    """The lift and an interval that covers the true one with probability 1 - alpha."""
    return lift_interval(estimate, critical=student.upper_quantile(0.5 * alpha, estimate.df))


def lift_interval(estimate: Estimate, *, critical: float) -> Lift | Inconclusive:
    """The lift with an interval of `critical` standard errors, always-valid ones as well.

    The delta method where the baseline is at least 5, and at least 2.5 * critical, of its
    standard errors from zero; otherwise Fieller's theorem (1954), which has no bounded answer
    when the baseline cannot be told from zero. Under a negative baseline a rise is a negative
    lift.
    """
    base, variance_c = estimate.control_mean, estimate.control_variance
    if base == 0.0:
        return Inconclusive("zero-baseline")
    if estimate.variance <= 0.0:
        return Inconclusive("no-variance")
    if critical == inf:
        return Inconclusive("unbounded-lift")
    lift = estimate.difference / base
    if abs(base) >= max(5.0, 2.5 * critical) * sqrt(variance_c):
        half = critical * sqrt(_variance_against(estimate, 1.0 + lift)) / abs(base)
        return Lift(lift, Interval(lift - half, lift + half), "delta")
    return _fieller(estimate, lift, critical=critical)


def non_inferiority(
    estimate: Estimate, *, margin: float, relative: bool
) -> NonInferiority | Inconclusive:
    """For outcomes of which more is better; of others, pass the flipped estimate.

    margin: in the outcome's unit, or a share of the control's mean if relative, whose own error
    then counts: the null is m_t = (1 - margin) m_c, or (1 + margin) m_c under a negative m_c.
    """
    if relative and estimate.control_mean == 0.0:
        return Inconclusive("zero-baseline")
    kept = 1.0
    if relative:
        kept -= margin if estimate.control_mean > 0.0 else -margin
        difference = estimate.difference + margin * abs(estimate.control_mean)
        variance = _variance_against(estimate, kept)
    else:
        difference, variance = estimate.difference + margin, estimate.variance
    if variance <= 0.0:
        return Inconclusive("no-variance")
    return NonInferiority(difference / sqrt(variance), difference, variance)


def _estimate(difference: float, control: _Arm, treatment: _Arm) -> Estimate | Inconclusive:
    n_c, mean_c, variance_c = control
    n_t, mean_t, variance_t = treatment
    variance = variance_c + variance_t
    if not isfinite(variance + difference):
        return Inconclusive("out-of-range")
    df = float(n_c + n_t - 2)
    if variance > 0.0:
        share_c, share_t = variance_c / variance, variance_t / variance
        df = 1.0 / (share_c * share_c / (n_c - 1) + share_t * share_t / (n_t - 1))
    return Estimate(
        difference, variance, df, n_c, n_t, mean_c, mean_t, variance_c, variance_t, 0.0, variance
    )


def _ratio(pair: PairMoments) -> _Arm | Inconclusive:
    if pair.n < 2:
        return Inconclusive("too-few-units")
    if pair.mean_x == 0.0:
        return Inconclusive("zero-denominator")
    ratio = pair.mean_y / pair.mean_x
    return (pair.n, ratio, _spread_around(pair, ratio) / pair.mean_x / pair.mean_x / pair.n)


def _spread_around(pair: PairMoments, slope: float) -> float:
    """The variance of y - slope * x; what is within rounding of zero is zero."""
    parts = pair.var_y + slope * slope * pair.var_x
    spread = parts - 2.0 * slope * pair.cov
    return spread if spread > 4e-15 * parts else 0.0


def _with_shared_error(
    adjusted: Estimate,
    plain: Estimate,
    control: PairMoments,
    treatment: PairMoments,
    *,
    slope: float,
    factor: float,
) -> Estimate:
    """Both adjusted means hold slope * (pooled mean of x), and so vary together."""
    n_c, n_t = control.n, treatment.n
    n = n_c + n_t
    pooled = slope * slope * (n_c * control.var_x + n_t * treatment.var_x) / (n * n)
    with_c = slope * (control.cov - slope * control.var_x) / n
    with_t = slope * (treatment.cov - slope * treatment.var_x) / n
    return adjusted._replace(
        control_variance=adjusted.control_variance + factor * (pooled + 2.0 * with_c),
        treatment_variance=adjusted.treatment_variance + factor * (pooled + 2.0 * with_t),
        covariance=factor * (pooled + with_c + with_t),
        plain_variance=plain.variance,
    )


def _satterthwaite(parts: Sequence[tuple[float, float]], variance: float) -> float:
    if variance <= 0.0:
        return sum(df for _, df in parts)
    return 1.0 / sum((part / variance) ** 2 / df for part, df in parts)


def _variance_against(estimate: Estimate, ratio: float) -> float:
    """The variance of m_t - ratio * m_c."""
    own = estimate.treatment_variance + ratio * ratio * estimate.control_variance
    return max(0.0, own - 2.0 * ratio * estimate.covariance)


def _fieller(estimate: Estimate, lift: float, *, critical: float) -> Lift | Inconclusive:
    base, variance_c = estimate.control_mean, estimate.control_variance
    unit = critical / base
    g = unit * unit * variance_c
    if g >= 1.0:
        return Inconclusive("unbounded-lift")
    slope = estimate.covariance / variance_c
    ratio = 1.0 + lift
    apart = estimate.treatment_variance - slope * estimate.covariance
    spread = max(0.0, _variance_against(estimate, ratio) - g * apart)
    middle, half = (ratio - g * slope) / (1.0 - g), abs(unit) * sqrt(spread) / (1.0 - g)
    return Lift(lift, Interval(middle - half - 1.0, middle + half - 1.0), "fieller")
