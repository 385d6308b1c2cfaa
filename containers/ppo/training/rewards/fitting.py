"""Fits the reward model: for each action and factor a ridge regression on features and products.
Reads no file and draws nothing; intervals are `intervals`'.

Every weight has a normal prior around one that the actions share (a multi-task ridge, solved in
closed form). Shared is what an action makes of a feature, and, above all, what it makes of having
been taken before: that is one thing for all actions, and a log holds few rows of it for each.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from reward.catalogue import Catalogue
from reward.model import RewardModel, shapes
from training.episodes.dataset import Rows
from training.rewards import ridge
from training.rewards.pairs import choose_pairs, multiply
from training.rewards.ridge import PENALTIES, Floats, Spectrum

PAIR_VARIANCES = (0.0, 0.1, 0.3, 1.0)
"""Of the prior of a product's weight, where a feature's is 1; leave-one-out errors choose."""
INTERCEPT_SCALE = 3.0
SHARED_INTERCEPT_SCALE = 30.0
SHARED_VARIANCE = 0.1
OWN_PAIR_VARIANCE = 10.0
"""Shared weights of (taken before, feature), where an action's own product has 1."""
ROWS_PER_COLUMN = 2
"""Fewer rows cannot tell which columns matter, and all keep the same prior."""
RELEVANCE_FLOOR = 0.02
LEVERAGE_RIDGE = 1.0


class FittedRewards(NamedTuple):
    """tensors: the reward's, as `reward.model.shapes` has them.

    residual_scale: shape (actions,), root mean square of the leave-one-out errors of the reward.
    """

    tensors: dict[str, NDArray[np.generic]]
    residual_scale: Floats


class _Prior(NamedTuple):
    """Of one factor. scale: standard deviation of each column's weight; penalty: noise over it."""

    scale: Floats
    penalty: float


class _Design(NamedTuple):
    """columns: 1, features, products, then parameters; rows: those of each action."""

    columns: Floats
    rows: list[NDArray[np.intp]]
    spectra: list[list[Spectrum]]
    """By action and PAIR_VARIANCES."""
    scales: list[Floats]
    """By PAIR_VARIANCES."""
    shared: list[Floats]
    """By action: which shared weight each column takes up, shape (columns, shared)."""
    shared_scale: Floats


def fit_rewards(catalogue: Catalogue, rows: Rows) -> FittedRewards:
    """rows: the fit's part of the dataset; an action without rows gets the shared weights."""
    pairs = choose_pairs(rows.x)
    design = _design(catalogue, rows, pairs)
    weights = np.empty((len(catalogue.actions), rows.factors.shape[1], design.columns.shape[1]))
    errors = np.empty_like(rows.factors)
    losses = _losses(design, rows.factors)
    for factor in range(rows.factors.shape[1]):
        at = np.unravel_index(losses[:, :, factor].argmin(), losses.shape[:2])
        weights[:, factor], errors[:, factor] = _fit_factor(design, rows.factors[:, factor], at)
    width = 1 + rows.x.shape[1] + len(pairs)
    tensors = {
        "reward.pairs": pairs,
        "reward.weights": weights[:, :, :width].astype(np.float32),
        "reward.params": weights[:, :, width:].astype(np.float32),
        "reward.leverage": _leverage(rows.x, design.rows).astype(np.float32),
    }
    return FittedRewards(tensors, _residual_scale(errors.sum(axis=1), design.rows))


def without_policy(catalogue: Catalogue, fitted: FittedRewards) -> RewardModel:
    """Return a model whose actor and critic are still 0, so that its rewards can be asked for."""
    wanted = shapes(catalogue, len(fitted.tensors["reward.pairs"]))
    zeros = {name: np.zeros(shape, dtype) for name, (dtype, shape) in wanted.items()}
    return RewardModel(catalogue, zeros | fitted.tensors)


def _design(catalogue: Catalogue, rows: Rows, pairs: NDArray[np.int32]) -> _Design:
    columns = np.concatenate([multiply(rows.x, pairs), rows.u.astype(np.float64)], axis=1)
    width, params = rows.x.shape[1], rows.u.shape[1]
    parts = ((1, INTERCEPT_SCALE), (width, 1.0), (len(pairs), None), (params, 1.0))
    scales = [
        np.concatenate([np.full(size, np.sqrt(v) if s is None else s) for size, s in parts])
        for v in PAIR_VARIANCES
    ]
    by_action = [np.flatnonzero(rows.kind == kind) for kind in range(len(catalogue.actions))]
    own = np.sqrt([SHARED_VARIANCE] * 3 + [OWN_PAIR_VARIANCE] * 3 * width)
    plain = np.full(width, np.sqrt(SHARED_VARIANCE))
    return _Design(
        columns=columns,
        rows=by_action,
        spectra=[
            [ridge.decompose(columns[chosen] * scale) for scale in scales] for chosen in by_action
        ],
        scales=scales,
        shared=[_share(catalogue, type_, pairs, params) for type_ in catalogue.types],
        shared_scale=np.concatenate([[SHARED_INTERCEPT_SCALE], plain, own]),
    )


