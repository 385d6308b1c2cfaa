"""The simulator learnt from a log, for PPO: many incidents at once, as pure JAX functions.
Learns nothing itself; `outcomes` says what an action leads to, here it is drawn and followed.

Of a state only what was done and what it led to changes; words, severity and further members stay
as the episode began. Rewards are means: what a log's noise adds would only slow learning.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from reward.catalogue import LEAST, MOST, Catalogue
from reward.features import Encoder
from reward.questions import State
from training.policy.outcomes import DONE, Outcomes

MOST_STARTS = 2_000
"""Different first states that are kept; the commonest."""


class Thinness(NamedTuple):
    """How little the log knows of an action.

    leverage: `reward.leverage` of the model. scale: shape (actions,), standard deviation of what
    the model leaves of a reward. pessimism: by how many standard errors a reward is lowered.
    """

    leverage: NDArray[np.float32]
    scale: NDArray[np.floating[Any]]
    pessimism: float


class Simulated(NamedTuple):
    """start: (n,), which first state. seen: (n, changing features). taken: (n, actions).

    steps: (n,), actions taken.
    """

    start: jax.Array
    seen: jax.Array
    taken: jax.Array
    steps: jax.Array


class _Starts(NamedTuple):
    """First states of a log; x has 0 where features change, seen has those."""

    x: Any
    seen: Any
    taken: Any
    steps: Any
    share: Any


class _Linear(NamedTuple):
    """w'(1, x) for each of many w, split in what stays through an episode and what changes."""

    base: jax.Array
    """(starts, forms, outcomes)"""
    slopes: jax.Array
    """(changing, forms, outcomes)"""

    def of(self, state: Simulated, form: jax.Array) -> jax.Array:
        """Return (n, outcomes)."""
        changing, *shape = self.slopes.shape
        every = (state.seen @ self.slopes.reshape(changing, -1)).reshape(-1, *shape)
        return self.base[state.start, form] + every[jnp.arange(len(form)), form]


class _Quadratic(NamedTuple):
    """z'Mz with z = (1, x), for each of many M, split alike; M itself would be most of the work."""

    base: jax.Array
    """(starts, forms)"""
    slopes: jax.Array
    """(starts, forms, changing)"""
    squares: jax.Array
    """(changing, forms, changing)"""

    def of(self, state: Simulated, form: jax.Array) -> jax.Array:
        """Return (n,)."""
        changing, *shape = self.squares.shape
        every = (state.seen @ self.squares.reshape(changing, -1)).reshape(-1, *shape)
        slopes = self.slopes[state.start, form] + every[jnp.arange(len(form)), form]
        return jnp.maximum(self.base[state.start, form] + (slopes * state.seen).sum(axis=1), 0.0)


class LearnedSimulator:
    """Keeps to `simulating.Simulator`. states: the first ones of the log's episodes."""

    def __init__(
        self, catalogue: Catalogue, outcomes: Outcomes, *, thin: Thinness, states: Sequence[State]
    ) -> None:
        self.actions = catalogue.types
        self.width = len(catalogue.features)
        self.horizon = catalogue.horizon
        self._changing = np.array(
            [i for i, name in enumerate(catalogue.features) if _can_change(name)], np.intp
        )
        names = [catalogue.features[i] for i in self._changing]
        starts = _gather(catalogue, states, self._changing)
        self._starts = _Starts(*(jnp.asarray(each) for each in starts))
        self._lots = jnp.asarray(starts.share.cumsum()[:-1], jnp.float32)
        self._chances = _split_linear(outcomes.chances, starts.x, self._changing)
        self._rewards = _split_linear(outcomes.rewards, starts.x, self._changing)
        self._late = outcomes.late
        self._penalty = thin.pessimism * jnp.asarray(thin.scale, jnp.float32)
        self._leverage = _split_quadratic(thin.leverage, starts.x, self._changing)
        self._follows = jnp.asarray(_follow(names, self.actions, outcomes.results))
        self._repeats = jnp.asarray(_switches(names, [f"again:{each}" for each in self.actions]))
        self._counts = jnp.asarray([name == "steps" for name in names], jnp.float32)

    def reset(self, key: jax.Array, count: int) -> Simulated:
        lots = jax.random.uniform(key, (count,))
        start = jnp.searchsorted(self._lots, lots, side="right").astype(jnp.int32)
        starts = self._starts
        return Simulated(start, starts.seen[start], starts.taken[start], starts.steps[start])

    def step(
        self, state: Simulated, action: jax.Array, key: jax.Array
    ) -> tuple[Simulated, jax.Array, jax.Array]:
        """Return state, reward, done; the action has its default parameters."""
        rows = jnp.arange(len(action))
        again = state.taken[rows, action]
        form = again * len(self.actions) + action
        chances = jax.nn.softmax(self._chances.of(state, form))
        outcome = draw(chances, jax.random.uniform(key, action.shape))
        is_last = state.steps + 1 >= self.horizon
        reward = self._expect(state, form, ends=chances[:, DONE], is_last=is_last)
        doubt = self._penalty[action] * jnp.sqrt(self._leverage.of(state, action))
        followed = self._follow(state, action, outcome, again)
        return followed, reward - doubt, (outcome == DONE) | is_last

    def observe(self, state: Simulated) -> jax.Array:
        """Return (n, width) float32."""
        return self._starts.x[state.start].at[:, self._changing].set(state.seen)

    def allowed(self, state: Simulated) -> jax.Array:
        """Return (n, actions): no type twice, or all where every one was taken."""
        return ~state.taken | state.taken.all(axis=1, keepdims=True)

    def _expect(
        self, state: Simulated, form: jax.Array, *, ends: jax.Array, is_last: jax.Array
    ) -> jax.Array:
        rewards = jnp.clip(self._rewards.of(state, form), LEAST, MOST)
        goes_on = rewards[:, 1] + is_last * self._late
        return jnp.clip(ends * rewards[:, 0] + (1 - ends) * goes_on, LEAST, MOST)

    def _follow(
        self, state: Simulated, action: jax.Array, outcome: jax.Array, again: jax.Array
    ) -> Simulated:
        steps = state.steps + 1
        share = jnp.minimum(steps / self.horizon, 1.0)[:, None] * self._counts
        repeated = self._repeats[action] * again[:, None]
        seen = jnp.maximum(state.seen, self._follows[action, outcome])
        seen = jnp.maximum(jnp.maximum(seen, repeated), share)
        taken = state.taken.at[jnp.arange(len(action)), action].set(True)
        return Simulated(state.start, seen, taken, steps)


