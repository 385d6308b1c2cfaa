"""What a policy would have earned, estimated from episodes that another policy logged.
Uses propensities and nothing else of how the log came about; no simulator, no true value.

A policy chooses types of actions; their parameters are taken as the log draws them. Estimators:
Precup, Sutton and Singh 2000 (per-decision importance sampling, and weighted), Le, Voloshin and
Yue 2019 (fitted evaluation), Jiang and Li 2016, eq. 10 (doubly robust).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from training.episodes.dataset import Rows

LEAST_EFFECTIVE_SIZE = 10.0
"""With fewer effective episodes no estimate is given."""
RESAMPLES = 400
COVERAGE = 0.9
PENALTY = 3.0
"""Of the ridge regression of values on features."""

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """Expected return of an episode; low and high hold 90 % of the bootstrap over episodes.

    The fitted evaluation has no interval: resampling says nothing of its bias, which is the most.
    """

    value: float
    low: float | None
    high: float | None


class OffPolicy(NamedTuple):
    """estimates: by name of the estimator; empty where `because` says why there are none.

    effective_size: episodes that would tell as much, had the policy itself logged them. left_out:
    episodes with steps missing, an end among them, or without a propensity.
    """

    episodes: int
    left_out: int
    effective_size: float | None
    estimates: dict[str, Estimate]
    because: str | None


class _Log(NamedTuple):
    """Episodes as rows of a table, padded after their end; shape (episodes, longest) each."""

    reward: Floats
    ratio: Floats
    """Cumulated from the first step; after the end it stays."""
    before: Floats
    """The same before the step; 1 at the first."""
    is_step: NDArray[np.bool_]
    value: Floats
    """Of the state by the fitted evaluation; 0 after the end."""
    gain: Floats
    """Of the state and the action that was taken."""


def estimate(
    rows: Rows, probabilities: NDArray[np.floating], *, horizon: int, seed: int
) -> OffPolicy:
    """Estimate the value of a policy.

    probabilities: shape (rows, actions), the policy's in each row's state. horizon: most steps of
    an episode. seed: of the bootstrap.
    """
    whole = _find_whole(rows)
    left_out = rows.episodes - rows.where(whole).episodes
    if not whole.any():
        because = "the log has no whole episode with a propensity at every step"
        return OffPolicy(0, left_out, None, {}, because)
    rows, shares = rows.where(whole), np.asarray(probabilities, np.float64)[whole]
    log = _tabulate(rows, shares, horizon)
    weights = log.ratio[:, -1]
    squares = float((weights**2).sum())
    size = float(weights.sum() ** 2 / squares) if squares else 0.0
    if size < LEAST_EFFECTIVE_SIZE:
        because = (
            f"the log tells as much as {size:.1f} episodes of the policy itself,"
            f" and fewer than {LEAST_EFFECTIVE_SIZE:g} are too few"
        )
        return OffPolicy(len(weights), left_out, size, {}, because)
    random = np.random.default_rng(seed)
    even = np.full(len(weights), 1 / len(weights))
    counts = random.multinomial(len(weights), even, size=RESAMPLES).astype(np.float64)
    found = {name: _bootstrap(rule, log, counts) for name, rule in _RULES.items()}
    return OffPolicy(len(weights), left_out, size, found, None)


def _find_whole(rows: Rows) -> NDArray[np.bool_]:
    """Rows of the episodes that lack neither a step, nor the end, nor a propensity."""
    numbers, at = np.unique(rows.episode, return_inverse=True)
    counts = np.bincount(at, minlength=len(numbers))
    last = np.zeros(len(numbers), np.intp)
    np.maximum.at(last, at, rows.step)
    known = np.bincount(at, weights=rows.propensity > 0, minlength=len(numbers))
    ends = np.bincount(at, weights=rows.done, minlength=len(numbers))
    return ((last + 1 == counts) & (known == counts) & (ends > 0))[at]


def _tabulate(rows: Rows, shares: Floats, horizon: int) -> _Log:
    _, at = np.unique(rows.episode, return_inverse=True)
    place = (at, rows.step)
    shape = (int(at.max()) + 1, max(horizon, int(rows.step.max()) + 1))
    each = np.arange(len(rows))
    ratio = np.ones(shape)
    ratio[place] = shares[each, rows.kind] / rows.propensity
    ratio = ratio.cumprod(axis=1)
    gains = _fit_gains(rows, shares, shape[1])
    table = np.zeros((4, *shape))
    columns = (
        rows.reward,
        np.ones(len(rows)),
        (shares * gains).sum(axis=1),
        gains[each, rows.kind],
    )
    for i, column in enumerate(columns):
        table[i][place] = column
    before = np.concatenate([np.ones((shape[0], 1)), ratio[:, :-1]], axis=1)
    return _Log(table[0], ratio, before, table[1] > 0, table[2], table[3])


def _fit_gains(rows: Rows, shares: Floats, horizon: int) -> Floats:
    """Return shape (rows, actions): the policy's gains by fitted evaluation, ridge by action."""
    z = np.hstack([np.ones((len(rows), 1)), rows.x]).astype(np.float64)
    penalty = np.diag(np.append(1e-6, np.full(z.shape[1] - 1, PENALTY)))
    chosen = [np.flatnonzero(rows.kind == kind) for kind in range(shares.shape[1])]
    solvers = [np.linalg.solve(z[at].T @ z[at] + penalty, z[at].T) for at in chosen]
    goes_on = np.zeros(len(rows), bool)
    goes_on[:-1] = rows.episode[1:] == rows.episode[:-1]
    gains = np.zeros(shares.shape)
    for _ in range(horizon):
        following = np.append((shares * gains).sum(axis=1)[1:], 0.0)
        goals = rows.reward + goes_on * following
        weights = [solver @ goals[at] for solver, at in zip(solvers, chosen, strict=True)]
        gains = z @ np.stack(weights, axis=1)
    return gains


