"""Reports of simulated experiments without a difference, from events through the fold to numbers.

All random numbers are seeded; bounds are binomial, 3.5 standard errors around what is promised."""

import math
from functools import cache

import numpy as np
import pytest

from chalicelib.experiments.analysis.analysis import analyse
from chalicelib.experiments.analysis.comparisons import Frame, Question, compare
from chalicelib.experiments.analysis.report import Analysis, Comparison
from chalicelib.experiments.counting.fold import Entry, Tally, entry_of, make_counting
from chalicelib.experiments.counting.sums import Six
from chalicelib.experiments.events import SCALE, Event
from chalicelib.registry.metrics import Metric
from tests.builders.sums import STARTED, make_experiment

ALPHA = 0.05
RUNS, UNITS = 1_000, 40
"""Simulated experiments, and units of each arm in them."""
METRICS = [
    Metric(name="score"),
    Metric(name="bought", kind="binary"),
    Metric(name="clicks", kind="count"),
    Metric(name="revenue", kind="revenue", cap=60.0),
    Metric(name="hits", kind="ratio", denominator="tries"),
]
NAMES = [metric.name for metric in METRICS]


def error(runs: int) -> float:
    return 3.5 * math.sqrt(ALPHA * (1 - ALPHA) / runs)


def told_by_units(rng: np.random.Generator) -> list[Entry]:
    """Of one run: units differ in how often they come, in mood, and in how often they hit."""
    n = 2 * UNITS
    tries = 1 + rng.poisson(8, n)
    values = {
        "score": rng.normal(3, 1, n),
        "bought": rng.binomial(1, 0.3, n),
        "clicks": rng.poisson(2.0, n),
        "revenue": rng.exponential(30, n),
        "hits": rng.binomial(tries, rng.beta(2, 3, n)),
        "tries": tries,
    }
    ticks = {
        name: np.rint(found * SCALE).astype(np.int64).tolist() for name, found in values.items()
    }
    # As they are validated at the door: made without, because there are a quarter of a million.
    return [
        entry_of(
            Event.model_construct(
                id=f"u{unit}",
                kind="outcome",
                arm="treatment" if unit % 2 else "control",
                phase=1,
                unit=f"u{unit}",
                predicted_at_ms=0,
                nonce=f"u{unit}",
                ticks={name: found[unit] for name, found in ticks.items()},
            )
        )
        for unit in range(n)
    ]


@cache
def reports() -> list[Analysis]:
    rng = np.random.default_rng(10)
    experiment = make_experiment(metrics=METRICS, secondary=NAMES[1:], least_units_per_arm=20)
    counting = make_counting(METRICS)
    found: list[Analysis] = []
    for _ in range(RUNS):
        tally = Tally(counting)
        tally.add(told_by_units(rng))
        found.append(analyse(experiment, tally.sums(), now=STARTED))
    return found


def by(metric: str) -> list[Comparison]:
    return [one.comparisons[NAMES.index(metric)] for one in reports()]


@pytest.mark.parametrize("metric", NAMES)
def test_the_interval_covers_the_true_difference_as_often_as_it_says(metric: str):
    found = [one.interval for one in by(metric)]

    covered = [
        one is not None
        and one.low is not None
        and one.high is not None
        and one.low <= 0 <= one.high
        for one in found
    ]

    assert abs(np.mean(covered) - (1 - ALPHA)) <= error(RUNS) + (0.005 if metric == "bought" else 0)


def test_many_requests_of_a_unit_are_not_taken_for_many_units():
    found = by("hits")
    rejected = np.mean([one.p_value is not None and one.p_value <= ALPHA for one in found])

    # What a test of requests would say of the same runs: as many as 9 tries a unit on average.
    requests = 9 * UNITS
    naive = [
        abs(one.difference or 0) / math.sqrt(2 * rate * (1 - rate) / requests) >= 1.96
        for one in found
        for rate in [((one.mean or 0) + (one.control_mean or 0)) / 2]
    ]
    assert abs(rejected - ALPHA) <= error(RUNS)
    assert np.mean(naive) > 3 * ALPHA


LOOKS, PATHS, NEW = 100, 1_000, 100
"""Looks, simulated experiments, and new units of both arms between two looks."""
_NEAR = 1.9
"""A plain z below leaves neither interval: both are wider than 1.96 plain standard errors."""


class Grown:
    """Sums of one arm in one phase, of all paths: values in thousandths, shape (paths,)."""

    def __init__(self) -> None:
        self.n = 0
        self.s = np.zeros(PATHS, dtype=np.int64)
        self.ss = np.zeros(PATHS, dtype=np.int64)

    def grow(self, rng: np.random.Generator, mean: float, units: int) -> None:
        new = np.rint(rng.normal(mean, 1, (units, PATHS)) * 1e3).astype(np.int64)
        self.n += units
        self.s += new.sum(axis=0)
        self.ss += (new * new).sum(axis=0)

    def variance(self) -> np.ndarray:
        return (self.ss - self.s**2 / self.n) / (self.n - 1) / self.n

    def six(self, path: int) -> Six:
        return [self.n, int(self.s[path]) * 10**6, int(self.ss[path]) * 10**12, 0, 0, 0]


def plain_z(phases: list[tuple[Grown, Grown]]) -> np.ndarray:
    sizes = [c.n + t.n for c, t in phases]
    difference = sum(k * (t.s / t.n - c.s / c.n) for k, (c, t) in zip(sizes, phases, strict=True))
    variance = sum(
        k * k * (c.variance() + t.variance()) for k, (c, t) in zip(sizes, phases, strict=True)
    )
    return np.abs(difference) / np.sqrt(variance)


def ever_outside(shares: list[float], seed: int) -> dict[str, float]:
    """The share of paths of equal arms in which an interval, at any look, leaves out the truth.

    shares: of the treatment, in phases of as many looks each; the mean is another in each phase.
    """
    rng = np.random.default_rng(seed)
    experiment = make_experiment(least_units_per_arm=20)
    frame, question = Frame.of(experiment), Question(Metric(name="score"), "primary")
    outside = {name: np.zeros(PATHS, dtype=bool) for name in ("sequence", "interval")}
    phases: list[tuple[Grown, Grown]] = []
    for look in range(LOOKS):
        phase = look * len(shares) // LOOKS
        if phase == len(phases):
            phases.append((Grown(), Grown()))
        treated = round(NEW * shares[phase])
        for arm, units in zip(phases[-1], (NEW - treated, treated), strict=True):
            arm.grow(rng, mean=phase, units=units)
        for path in np.flatnonzero((plain_z(phases) >= _NEAR) & ~outside["sequence"]):
            control, treatment = (
                {number: arms[side].six(int(path)) for number, arms in enumerate(phases)}
                for side in (0, 1)
            )
            found = compare(frame, question, arm="treatment", control=control, treatment=treatment)
            for name, bounds in (("sequence", found.sequence), ("interval", found.interval)):
                assert bounds is not None
                outside[name][path] |= not (bounds.low or 0) <= 0 <= (bounds.high or 0)
    return {name: float(found.mean()) for name, found in outside.items()}


@pytest.mark.parametrize("shares", [[0.5], [0.5, 0.1, 0.8]], ids=["one phase", "three phases"])
def test_a_sequence_may_be_looked_at_a_hundred_times(shares: list[float]):
    rates = ever_outside(shares, seed=11)

    assert 0.001 < rates["sequence"] <= ALPHA + error(PATHS)
    assert rates["interval"] > 0.2
