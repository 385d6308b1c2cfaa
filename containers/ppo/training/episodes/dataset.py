"""The log as arrays, one row a step: what reward model, simulator and evaluation learn from.
Types only; `channel` reads files, `learning` learns the catalogue."""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from reward.catalogue import Catalogue
from reward.questions import State


@dataclass(frozen=True)
class Rows:
    """Steps of episodes in the order of episode and step.

    x: shape (rows, features), float32, as `features.Encoder` encodes `states`.
    kind: place of the action in the catalogue. u: shape (rows, columns), its parameters.
    factors: shape (rows, factors), float64; reward: their sum.
    propensity: probability of the action, NaN where the log does not say.
    result: what the action led to, as the next step tells; "" where it does not, or there is none.
    episode: number of the episode, counted from 0 over the whole log. step: from 0.
    """

    states: NDArray[np.object_]
    x: NDArray[np.float32]
    kind: NDArray[np.intp]
    u: NDArray[np.float32]
    factors: NDArray[np.float64]
    reward: NDArray[np.float64]
    propensity: NDArray[np.float64]
    result: NDArray[np.str_]
    done: NDArray[np.bool_]
    episode: NDArray[np.intp]
    step: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def episodes(self) -> int:
        return len(np.unique(self.episode))

    def where(self, chosen: NDArray[np.bool_]) -> "Rows":
        """Return the chosen rows; episodes keep their numbers."""
        return replace(self, **{one.name: getattr(self, one.name)[chosen] for one in fields(self)})

    def state(self, row: int) -> State:
        return self.states[row]


@dataclass(frozen=True)
class Dataset:
    """A log, split by episode: the interval's calibration and the test see nothing of the fit."""

    catalogue: Catalogue
    """Half-widths and leverage limits are 0 until calibration has found them."""
    fit: Rows
    calibration: Rows
    test: Rows
