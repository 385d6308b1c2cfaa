"""Actor and critic: two networks of two tanh layers, as tensors by the names of the artifact.
No environment, no gradient."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reward.model import HIDDEN

Tensors = Mapping[str, NDArray[np.float32]]
_MASKED = -1e9
"""A logit whose probability is 0 in float32; not -inf, whose gradient is no number."""


def new_tensors(*, width: int, actions: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Draw orthogonal weights: gain sqrt(2) for tanh, 0.01 for logits (all actions alike at
    first), 1 for the value. Made by NumPy, which needs nothing compiled for it."""
    random = np.random.default_rng(seed)
    tensors: dict[str, NDArray[np.float32]] = {}
    for part, output, size, gain in (
        ("policy", "logits", actions, 0.01),
        ("value", "output", 1, 1.0),
    ):
        layers = (
            ("hidden1", width, HIDDEN, 2**0.5),
            ("hidden2", HIDDEN, HIDDEN, 2**0.5),
            (output, HIDDEN, size, gain),
        )
        for layer, inputs, outputs, scale in layers:
            name = f"{part}.{layer}"
            weights = scale * _orthogonal(random, inputs, outputs)
            tensors[f"{name}.weights"] = weights.astype(np.float32)
            tensors[f"{name}.bias"] = np.zeros(outputs, np.float32)
    return tensors


def _orthogonal(random: np.random.Generator, inputs: int, outputs: int) -> NDArray[np.float64]:
    """Rows or columns, whichever are fewer, are orthonormal (Saxe et al. 2014)."""
    tall = random.standard_normal((max(inputs, outputs), min(inputs, outputs)))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))
    return q if inputs >= outputs else q.T


def logits_of(tensors: Mapping[str, Any], x: Any, allowed: Any, *, xp: Any = np) -> Any:
    """Return (n, actions). xp: numpy, or jax.numpy for traced arrays."""
    logits = _output(tensors, "policy", "logits", x, xp=xp)
    return xp.where(allowed, logits, xp.float32(_MASKED))


def values_of(tensors: Mapping[str, Any], x: Any, *, xp: Any = np) -> Any:
    """Return (n,), in units of reward."""
    return _output(tensors, "value", "output", x, xp=xp)[..., 0]


def probabilities_of(
    tensors: Tensors, x: NDArray[np.float32], allowed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return (n, actions), rows that sum to 1; 0 where not allowed."""
    logits = logits_of(tensors, x, allowed).astype(np.float64)
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def _output(tensors: Mapping[str, Any], part: str, output: str, x: Any, *, xp: Any) -> Any:
    for layer in ("hidden1", "hidden2"):
        x = xp.tanh(_affine(tensors, f"{part}.{layer}", x))
    return _affine(tensors, f"{part}.{output}", x)


def _affine(tensors: Mapping[str, Any], name: str, x: Any) -> Any:
    return x @ tensors[f"{name}.weights"] + tensors[f"{name}.bias"]
