"""What an action leads to and what that is worth, learnt from the log: its result, or the end.
Logistic and ridge regression for each action; no state is followed, nothing is drawn.

A reward is far easier to tell once the outcome is known, and an outcome is easier to tell than a
reward: of first tries P(outcome) times reward by outcome is nearer the truth than one regression
of the reward on the state. First tries and repeats are learnt apart: whatever failed once may fail
for good.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from reward.catalogue import LEAST, MOST, Catalogue
from reward.features import Encoder, default_action
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from training.episodes.dataset import Rows

DONE, UNTOLD = 0, 1
"""Places on the axis of outcomes: the episode ends; it goes on and the log names no result."""
INVERSE_PENALTY = 0.3
"""C of the logistic regression; from 0.1 to 1 the policies hardly differ."""
PENALTY = 3.0
"""Of the slopes of rewards by outcome."""
PSEUDO_ROWS = 0.5
"""So often, at the average state, each outcome that an action ever had is taken as seen once more;
keeps rare outcomes possible, and the weights of those that were always seen finite."""
ENOUGH = 10
"""Of fewer rows only shares are told, and of fewer repeats nothing: they count as first tries."""
LATE_ROWS = 5.0
"""At the horizon so many rows without any surprise are taken as seen."""

Floats = NDArray[np.float64]


class Outcomes(NamedTuple):
    """What actions lead to with their default parameters.

    results: names of the outcomes after DONE and UNTOLD.
    chances: shape (2, actions, outcomes, 1 + features), float32, for first tries and repeats; the
    softmax of chances @ (1, x) over the outcomes is their probability. The first column is -inf
    where an action never had the outcome.
    rewards: shape (2, actions, 2, 1 + features), float32: expected where the episode ends, and
    where it goes on.
    late: added where it would go on, but the horizon ends it.
    """

    results: tuple[str, ...]
    chances: NDArray[np.float32]
    rewards: NDArray[np.float32]
    late: float = 0.0

    def probabilities(
        self, x: NDArray[np.float32], kinds: NDArray[np.intp], repeats: NDArray[np.bool_]
    ) -> Floats:
        """Return shape (rows, outcomes). kinds: places of actions. repeats: taken before."""
        return softmax(_apply(self.chances, x, kinds, repeats), axis=1)

    def expected_rewards(
        self, x: NDArray[np.float32], kinds: NDArray[np.intp], repeats: NDArray[np.bool_]
    ) -> Floats:
        """Return shape (rows,), before the horizon."""
        ends = self.probabilities(x, kinds, repeats)[:, DONE]
        rewards = np.clip(_apply(self.rewards, x, kinds, repeats), LEAST, MOST)
        return ends * rewards[:, 0] + (1 - ends) * rewards[:, 1]


class _Told(NamedTuple):
    """Rows whose outcome is known; inputs: features, then the parameters of the action."""

    inputs: Floats
    kind: NDArray[np.intp]
    repeats: NDArray[np.bool_]
    outcomes: NDArray[np.intp]
    rewards: Floats

    def where(self, chosen: NDArray[np.bool_]) -> "_Told":
        return _Told(*(column[chosen] for column in self))


def learn_outcomes(
    catalogue: Catalogue, rows: Rows, *, inverse_penalty: float = INVERSE_PENALTY
) -> Outcomes:
    """Fit on the rows whose outcome is known and was not forced by the horizon, where there are."""
    results = _name_results(catalogue, rows)
    size, width = 2 + len(results), rows.x.shape[1]
    is_last = _count_steps(rows) + 1 >= catalogue.horizon
    told = _told(catalogue, rows.where(_is_usable(rows, is_last)), results)
    encoder = Encoder(catalogue)
    chances = np.zeros((2, len(catalogue.actions), size, 1 + width))
    rewards = np.zeros((2, len(catalogue.actions), 2, 1 + width))
    for i, kind in enumerate(catalogue.actions):
        u = encoder.encode_params(kind, default_action(kind)).astype(np.float64)
        of_kind = told.where(told.kind == i)
        possible = np.unique(np.append(of_kind.outcomes, [] if len(of_kind.kind) else [DONE]))
        for again in (0, 1):
            part = of_kind.where(of_kind.repeats == bool(again))
            if again and len(part.kind) < ENOUGH:
                chances[1, i], rewards[1, i] = chances[0, i], rewards[0, i]
                continue
            fitted = _fit_chances(part, possible.astype(np.intp), size, inverse_penalty)
            chances[again, i] = _with_params(fitted, u)
            rewards[again, i] = _with_params(_fit_rewards(part, of_kind), u)
    found = Outcomes(results, chances.astype(np.float32), rewards.astype(np.float32))
    return found._replace(late=_learn_late(catalogue, rows.where(rows.done & is_last), found))


def find_repeats(catalogue: Catalogue, rows: Rows) -> NDArray[np.bool_]:
    """True where the action's type is among those taken before."""
    types = catalogue.types
    return np.array(
        [
            any(each.type == types[kind] for each in state.actions_taken)
            for kind, state in zip(rows.kind, rows.states, strict=True)
        ],
        bool,
    )


