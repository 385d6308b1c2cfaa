"""Calibration: a ramp gives the challenger few units, and its values are skewed.
Simulated without a difference; who looks at every step must not be told of one."""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

from chalicelib.stats import group_sequential, sequences
from chalicelib.stats.group_sequential import Look
from tests.stats.simulated import (
    ALPHA,
    LOOKS,
    PATHS,
    Sums,
    binomial_sums,
    lognormal_sums,
    most,
    rare_sums,
)


class Ramp(NamedTuple):
    """A control and a smaller treatment arm of skewed values: units at the first look, and new."""

    draw: Callable[[np.random.Generator, int], Sums]
    first: tuple[int, int]
    step: tuple[int, int]


RAMPS = {
    "binomial p = .01, 9 to 1": Ramp(rare_sums, (900, 100), (90, 10)),
    "binomial p = .1, 99 to 1": Ramp(binomial_sums, (9_900, 100), (990, 10)),
    "lognormal sd 2, 9 to 1": Ramp(lognormal_sums, (450, 50), (45, 5)),
}
DECISIONS = ["planned, above", "planned, below", "sequence, above", "sequence, below"]


class RampRates(NamedTuple):
    """Share of paths that ever cross, by decision: with Welch's variance, and with the shipped."""

    welch: dict[str, float]
    shipped: dict[str, float]


@cache
def ramp_rates(name: str) -> RampRates:
    """The shipped variance is asked where Welch's, which is never larger, lets a path cross."""
    ramp, rng = RAMPS[name], np.random.default_rng(5)
    crossed = {kind: np.zeros((2, PATHS), dtype=bool) for kind in DECISIONS}
    arms = [Sums(np.zeros(PATHS), np.zeros(PATHS)) for _ in range(2)]
    bounds = ramp_bounds(ramp)
    for look in range(LOOKS):
        n = [first + look * step for first, step in zip(ramp.first, ramp.step, strict=True)]
        for arm, size in enumerate(ramp.step if look else ramp.first):
            new = ramp.draw(rng, size)
            arms[arm] = Sums(arms[arm].total + new.total, arms[arm].squares + new.squares)
        spread = [
            (a.squares - a.total**2 / m) / (m - 1.0) / m for a, m in zip(arms, n, strict=True)
        ]
        difference = arms[1].total / n[1] - arms[0].total / n[0]
        welch = difference / np.sqrt(np.maximum(spread[0] + spread[1], 1e-300))
        for kind in DECISIONS:
            sign = 1.0 if kind.endswith("above") else -1.0
            bound = bounds[kind.split(",")[0]][look]
            for path in np.flatnonzero((sign * welch >= bound) & ~crossed[kind][1]):
                variance = sequences.cautious_variance(
                    difference=float(difference[path]),
                    control_n=n[0],
                    control_variance=float(spread[0][path]),
                    treatment_n=n[1],
                    treatment_variance=float(spread[1][path]),
                )
                crossed[kind][0][path] = True
                crossed[kind][1][path] = sign * difference[path] >= bound * math.sqrt(variance)
    rates = [
        {kind: float(both[which].mean()) for kind, both in crossed.items()} for which in (0, 1)
    ]
    return RampRates(welch=rates[0], shipped=rates[1])


def ramp_bounds(ramp: Ramp) -> dict[str, list[float]]:
    units = [
        sequences.effective_units(
            ramp.first[0] + look * ramp.step[0], ramp.first[1] + look * ramp.step[1]
        )
        for look in range(LOOKS)
    ]
    tenth = [look for look in range(LOOKS) if look % 20 == 19]
    looks = [Look(units[look] / units[-1], units[look]) for look in tenth]
    planned = [math.inf] * LOOKS
    for look, bound in zip(tenth, group_sequential.boundary(looks, alpha=ALPHA), strict=True):
        planned[look] = bound
    ratio = [
        sequences.information_ratio(n, tuned_for_units=0.5 * units[-1], alpha=ALPHA) for n in units
    ]
    sequence = [sequences.critical_above(g, alpha=ALPHA) for g in ratio]
    return {"planned": planned, "sequence": sequence}


@pytest.mark.parametrize("ramp", sorted(RAMPS))
@pytest.mark.parametrize("decision", DECISIONS)
def test_a_small_arm_of_skewed_values_is_decided_on_in_at_most_alpha(ramp: str, decision: str):
    assert 0.001 < ramp_rates(ramp).shipped[decision] <= most(ALPHA)


@pytest.mark.parametrize("ramp", sorted(RAMPS))
def test_welchs_variance_alone_would_roll_a_small_arm_back_too_often(ramp: str):
    assert ramp_rates(ramp).welch["sequence, below"] > most(ALPHA)
