"""A model's tensors rearranged, once, for one question at a time: few large products, no gathers.
Computes what `predictor` computes for batches; holds no rule about questions."""

from typing import NamedTuple

import numpy as np
from reward.catalogue import Catalogue
from reward.features import Encoder, Floats
from reward.model import HIDDEN, Tensors

LARGEST_BYTES = 32 * 1024 * 1024
"""Of all fused weights; a larger model answers single questions as batches of one."""
_UNITS = 2 * HIDDEN + 1
"""Of a hidden layer: the actor's, the critic's, and one that is always 1 and carries biases."""
_SATURATED = 20.0
"""Its tanh is 1 in float32."""


class Prediction(NamedTuple):
    """Of one action in one state; logits and value are of the state alone."""

    factors: list[float]
    leverage: float
    logits: list[float]
    value: float


class Fused(NamedTuple):
    """Weights over z = (1, features, params) as `features.Look` has it.

    first: for each action, shape (forms * width + units, width): the quadratic forms of the factors
    and of the leverage, one below the other, then the first layers of actor and critic. second,
    last: their further layers side by side, for vectors from the left.
    """

    first: tuple[Floats, ...]
    second: Floats
    last: Floats
    forms: int

    def predict(self, kind: int, z: Floats) -> Prediction:
        """kind: the action's place in the catalogue."""
        found = self.first[kind].dot(z)
        quadratic = found[:-_UNITS].reshape(self.forms, -1).dot(z).tolist()
        hidden = np.tanh(np.tanh(found[-_UNITS:]).dot(self.second))
        *logits, value = hidden.dot(self.last).tolist()
        return Prediction(quadratic[:-1], max(quadratic[-1], 0.0), logits, value)


def fuse(encoder: Encoder, tensors: Tensors) -> Fused | None:
    """Return None where the weights would be larger than LARGEST_BYTES."""
    catalogue = encoder.catalogue
    forms = len(catalogue.factors) + 1
    width = 1 + encoder.width + encoder.columns
    if len(catalogue.actions) * (forms * width + _UNITS) * width * 4 > LARGEST_BYTES:
        return None
    layer = _first_layer(tensors, width)
    return Fused(
        first=tuple(
            np.vstack([_forms(catalogue, tensors, kind, width), layer])
            for kind in range(len(catalogue.actions))
        ),
        second=_beside(tensors, "policy.hidden2", "value.hidden2", carries_biases=True),
        last=_beside(tensors, "policy.logits", "value.output", carries_biases=False),
        forms=forms,
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
