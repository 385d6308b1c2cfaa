"""Two conversion rates from successes and units alone, also when hardly anybody converts.
No unit counts twice, and no rate of zero or one makes a width of zero."""

from math import fsum, sqrt
from typing import NamedTuple

from chalicelib.stats import normal
from chalicelib.stats.answers import Inconclusive, Interval


class _Table(NamedTuple):
    """A two by two table by its margins and its sparsest cell, which is in `row` and `column`."""

    cell: int
    row: int
    column: int
    total: int

    @property
    def expected(self) -> float:
        return self.row * self.column / self.total


def p_value(
    control_successes: int, control_n: int, treatment_successes: int, treatment_n: int
) -> float | Inconclusive:
    """Two-sided, of the null that both rates are one.

    The pooled z test; Fisher's exact test where a cell expects fewer than 5 units, or holds
    fewer than 5 and expects fewer than 200. `no-variance` where nobody or everybody converted.
    """
    _check(control_successes, control_n)
    _check(treatment_successes, treatment_n)
    if control_n == 0 or treatment_n == 0:
        return Inconclusive("empty-arm")
    total, successes = control_n + treatment_n, control_successes + treatment_successes
    failures = total - successes
    if successes == 0 or failures == 0:
        return Inconclusive("no-variance")
    cells = (
        _Table(control_successes, control_n, successes, total),
        _Table(treatment_successes, treatment_n, successes, total),
        _Table(control_n - control_successes, control_n, failures, total),
        _Table(treatment_n - treatment_successes, treatment_n, failures, total),
    )
    sparsest = min(cells, key=lambda cell: cell.row * cell.column)
    if sparsest.expected < 5.0:
        return _fisher(sparsest)
    emptiest = min(cells)
    if emptiest.cell < 5 and emptiest.expected < 200.0:
        return _fisher(emptiest)
    apart = treatment_successes * control_n - control_successes * treatment_n
    return normal.two_sided_p(apart / sqrt(successes * failures * control_n * treatment_n / total))


def interval(
    control_successes: int,
    control_n: int,
    treatment_successes: int,
    treatment_n: int,
    *,
    alpha: float,
) -> Interval | Inconclusive:
    """Of the treatment's rate minus the control's (Newcombe 1998, method 10)."""
    control = wilson(control_successes, control_n, alpha=alpha)
    treatment = wilson(treatment_successes, treatment_n, alpha=alpha)
    if isinstance(control, Inconclusive) or isinstance(treatment, Inconclusive):
        return Inconclusive("empty-arm")
    rate_c, rate_t = control_successes / control_n, treatment_successes / treatment_n
    down = sqrt((rate_t - treatment.low) ** 2 + (control.high - rate_c) ** 2)
    up = sqrt((treatment.high - rate_t) ** 2 + (rate_c - control.low) ** 2)
    return Interval(rate_t - rate_c - down, rate_t - rate_c + up)


def wilson(successes: int, n: int, *, alpha: float) -> Interval | Inconclusive:
    """Of one rate: those a score test does not reject (Wilson 1927)."""
    _check(successes, n)
    if n == 0:
        return Inconclusive("empty-arm")
    z = normal.upper_quantile(0.5 * alpha)
    middle = successes + 0.5 * z * z
    half = z * sqrt(successes * (n - successes) / n + 0.25 * z * z)
    low = (middle - half) / (n + z * z) if successes else 0.0
    high = (middle + half) / (n + z * z) if successes < n else 1.0
    return Interval(low, high)


def _check(successes: int, n: int) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"successes are between 0 and n, not {successes!r} of {n!r}")


def _fisher(table: _Table) -> float:
    """The chance, given the margins, of all tables no likelier than this one.

    Weights are ratios to the likeliest table, walked away from it until floats end: no
    factorial, and the same digits at ten units as at ten billion.
    """
    _, row, column, total = table
    mode = (row + 1) * (column + 1) // (total + 2)
    weights = {mode: 1.0}
    for step, ratio in ((1, _rise), (-1, _fall)):
        count, weight = mode, 1.0
        while weight > 0.0:
            weight *= ratio(table, count)
            count += step
            weights[count] = weight
    observed = weights.get(table.cell, 0.0) * (1.0 + 1e-7)
    return fsum(w for w in weights.values() if w <= observed) / fsum(weights.values())


def _rise(table: _Table, count: int) -> float:
    """How much likelier count + 1 is than count; zero past what the margins allow."""
    _, row, column, total = table
    ways = (count + 1) * (total - row - column + count + 1)
    return (row - count) * (column - count) / ways


def _fall(table: _Table, count: int) -> float:
    """How much likelier count - 1 is than count; zero past what the margins allow."""
    _, row, column, total = table
    ways = (row - count + 1) * (column - count + 1)
    return count * (total - row - column + count) / ways