def draw(chances: jax.Array, lots: jax.Array) -> jax.Array:
    """Draw from each row of chances, (n, choices), by a lot from 0 to below 1; returns int32 (n,).

    jax.random.categorical would take two seconds more to compile.
    """
    sums = chances.cumsum(axis=1)
    return (lots[:, None] * sums[:, -1:] >= sums[:, :-1]).sum(axis=1, dtype=jnp.int32)


def _can_change(feature: str) -> bool:
    return feature == "steps" or feature.partition(":")[0] in ("taken", "again")


def _gather(catalogue: Catalogue, states: Sequence[State], changing: NDArray[np.intp]) -> _Starts:
    """Each different first state once, the commonest first; ties in the order of the log."""
    encoder = Encoder(catalogue)
    counts: Counter[tuple[bytes, tuple[bool, ...], int]] = Counter()
    for state in states:
        types = {each.type for each in state.actions_taken}
        taken = tuple(type_ in types for type_ in catalogue.types)
        counts[encoder.encode(state).tobytes(), taken, len(state.actions_taken)] += 1
    kept = counts.most_common(MOST_STARTS)
    x = np.stack([np.frombuffer(encoded, np.float32) for (encoded, _, _), _ in kept])
    share = np.array([times for _, times in kept], np.float64)
    seen = x[:, changing]
    x[:, changing] = 0.0
    return _Starts(
        x=x,
        seen=seen,
        taken=np.array([taken for (_, taken, _), _ in kept], bool),
        steps=np.array([steps for (_, _, steps), _ in kept], np.int32),
        share=share / share.sum(),
    )


def _split_linear(
    weights: NDArray[np.float32], x: NDArray[np.float32], changing: NDArray[np.intp]
) -> _Linear:
    """weights: shape (2, actions, outcomes, 1 + features)."""
    forms = weights.reshape(-1, *weights.shape[2:]).astype(np.float64)
    base = forms[None, :, :, 0] + np.einsum("sd,fkd->sfk", x, forms[:, :, 1:])
    slopes = np.moveaxis(forms[:, :, 1 + changing], 2, 0)
    return _Linear(jnp.asarray(base, jnp.float32), jnp.asarray(slopes, jnp.float32))


def _split_quadratic(
    matrices: NDArray[np.float32], x: NDArray[np.float32], changing: NDArray[np.intp]
) -> _Quadratic:
    """matrices: shape (actions, 1 + features, 1 + features), symmetric."""
    z = np.hstack([np.ones((len(x), 1)), x])
    forms, at = matrices.astype(np.float64), 1 + changing
    products = np.einsum("sd,fde->sfe", z, forms)
    return _Quadratic(
        base=jnp.asarray(np.einsum("sfe,se->sf", products, z), jnp.float32),
        slopes=jnp.asarray(2 * products[:, :, at], jnp.float32),
        squares=jnp.asarray(np.moveaxis(forms[:, at][:, :, at], 0, 1), jnp.float32),
    )


def _follow(
    names: Sequence[str], actions: Sequence[str], results: Sequence[str]
) -> NDArray[np.float32]:
    """Shape (actions, outcomes, changing): what an outcome switches on; the end nothing."""
    taken = _switches(names, [f"taken:{action}" for action in actions])
    table = np.repeat(taken[:, None], 2 + len(results), axis=1)
    for i, result in enumerate(results):
        table[:, 2 + i] += _switches(names, [f"taken:{action}={result}" for action in actions])
    table[:, DONE] = 0.0
    return table


def _switches(names: Sequence[str], wanted: Sequence[str]) -> NDArray[np.float32]:
    """Shape (wanted, names), 1 where they are the same."""
    table = np.array([[name == each for name in names] for each in wanted], np.float32)
    return table.reshape(len(wanted), len(names))
