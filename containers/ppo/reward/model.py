"""A trained model in memory: catalogue and tensors, and what shapes they must have.
Nothing here reads a file or answers a question."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from reward.catalogue import Catalogue
from reward.features import Encoder

HIDDEN = 64
"""Units of each of the two hidden layers of actor and critic."""

Tensors = Mapping[str, NDArray[np.generic]]


class RewardModel(NamedTuple):
    """catalogue, and tensors by the names of `shapes`; version: of the artifact it came from."""

    catalogue: Catalogue
    tensors: Tensors
    version: str = "untitled"


def shapes(catalogue: Catalogue, pairs: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return dtype and shape of every tensor of a model whose rewards use so many pairs.

    reward.weights: for each action and factor, over 1, the features and the products of pairs.
    reward.params: the same over the columns of the action's parameters.
    reward.leverage: for each action the matrix M with leverage z'Mz, z = (1, features).
    """
    width, actions, factors = (
        len(catalogue.features),
        len(catalogue.actions),
        len(catalogue.factors),
    )
    columns = Encoder(catalogue).columns
    found: dict[str, tuple[str, tuple[int, ...]]] = {
        "reward.pairs": ("int32", (pairs, 2)),
        "reward.weights": ("float32", (actions, factors, 1 + width + pairs)),
        "reward.params": ("float32", (actions, factors, columns)),
        "reward.leverage": ("float32", (actions, 1 + width, 1 + width)),
    }
    for part, output, size in (("policy", "logits", actions), ("value", "output", 1)):
        found |= {
            f"{part}.hidden1.weights": ("float32", (width, HIDDEN)),
            f"{part}.hidden1.bias": ("float32", (HIDDEN,)),
            f"{part}.hidden2.weights": ("float32", (HIDDEN, HIDDEN)),
            f"{part}.hidden2.bias": ("float32", (HIDDEN,)),
            f"{part}.{output}.weights": ("float32", (HIDDEN, size)),
            f"{part}.{output}.bias": ("float32", (size,)),
        }
    return found
