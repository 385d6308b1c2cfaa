"""Calibration: simulated experiments without a difference, in which someone looks at every step.

20,000 paths a scenario, all random numbers seeded. Paths are arrays of sums; every threshold that
they are compared with, every share and every evidence near an alarm comes from the shipped code.
A rate is held to alpha plus three standard errors of the simulation.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from chalicelib.stats import allocation, group_sequential, planning, sequences, srm
from chalicelib.stats.group_sequential import Look

PATHS = 20_000
LOOKS = 200
ALPHA = 0.05
FIRST_UNITS = 100
"""Units of each arm at the first look."""

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def most(alpha: float, paths: int = PATHS) -> float:
    return alpha + 3.0 * math.sqrt(alpha * (1.0 - alpha) / paths)


class Paths(NamedTuple):
    """z: treatment less control, variances estimated, shape (looks, paths). units: of each arm."""

    z: Floats
    units: list[int]


class Sums(NamedTuple):
    """What new units of an arm add: sums of values and of squares, shape (paths,)."""

    total: Floats
    squares: Floats


def normal_sums(rng: np.random.Generator, units: int) -> Sums:
    total = rng.standard_normal(PATHS) * math.sqrt(units)
    return Sums(total, rng.chisquare(units - 1, PATHS) + total * total / units)


def binomial_sums(rng: np.random.Generator, units: int) -> Sums:
    successes = rng.binomial(units, 0.1, PATHS).astype(float)
    return Sums(successes, successes)


def rare_sums(rng: np.random.Generator, units: int) -> Sums:
    successes = rng.binomial(units, 0.01, PATHS).astype(float)
    return Sums(successes, successes)


def lognormal_sums(rng: np.random.Generator, units: int) -> Sums:
    # The logarithm's deviation, for which the values' own deviation is two.
    sigma = math.sqrt(math.log((1.0 + math.sqrt(17.0)) / 2.0))
    values = np.exp(sigma * rng.standard_normal((units, PATHS), dtype=np.float32))
    return Sums(values.sum(axis=0, dtype=float), np.square(values).sum(axis=0, dtype=float))


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


def column(values: list[float] | tuple[float, ...]) -> Floats:
    return np.asarray(values)[:, np.newaxis]


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


class Ramp(NamedTuple):
    """A control and a smaller treatment arm of skewed values: units at the first look, and new."""

    draw: Callable[[np.random.Generator, int], Sums]
    first: tuple[int, int]
    step: tuple[int, int]


RAMPS = {
    "binomial p = .01, 9 to 1": Ramp(rare_sums, (900, 100), (90, 10)),
    "binomial p = .1, 99 to 1": Ramp(binomial_sums, (9_900, 100), (990, 10)),
    "lognormal sd 2, 9 to 1": Ramp(lognormal_sums, (900, 100), (90, 10)),
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


class Phase(NamedTuple):
    """Looks with one set of declared weights, and the shares that truly hold."""

    weights: tuple[float, ...]
    shares: tuple[float, ...]
    looks: int


def honest(*weights: float, looks: int = LOOKS) -> Phase:
    return Phase(weights, weights, looks)


SPLITS = {
    "half and half": [honest(0.5, 0.5)],
    "nine to one": [honest(0.9, 0.1)],
    "three arms": [honest(0.5, 0.3, 0.2)],
    "two phases": [honest(0.95, 0.05, looks=100), honest(0.5, 0.5, looks=100)],
}


def first_alarms(phases: list[Phase], *, units: int, paths: int, alpha: float) -> float:
    """The share of paths in which the evidence of mismatch ever reaches 1/alpha.

    A mixture of likelihood ratios is never above the largest one, half of the G statistic: the
    shipped evidence is asked wherever that bound lets an alarm be possible.
    """
    rng = np.random.default_rng(7)
    alarmed = np.zeros(paths, dtype=bool)
    done: list[tuple[Counts, tuple[float, ...]]] = []
    highest_before = np.zeros(paths)
    for phase in phases:
        counts = np.zeros((paths, len(phase.weights)), dtype=np.int64)
        highest = highest_before
        for _ in range(phase.looks):
            counts = counts + rng.multinomial(units, phase.shares, size=paths)
            expected = counts.sum(axis=1, keepdims=True) * np.asarray(phase.weights)
            likelihood = counts * np.log(np.maximum(counts, 1) / expected)
            highest = highest_before + likelihood.sum(axis=1)
            for path in np.flatnonzero((highest >= -math.log(alpha)) & ~alarmed):
                seen = [
                    (n[path].tolist(), weights) for n, weights in [*done, (counts, phase.weights)]
                ]
                alarmed[path] = srm.log_evidence_of_phases(seen) >= -math.log(alpha)
        highest_before = highest
        done.append((counts, phase.weights))
    return float(alarmed.mean())


@pytest.mark.parametrize("split", sorted(SPLITS))
@pytest.mark.parametrize("alpha", [0.001, 0.05])
def test_a_right_split_raises_an_alarm_in_at_most_alpha_of_the_paths(split: str, alpha: float):
    rate = first_alarms(SPLITS[split], units=100, paths=PATHS, alpha=alpha)

    assert 0.05 * alpha < rate <= most(alpha)


def test_a_wrong_split_is_found():
    wrong = [Phase(weights=(0.5, 0.5), shares=(0.45, 0.55), looks=50)]

    assert first_alarms(wrong, units=100, paths=1_000, alpha=0.05) > 0.95


class Pulls(NamedTuple):
    """Both arms of all batches, control first: units and successes, shape (batches, paths, 2)."""

    units: Counts
    successes: Counts


def bandit_pulls(*, batches: int, size: int, rate: float) -> Pulls:
    """Thompson shares from all batches before, recomputed by the shipped code for each path."""
    rng = np.random.default_rng(11)
    units = np.zeros((batches, PATHS, 2), dtype=np.int64)
    successes = np.zeros_like(units)
    treatment_share = np.full(PATHS, 0.5)
    for batch in range(batches):
        treated = rng.binomial(size, treatment_share)
        units[batch] = np.stack([size - treated, treated], axis=1)
        successes[batch] = rng.binomial(units[batch], rate)
        n, s = units.sum(axis=0), successes.sum(axis=0)
        # Beta(1 + s, 1 + f), by its mean and variance.
        means = (s + 1.0) / (n + 2.0)
        variances = means * (1.0 - means) / (n + 3.0)
        pairs = zip(means.tolist(), variances.tolist(), strict=True)
        treatment_share = np.array([allocation.thompson_shares(m, v)[1] for m, v in pairs])
    return Pulls(units, successes)


def batched_score(units: list[list[int]], successes: list[list[int]]) -> float:
    """The shipped statistic of one path."""
    batches: list[allocation.Batch] = []
    for (n0, n1), (s0, s1) in zip(units, successes, strict=True):
        within = (s0 - s0 * s0 / n0 if n0 else 0.0) + (s1 - s1 * s1 / n1 if n1 else 0.0)
        batches.append(
            allocation.Batch(
                n0, s0 / max(n0, 1), n1, s1 / max(n1, 1), variance=within / (n0 + n1 - 2)
            )
        )
    found = allocation.batched_z(batches)
    assert isinstance(found, allocation.BatchedZ)
    return found.z


def test_after_a_bandit_the_batched_statistic_holds_and_welchs_does_not():
    pulls = bandit_pulls(batches=25, size=100, rate=0.5)
    by_path = zip(
        pulls.units.swapaxes(0, 1).tolist(), pulls.successes.swapaxes(0, 1).tolist(), strict=True
    )
    n, s = pulls.units.sum(axis=0), pulls.successes.sum(axis=0)
    means = s / n
    naive = (means[:, 1] - means[:, 0]) / np.sqrt((means * (1.0 - means) / n).sum(axis=1))

    batched = np.array([batched_score(units, successes) for units, successes in by_path])

    assert 0.5 * ALPHA < (np.abs(batched) >= 1.959964).mean() <= most(ALPHA)
    assert (np.abs(naive) >= 1.959964).mean() > most(ALPHA)