def _share(catalogue: Catalogue, type_: str, pairs: NDArray[np.int32], params: int) -> Floats:
    """Shared are: intercept, features, three ways of having been taken, and these by feature."""
    width = len(catalogue.features)
    own = {i: way for i, name in enumerate(catalogue.features) if (way := _way(name, type_)) >= 0}
    found = np.zeros((1 + width + len(pairs) + params, 1 + width + 3 + 3 * width))
    found[0, 0] = 1.0
    for i in range(width):
        found[1 + i, 1 + width + own[i] if i in own else 1 + i] = 1.0
    for row, (i, j) in enumerate(pairs.tolist()):
        if (i in own) != (j in own):
            way, other = (own[i], j) if i in own else (own[j], i)
            found[1 + width + row, 1 + width + 3 + way * width + other] = 1.0
    return found


def _way(name: str, type_: str) -> int:
    """Return in which way the feature says that the action was taken; -1 if it does not."""
    ways = (name == f"taken:{type_}", name == f"again:{type_}", name.startswith(f"taken:{type_}="))
    return ways.index(True) if any(ways) else -1


def _losses(design: _Design, factors: Floats) -> Floats:
    """Return leave-one-out errors over all actions, shape (PAIR_VARIANCES, PENALTIES, factors)."""
    return sum(
        np.stack([spectrum.losses(factors[rows]) for spectrum in spectra])
        for rows, spectra in zip(design.rows, design.spectra, strict=True)
        if len(rows)
    )  # pyright: ignore[reportReturnType]


def _fit_factor(design: _Design, y: Floats, at: tuple[np.intp, ...]) -> tuple[Floats, Floats]:
    """Return weights, (actions, columns), and leave-one-out errors, (rows,), of one factor."""
    variance, penalty = int(at[0]), float(PENALTIES[at[1]])
    weights = _fit_shared(design, y, variance, penalty)
    rest = y.copy()
    for rows, shared in zip(design.rows, weights, strict=True):
        rest[rows] -= design.columns[rows] @ shared
    spectra = [spectra[variance] for spectra in design.spectra]
    prior = _Prior(design.scales[variance], penalty)
    if len(y) >= ROWS_PER_COLUMN * design.columns.shape[1]:
        prior, spectra = _weigh_columns(design, rest, prior, spectra)
    errors = np.zeros_like(y)
    for kind, (rows, spectrum) in enumerate(zip(design.rows, spectra, strict=True)):
        weights[kind] += _solve(design.columns[rows], rest[rows], prior)
        errors[rows] = spectrum.left_out(rest[rows, None], prior.penalty)[:, 0]
    return weights, errors


def _fit_shared(design: _Design, y: Floats, variance: int, penalty: float) -> Floats:
    """Generalised least squares: what the actions' own priors explain counts as noise."""
    size = len(design.shared_scale)
    scale = design.shared_scale.copy()
    scale[-3 * ((size - 4) // 4) :] *= np.sqrt(max(PAIR_VARIANCES[variance], PAIR_VARIANCES[1]))
    left, right = np.eye(size), np.zeros(size)
    for rows, shared, spectra in zip(design.rows, design.shared, design.spectra, strict=True):
        z = design.columns[rows] @ shared * scale
        rest = z - spectra[variance].hat(z, penalty)
        left += z.T @ rest / penalty
        right += rest.T @ y[rows] / penalty
    weights = scale * np.linalg.solve(left, right)
    return np.stack([shared @ weights for shared in design.shared])


def _weigh_columns(
    design: _Design, rest: Floats, prior: _Prior, spectra: list[Spectrum]
) -> tuple[_Prior, list[Spectrum]]:
    """Give columns that matter to the actions a wider prior, if leave-one-out errors fall."""
    weights = [_solve(design.columns[rows], rest[rows], prior) for rows in design.rows]
    sizes = [len(rows) for rows in design.rows]
    relevance = np.average(np.abs(weights), axis=0, weights=sizes)
    is_used = design.columns[:, 1:].any(axis=0)
    if not is_used.any():
        return prior, spectra
    usual = relevance[1:][is_used].mean()
    scale = np.sqrt(relevance / max(usual, 1e-12) + RELEVANCE_FLOOR)
    scale[0] = INTERCEPT_SCALE * scale.max()
    weighed = [ridge.decompose(design.columns[rows] * scale) for rows in design.rows]
    pairs = list(zip(design.rows, weighed, strict=True))
    losses = np.sum([one.losses(rest[rows, None])[:, 0] for rows, one in pairs], axis=0)
    before = sum(
        float((one.left_out(rest[rows, None], prior.penalty) ** 2).sum())
        for rows, one in zip(design.rows, spectra, strict=True)
    )
    if losses.min() >= before:
        return prior, spectra
    return _Prior(scale, float(PENALTIES[losses.argmin()])), weighed


def _solve(columns: Floats, y: Floats, prior: _Prior) -> Floats:
    return prior.scale * ridge.solve(columns * prior.scale, y, prior.penalty)


def _leverage(x: NDArray[np.float32], rows: list[NDArray[np.intp]]) -> Floats:
    z = np.concatenate([np.ones((len(x), 1)), x.astype(np.float64)], axis=1)
    penalty = LEVERAGE_RIDGE * np.eye(z.shape[1])
    return np.stack([np.linalg.inv(z[chosen].T @ z[chosen] + penalty) for chosen in rows])


def _residual_scale(errors: Floats, rows: list[NDArray[np.intp]]) -> Floats:
    """Actions with hardly a row get that of all."""
    overall = np.sqrt((errors**2).mean())
    return np.array(
        [np.sqrt((errors[one] ** 2).mean()) if len(one) >= 5 else overall for one in rows]
    )
