"""Before the first unit: how many units, how small an effect, how many days.
No result of an experiment comes in here; variances and traffic are those of the past."""

from functools import lru_cache
from math import ceil, inf, sqrt
from typing import NamedTuple

from chalicelib.stats.answers import Inconclusive
from chalicelib.stats.group_sequential import Look, boundary, crossing_probabilities
from chalicelib.stats.normal import upper_quantile

_MOST_STEPS = 60


class Traffic(NamedTuple):
    """Who is in the two arms compared, and what they tell.

    Shares are of the experiment's units (other arms take the rest). outcome_share: units whose
    outcome arrives. variance_reduction: r^2 of the covariate (Deng, Xu, Kohavi, Walker 2013).
    """

    control_share: float = 0.5
    treatment_share: float = 0.5
    outcome_share: float = 1.0
    variance_reduction: float = 0.0


EVEN = Traffic()


class Units(NamedTuple):
    """Units to assign, rounded up; total includes those of the other arms."""

    control: int
    treatment: int
    total: int


@lru_cache(maxsize=256)
def needed_drift(*, alpha: float, power: float, looks: int = 1, reserve: float = 0.0) -> float:
    """The expected z at the horizon that is found with chance `power`; alpha is two-sided.

    alpha/2 < power < 1. One look: z_{alpha/2} + z_{1-power}, the textbook's. More: solved for the
    group-sequential design with so many equally spaced looks, the last at the horizon, and its
    reserve unused.
    """
    design = [Look(k / looks, k / looks) for k in range(1, looks + 1)]
    bounds = boundary(design, alpha=alpha / 2.0, reserve=reserve)
    drift = upper_quantile(alpha / 2.0) - upper_quantile(power)
    for _ in range(_MOST_STEPS):
        found = sum(crossing_probabilities(design, bounds, drift=drift))
        step = upper_quantile(found) - upper_quantile(power)
        drift += step
        if abs(step) <= 1e-10:
            break
    return drift


def inflation(*, alpha: float, power: float, looks: int, reserve: float = 0.0) -> float:
    """How many times the units of one fixed look the group-sequential design needs at most."""
    planned = needed_drift(alpha=alpha, power=power, looks=looks, reserve=reserve)
    return (planned / needed_drift(alpha=alpha, power=power)) ** 2


def units_per_arm(
    *, variance: float, effect: float, drift: float, traffic: Traffic = EVEN
) -> Units | Inconclusive:
    """Units at the horizon for a difference of means of `effect`, in the metric's own unit.

    variance: of one unit's value. drift: from needed_drift; its error rates and looks are there.
    """
    if effect == 0.0:
        return Inconclusive("no-effect")
    total = _variance_per_unit(variance, traffic) * (drift / effect) ** 2
    if total == inf:
        return Inconclusive("no-traffic")
    control = ceil(total * traffic.control_share)
    treatment = ceil(total * traffic.treatment_share)
    return Units(control, treatment, max(ceil(total), control + treatment))


def minimal_effect(
    *, variance: float, units: int, drift: float, traffic: Traffic = EVEN
) -> float | Inconclusive:
    """The smallest difference found with the drift's power once `units` are assigned in all."""
    spread = _variance_per_unit(variance, traffic)
    if units <= 0 or spread == inf:
        return Inconclusive("no-traffic")
    return drift * sqrt(spread / units)


def duration_days(*, units: int, units_per_day: float) -> int | Inconclusive:
    """Whole days until so many units are assigned. units_per_day: new units, not requests."""
    return ceil(units / units_per_day) if units_per_day > 0.0 else Inconclusive("no-traffic")


def _variance_per_unit(variance: float, traffic: Traffic) -> float:
    """The variance of the difference, times the units assigned in all arms."""
    shares = (traffic.control_share, traffic.treatment_share)
    if min(*shares, traffic.outcome_share) <= 0.0:
        return inf
    unexplained = variance * (1.0 - traffic.variance_reduction)
    return unexplained * sum(1.0 / share for share in shares) / traffic.outcome_share
