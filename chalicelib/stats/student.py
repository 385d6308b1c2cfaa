"""Student's t distribution for any real degrees of freedom, by sums of positive terms.
No tail is ever one minus the other, and no special-function library is needed."""

from math import copysign, erfc, exp, expm1, inf, isnan, lgamma, log, log1p, pi, sqrt

from chalicelib.stats import normal

_LOG_SQRT_PI = 0.5 * log(pi)
_TWO_DENSITIES_AT_ZERO = sqrt(2.0 / pi)
_NORMAL_FROM = 13.0
_MOST_DECAY = 0.9
_MOST_STEPS = 80
_LAST_STEP = 1e-7  # relative; what it leaves is of the order of its square
_EXPANSION = (
    (-1 / 12, 3.0, 3.0),
    (1 / 160, 7.0, 35.0),
    (-61 / 120_960, 11.0, 99.0),
    (1_261 / 29_030_400, 15.0, 195.0),
    (-79 / 20_275_200, 19.0, 323.0),
    (66_643 / 185_980_354_560, 23.0, 483.0),
    (-16_820_653 / 502_146_957_312_000, 27.0, 675.0),
)
"""For k = 1, 2, ...: the Taylor coefficient of y**(2k) in sqrt(y / sinh y), 4k - 1, and
(4k - 1)(4k - 3)."""


def two_sided_p(t: float, df: float) -> float:
    """P(|T| >= |t|), for df > 0; relative error below 1e-10 down to 1e-300."""
    if not df > 0.0 or isnan(t):
        raise ValueError(f"t is a number and df positive, not {t!r} and {df!r}")
    return _tail(_decay(abs(t), df), df)


def quantile(p: float, df: float) -> float:
    """The t with P(T <= t) = p; a p close to one has lost its digits, see upper_quantile."""
    return -upper_quantile(p, df)


def upper_quantile(q: float, df: float) -> float:
    """The t with P(T > t) = q, for 1e-300 <= q < 1; relative error below 1e-9.

    Large df: the normal quantile and three terms in 1 / df (Hill 1970, Algorithm 396).
    Otherwise Newton's method, in t near the centre and in log t in the tail.
    """
    if not df > 0.0:
        raise ValueError(f"df is positive, not {df!r}")
    z = normal.upper_quantile(q)
    z2, a = z * z, df - 0.5
    b = 48.0 * a * a
    if df > _NORMAL_FROM and b * b * b > 1e13 * (z2 + 3.0) ** 5:
        second = (((4.0 * z2 + 63.0) * z2 + 360.0) * z2 + 945.0) / (10.0 * b)
        w = z * (1.0 - (z2 + 3.0 - second) / b)
        return copysign(sqrt(df * expm1(w * w / a)), z)
    if q > 0.5:
        return -upper_quantile(1.0 - q, df)
    return _near_the_centre(q, df, z) if q > 0.2 else exp(_in_the_tail(q, df, log(z)))


def _decay(t: float, df: float) -> float:
    """log(1 + t^2 / df), also where the square has no float."""
    return log1p(t * t / df) if t < 1e150 else 2.0 * log(t) - log(df)


def _tail(decay: float, df: float) -> float:
    """I_x(a, 1/2) for x = exp(-decay), a = df / 2, raised term by term to a larger a.

    I_x(a, b) = I_x(a + 1, b) + x^a (1 - x)^b / (a B(a, b)) (DLMF 8.17.20): the terms fall
    like x^j, and where x is close to one the expansion around the normal takes over.
    """
    is_near = decay < _MOST_DECAY
    if is_near and df >= _NORMAL_FROM:
        return _near_normal(decay, df)
    a, x, total = 0.5 * df, exp(-decay), 0.0
    term = _first_term(decay, a)
    while is_near or term > 1e-17 * total:
        if is_near and a >= 0.5 * _NORMAL_FROM:
            return total + _near_normal(decay, 2.0 * a)
        total += term
        term *= x * (a + 0.5) / (a + 1.0)
        a += 1.0
    return total


def _first_term(decay: float, a: float) -> float:
    log_beta = lgamma(a + 1.0) + _LOG_SQRT_PI - lgamma(a + 0.5)
    return sqrt(-expm1(-decay)) * exp(-a * decay - log_beta)


def _near_normal(decay: float, df: float) -> float:
    """The two-sided tail as a normal tail and moments of it.

    With s^2 = (df - 1/2) log(1 + t^2 / df) the density of t becomes that of a normal s times
    sqrt(y / sinh y), y = s^2 / (2 df - 1), which is integrated term by term from its Taylor
    series; dividing by the same sum over the whole line sets the constant. The first term left
    out bounds the relative error: 3.2e-9 E[y^16], below 2e-11 for df >= 13 and y < 0.45.
    """
    a = df - 0.5
    z2 = a * decay
    r = 0.25 / (a * a)
    moment = total = erfc(sqrt(0.5 * z2))
    mass = whole = 1.0
    edge = _TWO_DENSITIES_AT_ZERO * exp(-0.5 * z2) * sqrt(z2) * r
    for coefficient, odd, odds in _EXPANSION:
        moment = edge * (z2 + odd) + odds * r * moment
        whole *= odds * r
        change = coefficient * moment
        total += change
        mass += coefficient * whole
        if abs(change) <= 1e-15 * total:
            break
        edge *= z2 * z2 * r
    return total / mass


def _near_the_centre(q: float, df: float, t: float) -> float:
    """From the normal quantile, which is the smaller, Newton's method climbs to the root."""
    for _ in range(_MOST_STEPS):
        if t <= 0.0:
            return 0.0
        decay = _decay(t, df)
        step = (0.5 * _tail(decay, df) - q) * t / (0.5 * df * _first_term(decay, 0.5 * df))
        t += step
        if abs(step) <= _LAST_STEP * t:
            break
    return t


def _in_the_tail(q: float, df: float, log_t: float) -> float:
    """log t; the log of the tail is concave and soon a straight line in log t.

    A step so far that the tail has no float any more is taken back by half.
    """
    step = 0.0
    for _ in range(_MOST_STEPS):
        decay = _decay(exp(log_t), df) if log_t < 345.0 else 2.0 * log_t - log(df)
        tail = 0.5 * _tail(decay, df)
        if tail == 0.0:
            step *= 0.5
            log_t -= step
            continue
        step = log(tail / q) * tail / (0.5 * df * _first_term(decay, 0.5 * df))
        log_t += step
        if abs(step) <= _LAST_STEP or log_t > 709.0:
            break
    return log_t if log_t <= 709.0 else inf