def _per_decision(log: _Log, counts: Floats) -> Floats:
    return counts @ (log.ratio * log.reward).sum(axis=1) / len(log.reward)


def _weighted_per_decision(log: _Log, counts: Floats) -> Floats:
    """Episodes that are over keep their weight: they earn nothing, and count."""
    return _divide(counts @ (log.ratio * log.reward), counts @ log.ratio).sum(axis=1)


def _fitted(log: _Log, counts: Floats) -> Floats:
    return counts @ log.value[:, 0] / len(log.reward)


def _doubly_robust(log: _Log, counts: Floats) -> Floats:
    surprise = log.ratio * (log.reward - log.gain)
    return counts @ (surprise + log.before * log.value).sum(axis=1) / len(log.reward)


def _weighted_doubly_robust(log: _Log, counts: Floats) -> Floats:
    surprise = _divide(counts @ (log.ratio * (log.reward - log.gain)), counts @ log.ratio)
    return (surprise + _divide(counts @ (log.before * log.value), counts @ log.before)).sum(axis=1)


def _divide(sums: Floats, weights: Floats) -> Floats:
    """0 where no episode has any weight."""
    return sums / np.where(weights > 0, weights, 1.0)


Rule = Callable[[_Log, Floats], Floats]
"""counts: shape (samples, episodes), how often each is among a sample. Returns shape (samples,)."""

_RULES: dict[str, Rule] = {
    "per_decision": _per_decision,
    "weighted_per_decision": _weighted_per_decision,
    "fitted": _fitted,
    "doubly_robust": _doubly_robust,
    "weighted_doubly_robust": _weighted_doubly_robust,
}


def _bootstrap(rule: Rule, log: _Log, counts: Floats) -> Estimate:
    value = float(rule(log, np.ones((1, len(log.reward))))[0])
    if rule is _fitted:
        return Estimate(value, None, None)
    bounds = [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2]
    low, high = np.quantile(rule(log, counts), bounds).tolist()
    return Estimate(value, low, high)
