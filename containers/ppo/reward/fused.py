"""A model's tensors rearranged, once, for one question at a time: few large products, no gathers.
Computes what `predictor` computes for batches; holds no rule about questions."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from reward.catalogue import Catalogue
from reward.features import Floats
from reward.model import HIDDEN, Tensors

LARGEST_BYTES = 32 * 1024 * 1024
"""Of all forms; a model with more answers single questions as batches of one."""


class Fused(NamedTuple):
    """forms: for each action, the quadratic forms over z = (1, features) of the factors and of the
    leverage, one below the other, shape ((factors + 1) * width, width). params: for each action,
    shape (factors, columns). layers: actor and critic side by side, weights for vectors from the
    left; the first one takes z, which holds its bias."""

    forms: tuple[Floats, ...]
    params: tuple[Floats, ...]
    first: Floats
    second: Floats
    second_bias: Floats
    last: Floats
    last_bias: Floats
    width: int

    def judge(self, kind: int, z: Floats, u: Floats) -> tuple[list[float], float]:
        """Return the factors and the leverage of one action in one state."""
        quadratic = self.forms[kind].dot(z).reshape(-1, self.width).dot(z)
        factors = quadratic[:-1] + self.params[kind].dot(u)
        return factors.tolist(), max(quadratic.item(-1), 0.0)

    def advise(self, z: Floats) -> tuple[list[float], float]:
        """Return the actor's logits and the critic's value in one state."""
        hidden = np.tanh(z.dot(self.first))
        hidden = np.tanh(hidden.dot(self.second) + self.second_bias)
        *logits, value = (hidden.dot(self.last) + self.last_bias).tolist()
        return logits, value


def fuse(catalogue: Catalogue, tensors: Tensors) -> Fused | None:
    """Return None where the forms would be larger than LARGEST_BYTES."""
    width = 1 + len(catalogue.features)
    rows = (1 + len(catalogue.factors)) * width
    if len(catalogue.actions) * rows * width * 4 > LARGEST_BYTES:
        return None
    kinds = range(len(catalogue.actions))
    return Fused(
        forms=tuple(_forms(tensors, kind, width) for kind in kinds),
        params=tuple(np.ascontiguousarray(tensors["reward.params"][kind]) for kind in kinds),
        first=np.vstack([_beside(tensors, "hidden1.bias"), _beside(tensors, "hidden1.weights")]),
        second=_diagonal(tensors["policy.hidden2.weights"], tensors["value.hidden2.weights"]),
        second_bias=_beside(tensors, "hidden2.bias"),
        last=_diagonal(tensors["policy.logits.weights"], tensors["value.output.weights"]),
        last_bias=np.concatenate([tensors["policy.logits.bias"], tensors["value.output.bias"]]),
        width=width,
    )


def _forms(tensors: Tensors, kind: int, width: int) -> Floats:
    """Linear weights stand in the row of the leading 1; a pair's weight in one of its two places.

    The sum z'Fz is then the model's own sum over 1, features and pairs.
    """
    weights, pairs = tensors["reward.weights"][kind], tensors["reward.pairs"] + 1
    forms = np.zeros((len(weights) + 1, width, width), np.float32)
    forms[:-1, 0, :] = weights[:, :width]
    for form, pair_weights in zip(forms, weights[:, width:], strict=False):
        np.add.at(form, (pairs[:, 0], pairs[:, 1]), pair_weights)
    forms[-1] = tensors["reward.leverage"][kind]
    return forms.reshape(-1, width)


def _beside(tensors: Tensors, name: str) -> NDArray[np.float32]:
    return np.concatenate([tensors[f"policy.{name}"], tensors[f"value.{name}"]], axis=-1)


def _diagonal(policy: Floats, value: Floats) -> Floats:
    """Two layers that see nothing of each other as one."""
    found = np.zeros((2 * HIDDEN, policy.shape[1] + value.shape[1]), np.float32)
    found[:HIDDEN, : policy.shape[1]] = policy
    found[HIDDEN:, policy.shape[1] :] = value
    return found
