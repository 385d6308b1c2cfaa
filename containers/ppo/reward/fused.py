"""A model's tensors rearranged, once, for one question at a time: few large products, no gathers.
Computes what `predictor` computes for batches; holds no rule about questions."""

from typing import NamedTuple

import numpy as np
from reward.catalogue import Catalogue
from reward.features import Encoder, Floats
from reward.model import HIDDEN, Tensors

LARGEST_BYTES = 32 * 1024 * 1024
"""Of all forms; a larger model answers single questions as batches of one."""
_UNITS = 2 * HIDDEN + 1
"""Of a hidden layer: the actor's, the critic's, and one that is always 1 and carries biases."""
_SATURATED = 20.0
"""Its tanh is 1 in float32."""


class Fused(NamedTuple):
    """Weights over z = (1, features, params) as `features.Look` has it.

    forms: for each action, the quadratic forms of the factors and of the leverage, one below the
    other, shape (forms * width, width). first: of actor and critic, shape (units, width). second,
    last: their further layers side by side, for vectors from the left.
    """

    forms: tuple[Floats, ...]
    first: Floats
    second: Floats
    last: Floats

    def judge(self, kind: int, z: Floats) -> tuple[list[float], float]:
        """Return factors and leverage; kind: the action's place in the catalogue."""
        *factors, leverage = self.forms[kind].dot(z).reshape(-1, z.size).dot(z).tolist()
        return factors, max(leverage, 0.0)

    def advise(self, z: Floats) -> tuple[list[float], float]:
        """Return logits and value; parameters in z mean nothing to them."""
        hidden = np.tanh(np.tanh(self.first.dot(z)).dot(self.second))
        *logits, value = hidden.dot(self.last).tolist()
        return logits, value


def fuse(encoder: Encoder, tensors: Tensors) -> Fused | None:
    """Return None where the weights would be larger than LARGEST_BYTES."""
    catalogue = encoder.catalogue
    forms = len(catalogue.factors) + 1
    width = 1 + encoder.width + encoder.columns
    if len(catalogue.actions) * forms * width * width * 4 > LARGEST_BYTES:
        return None
    return Fused(
        forms=tuple(
            _forms(catalogue, tensors, kind, width) for kind in range(len(catalogue.actions))
        ),
        first=_first_layer(tensors, width),
        second=_beside(tensors, "policy.hidden2", "value.hidden2", carries_biases=True),
        last=_beside(tensors, "policy.logits", "value.output", carries_biases=False),
    )


def _forms(catalogue: Catalogue, tensors: Tensors, kind: int, width: int) -> Floats:
    """Linear weights stand in the row of the leading 1, a pair's weight in one of its two places.

    z'Fz is then the model's own sum over 1, features, pairs and parameters.
    """
    known = 1 + len(catalogue.features)
    weights, pairs = tensors["reward.weights"][kind], tensors["reward.pairs"] + 1
    forms = np.zeros((len(weights) + 1, width, width), np.float32)
    forms[:-1, 0, :known] = weights[:, :known]
    forms[:-1, 0, known:] = tensors["reward.params"][kind]
    for form, pair_weights in zip(forms, weights[:, known:], strict=False):
        np.add.at(form, (pairs[:, 0], pairs[:, 1]), pair_weights)
    forms[-1, :known, :known] = tensors["reward.leverage"][kind]
    return forms.reshape(-1, width)


def _first_layer(tensors: Tensors, width: int) -> Floats:
    layer = np.zeros((_UNITS, width), np.float32)
    for part, units in (("policy", slice(0, HIDDEN)), ("value", slice(HIDDEN, 2 * HIDDEN))):
        weights = tensors[f"{part}.hidden1.weights"]
        layer[units, 0] = tensors[f"{part}.hidden1.bias"]
        layer[units, 1 : 1 + len(weights)] = weights.T
    layer[-1, 0] = _SATURATED
    return layer


def _beside(tensors: Tensors, policy: str, value: str, *, carries_biases: bool) -> Floats:
    """Two layers that see nothing of each other as one."""
    parts = [(policy, slice(0, HIDDEN)), (value, slice(HIDDEN, 2 * HIDDEN))]
    widths = [tensors[f"{name}.bias"].shape[0] for name, _ in parts]
    layer = np.zeros((_UNITS, sum(widths) + carries_biases), np.float32)
    at = 0
    for (name, rows), width in zip(parts, widths, strict=True):
        layer[rows, at : at + width] = tensors[f"{name}.weights"]
        layer[-1, at : at + width] = tensors[f"{name}.bias"]
        at += width
    if carries_biases:
        layer[-1, -1] = _SATURATED
    return layer
