"""How large an experiment must be by its definition, for each challenger to be found if better.
Nothing here knows where a mean, a variance or traffic come from."""

from collections.abc import Mapping
from math import ceil, isfinite
from typing import NamedTuple

from chalicelib.experiments.lifecycle import planned_looks, reserve_of
from chalicelib.experiments.model import CONTROL, Definition
from chalicelib.stats import planning
from chalicelib.stats.answers import Inconclusive
from chalicelib.stats.group_sequential import Look, boundary
from chalicelib.stats.planning import Traffic

MOST_UNITS = 10**12
"""An experiment that needs more is none."""
_ROUNDING = 1e-6


class Design(NamedTuple):
    """What the rule will hold the primary metric to.

    alpha: two-sided, of one challenger: all of them share the definition's (Bonferroni). shares:
    by arm, of the experiment's units; the smallest challenger must be found with the power too.
    """

    alpha: float
    power: float
    looks: int
    reserve: float
    shares: Mapping[str, float]
    least_units_per_arm: int


def design_of(definition: Definition) -> Design:
    return Design(
        alpha=definition.alpha / len(definition.challengers),
        power=definition.power,
        looks=planned_looks(definition),
        reserve=reserve_of(definition),
        shares=definition.shares(),
        least_units_per_arm=definition.least_units_per_arm,
    )


def planned_units(definition: Definition, *, mean: float, variance: float) -> int | None:
    """Units of all arms, with a value of the primary metric, at the horizon.

    variance: of one unit's value, less what a covariate explains. None where a relative change
    means nothing (zero mean), nothing varies, or no number of units is enough.
    """
    effect = abs(mean) * definition.minimal_effect
    found = needed_units(design_of(definition), variance=variance, effect=effect)
    return None if isinstance(found, Inconclusive) else found


def needed_units(design: Design, *, variance: float, effect: float) -> int | Inconclusive:
    """As `planned_units`, for a difference of `effect` in the metric's own unit."""
    if not (isfinite(variance) and isfinite(effect)):
        return Inconclusive("out-of-range")
    if variance <= 0.0:
        return Inconclusive("no-variance")
    try:
        found = planning.units_per_arm(
            variance=variance, effect=effect, drift=drift(design), traffic=_compared(design)
        )
    except OverflowError:
        return Inconclusive("out-of-range")
    if isinstance(found, Inconclusive):
        return found
    most = max(found.total, least_units(design))
    return most if most <= MOST_UNITS else Inconclusive("out-of-range")


def found_effect(design: Design, *, variance: float, units: int) -> float | Inconclusive:
    """The smallest difference found with the design's power, once `units` have a value."""
    if variance <= 0.0:
        return Inconclusive("no-variance")
    if units < least_units(design):
        return Inconclusive("too-few-units")
    return planning.minimal_effect(
        variance=variance, units=units, drift=drift(design), traffic=_compared(design)
    )


def drift(design: Design) -> float:
    """The expected z at the horizon of an effect that is found with the design's power."""
    return planning.needed_drift(
        alpha=design.alpha, power=design.power, looks=design.looks, reserve=design.reserve
    )


def inflation(design: Design) -> float:
    """Units by those of a single look at the end that spends all of alpha."""
    return planning.inflation(
        alpha=design.alpha, power=design.power, looks=design.looks, reserve=design.reserve
    )


def fixed(design: Design) -> Design:
    """The same with a single look that spends all of alpha."""
    return design._replace(looks=1, reserve=0.0)


def by_arm(design: Design, units: float) -> dict[str, int]:
    """Each arm's part of so many units, rounded up."""
    return {arm: ceil(units * share - _ROUNDING) for arm, share in design.shares.items()}


def least_units(design: Design) -> int:
    """Until the smallest arm may be compared at all."""
    units = design.least_units_per_arm / min(design.shares.values())
    return ceil(min(units, 2.0 * MOST_UNITS) - _ROUNDING)


def looks_of(design: Design) -> list[Look]:
    """Evenly spaced, the last at the horizon."""
    return [Look(k / design.looks, k / design.looks) for k in range(1, design.looks + 1)]


def bounds_of(design: Design) -> tuple[float, ...]:
    """The z that the primary metric must reach at each look; infinite where it cannot."""
    return boundary(looks_of(design), alpha=design.alpha / 2.0, reserve=design.reserve)


def _compared(design: Design) -> Traffic:
    """The control and the challenger with the fewest units."""
    challengers = [share for arm, share in design.shares.items() if arm != CONTROL]
    return Traffic(control_share=design.shares[CONTROL], treatment_share=min(challengers))
