"""Calibration: simulated experiments without a difference, in which someone looks at every step.

20,000 paths a scenario, all random numbers seeded. Paths are arrays of sums; every threshold that
they are compared with comes from the shipped code. A rate is held to alpha plus three standard
errors of the simulation.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from chalicelib.stats import group_sequential, planning, sequences
from chalicelib.stats.group_sequential import Look
from tests.stats.simulated import (
    ALPHA,
    LOOKS,
    PATHS,
    Floats,
    Sums,
    binomial_sums,
    column,
    lognormal_sums,
    most,
    normal_sums,
)

FIRST_UNITS = 100
"""Units of each arm at the first look."""


class Paths(NamedTuple):
    """z: treatment less control, variances estimated, shape (looks, paths). units: of each arm."""

    z: Floats
    units: list[int]


SCENARIOS: dict[str, tuple[Callable[[np.random.Generator, int], Sums], int]] = {
    "binomial p = .1": (binomial_sums, 100),
    "lognormal sd 2": (lognormal_sums, 10),
    "normal": (normal_sums, 100),
}
"""How an arm's sums grow, and by how many units between two looks."""
each_scenario = pytest.mark.parametrize("scenario", sorted(SCENARIOS))


@cache
def paths_without_a_difference(scenario: str) -> Paths:
    rng = np.random.default_rng(20_261_121)
    draw, step = SCENARIOS[scenario]
    z = np.empty((LOOKS, PATHS))
    units = [FIRST_UNITS + step * look for look in range(LOOKS)]
    arms = [Sums(np.zeros(PATHS), np.zeros(PATHS)) for _ in range(2)]
    for look, n in enumerate(units):
        new = [draw(rng, step if look else FIRST_UNITS) for _ in arms]
        arms = [
            Sums(a.total + b.total, a.squares + b.squares) for a, b in zip(arms, new, strict=True)
        ]
        control, treatment = arms
        spread = sum(arm.squares - arm.total**2 / n for arm in arms) * n / (n - 1.0)
        z[look] = (treatment.total - control.total) / np.sqrt(np.maximum(spread, 1e-300))
    return Paths(z, units)


def ratios(units: list[int]) -> list[float]:
    """Of the sequences, tuned for half the units of the last look."""
    effective = [sequences.effective_units(n, n) for n in units]
    tuned = 0.5 * effective[-1]
    return [sequences.information_ratio(n, tuned_for_units=tuned, alpha=ALPHA) for n in effective]


def ever(crossed: npt.NDArray[np.bool_]) -> float:
    """The share of paths in which any look crosses."""
    return float(crossed.any(axis=0).mean())


@each_scenario
def test_a_test_made_for_one_look_rejects_far_too_often_when_repeated(scenario: str):
    # That the paths can fail a method at all.
    paths = paths_without_a_difference(scenario)

    assert ever(np.abs(paths.z) >= 1.96) > 0.2


@each_scenario
def test_the_one_sided_sequence_holds_at_every_look(scenario: str):
    paths = paths_without_a_difference(scenario)
    critical = [sequences.critical_above(g, alpha=ALPHA) for g in ratios(paths.units)]

    assert 0.005 < ever(paths.z >= column(critical)) <= most(ALPHA)
    assert 0.005 < ever(-paths.z >= column(critical)) <= most(ALPHA)


@each_scenario
def test_the_two_sided_sequence_holds_at_every_look(scenario: str):
    paths = paths_without_a_difference(scenario)
    critical = [sequences.critical(g, alpha=ALPHA) for g in ratios(paths.units)]

    assert 0.005 < ever(np.abs(paths.z) >= column(critical)) <= most(ALPHA)


def test_the_one_sided_sequence_holds_when_the_truth_is_worse_than_zero():
    paths = paths_without_a_difference("normal")
    worse = paths.z - 0.5 * np.sqrt(column(paths.units) / paths.units[-1])
    critical = [sequences.critical_above(g, alpha=ALPHA) for g in ratios(paths.units)]

    assert ever(worse >= column(critical)) < ever(paths.z >= column(critical))


@each_scenario
@pytest.mark.parametrize("every", [1, 20])
def test_planned_looks_reject_in_alpha_of_the_paths(scenario: str, every: int):
    paths = paths_without_a_difference(scenario)
    looks = [Look(n / paths.units[-1], n) for n in paths.units[every - 1 :: every]]
    bounds = group_sequential.boundary(looks, alpha=ALPHA)

    rejected = ever(paths.z[every - 1 :: every] >= column(bounds))

    assert 0.5 * ALPHA < rejected <= most(ALPHA)


@each_scenario
def test_an_extension_that_is_always_taken_is_paid_by_the_reserve(scenario: str):
    paths = paths_without_a_difference(scenario)
    at = [*range(14, 150, 15), LOOKS - 1]
    horizon = paths.units[149]
    looks = [Look(paths.units[look] / horizon, paths.units[look]) for look in at]
    bounds = group_sequential.boundary(looks, alpha=ALPHA, reserve=0.2)

    crossed = paths.z[at] >= column(bounds)

    assert ever(crossed[:-1]) <= most(0.8 * ALPHA)
    assert ever(crossed[:-1]) < ever(crossed) <= most(ALPHA)


def test_the_power_at_the_design_effect_is_the_promised_one():
    paths = paths_without_a_difference("normal")
    units = np.asarray(paths.units[19::20])
    drift = planning.needed_drift(alpha=2.0 * ALPHA, power=0.8, looks=10)
    looks = [Look(n / units[-1], n / units[-1]) for n in units]
    bounds = group_sequential.boundary(looks, alpha=ALPHA)
    promised = sum(group_sequential.crossing_probabilities(looks, bounds, drift=drift))

    found = ever(paths.z[19::20] + drift * column(np.sqrt(units / units[-1])) >= column(bounds))

    assert abs(found - promised) <= 3.0 * math.sqrt(0.8 * 0.2 / PATHS)


def test_a_sequence_finds_the_design_effect_too():
    paths = paths_without_a_difference("normal")
    drift = planning.needed_drift(alpha=2.0 * ALPHA, power=0.8)
    critical = [sequences.critical_above(g, alpha=ALPHA) for g in ratios(paths.units)]
    shift = drift * np.sqrt(column(paths.units) / paths.units[-1])

    assert ever(paths.z + shift >= column(critical)) > 0.4
