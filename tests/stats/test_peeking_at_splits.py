"""Calibration: the evidence of a wrong split, looked at after every hundred units.
The counts are simulated; wherever an alarm is possible the shipped code decides on it."""

import math
from typing import NamedTuple

import numpy as np
import pytest

from chalicelib.stats import srm
from tests.stats.simulated import LOOKS, PATHS, Counts, most


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