def _name_results(catalogue: Catalogue, rows: Rows) -> tuple[str, ...]:
    """Those that a feature tells of; of the others, as of prose, a state keeps nothing."""
    told = {name.partition("=")[2] for name in catalogue.features if name.startswith("taken:")}
    return tuple(sorted({str(result) for result in rows.result} & told - {""}))


def _count_steps(rows: Rows) -> NDArray[np.intp]:
    """Before each row, with those that were taken before the log began."""
    return np.maximum(rows.step, [len(state.actions_taken) for state in rows.states])


def _is_usable(rows: Rows, is_last: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of an action that hardly has other rows, those at the horizon count, then those cut off:
    it may be what every episode ends with, and episodes may have one step only."""
    told = _is_told(rows)
    found = told & ~is_last
    for wider in (told, np.ones_like(told)):
        counts = np.bincount(rows.kind, weights=found)
        is_rare = counts[rows.kind] < ENOUGH
        found |= wider & is_rare
    return found


def _is_told(rows: Rows) -> NDArray[np.bool_]:
    """False for the last step of an episode that was cut off: nobody knows what it led to."""
    goes_on = np.zeros(len(rows), bool)
    goes_on[:-1] = rows.episode[:-1] == rows.episode[1:]
    return rows.done | goes_on | (rows.result != "")


def _told(catalogue: Catalogue, rows: Rows, results: tuple[str, ...]) -> _Told:
    place = {result: 2 + i for i, result in enumerate(results)}
    numbers = np.array([place.get(str(result), UNTOLD) for result in rows.result], np.intp)
    return _Told(
        inputs=np.hstack([rows.x, rows.u]).astype(np.float64),
        kind=rows.kind,
        repeats=find_repeats(catalogue, rows),
        outcomes=np.where(rows.done, DONE, numbers),
        rewards=rows.reward,
    )


def _fit_chances(
    part: _Told, possible: NDArray[np.intp], size: int, inverse_penalty: float
) -> Floats:
    """Return shape (size, 1 + inputs)."""
    weights = np.zeros((size, 1 + part.inputs.shape[1]))
    weights[:, 0] = -np.inf
    if len(part.kind) < ENOUGH or len(possible) == 1:
        counts = (part.outcomes[:, None] == possible).sum(axis=0) + PSEUDO_ROWS
        weights[possible, 0] = np.log(counts / counts.sum())
        return weights
    average = np.repeat(part.inputs.mean(axis=0, keepdims=True), len(possible), axis=0)
    regression = LogisticRegression(C=inverse_penalty, max_iter=5_000, tol=1e-5)
    regression.fit(
        np.concatenate([part.inputs, average]),
        np.concatenate([part.outcomes, possible]),
        sample_weight=np.repeat([1.0, PSEUDO_ROWS], [len(part.kind), len(possible)]),
    )
    slopes, biases = regression.coef_, regression.intercept_
    if len(possible) == 2:  # it gives the second one's against the first
        slopes, biases = np.vstack([0 * slopes, slopes]), np.append(0.0, biases)
    weights[possible] = np.column_stack([biases, slopes])
    return weights


def _fit_rewards(part: _Told, of_kind: _Told) -> Floats:
    """Return shape (2, 1 + inputs); an outcome that was never seen is worth what others are."""
    ends = part.outcomes == DONE
    weights = np.zeros((2, 1 + part.inputs.shape[1]))
    for i, chosen in enumerate((ends, ~ends)):
        if chosen.any():
            weights[i] = _ridge(part.inputs[chosen], part.rewards[chosen])
        elif len(of_kind.rewards):
            weights[i, 0] = of_kind.rewards.mean()
    return weights


def _ridge(inputs: Floats, rewards: Floats) -> Floats:
    """The first weight is the intercept's, which has no penalty."""
    centre, mean = inputs.mean(axis=0), rewards.mean()
    apart = inputs - centre
    gram = apart.T @ apart + PENALTY * np.eye(inputs.shape[1])
    slopes = np.linalg.solve(gram, apart.T @ (rewards - mean))
    return np.append(mean - centre @ slopes, slopes)


def _with_params(weights: Floats, u: Floats) -> Floats:
    """Take an action's parameters for given: their share goes into the first column."""
    split = weights.shape[1] - len(u)
    folded = weights[:, :split].copy()
    folded[:, 0] += weights[:, split:] @ u
    return folded


def _learn_late(catalogue: Catalogue, rows: Rows, outcomes: Outcomes) -> float:
    """What the last steps of the longest episodes cost more than steps before them."""
    repeats = find_repeats(catalogue, rows)
    surprise = rows.reward - outcomes.expected_rewards(rows.x, rows.kind, repeats)
    on = 1 - outcomes.probabilities(rows.x, rows.kind, repeats)[:, DONE]
    return float(surprise.sum() / (on.sum() + LATE_ROWS))


def _apply(
    weights: NDArray[np.float32],
    x: NDArray[np.float32],
    kinds: NDArray[np.intp],
    repeats: NDArray[np.bool_],
) -> Floats:
    """Return shape (rows, weights.shape[2])."""
    found = np.empty((len(x), weights.shape[2]))
    for again, kind in np.ndindex(weights.shape[:2]):
        rows = (kinds == kind) & (repeats == bool(again))
        of_kind = weights[again, kind].astype(np.float64)
        found[rows] = of_kind[:, 0] + x[rows] @ of_kind[:, 1:].T
    return found
