"""What the calibrations share: how many paths and looks, sums of random values, error limits.
Tests nothing, and holds no formula that is tested."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

PATHS = 20_000
LOOKS = 200
ALPHA = 0.05
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def most(alpha: float, paths: int = PATHS) -> float:
    return alpha + 3.0 * math.sqrt(alpha * (1.0 - alpha) / paths)


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


def column(values: list[float] | tuple[float, ...]) -> Floats:
    return np.asarray(values)[:, np.newaxis]
