"""Proximal policy optimisation (Schulman et al. 2017) for many simulated environments at once.
Reads and writes no file, knows no catalogue; what it learns in is a `Simulator`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from training.networks import logits_of, new_tensors, values_of
from training.simulating import Simulator


class SnapshotRefused(ValueError):
    """It was taken with another simulator, other settings or another version of this program."""


@dataclass(frozen=True)
class PpoSettings:
    """Every hyperparameter. The discount is 1: episodes are short and end by themselves."""

    steps: int = 2_000_000
    """Of all environments together; rounded up to whole updates."""
    environments: int = 256
    """Simulated side by side; more of them cost less a step, and make fewer, better updates."""
    rollout: int = 16
    """Steps of each environment that one update learns from; longer than most episodes."""
    epochs: int = 4
    """Passes over them; each further one is cheaper than new steps, and less true to them."""
    minibatches: int = 4
    """Gradient steps a pass."""
    learning_rate: float = 2e-3
    """Of Adam at the start; falls to 0 along a straight line. Held constant, learning stops short
    of the optimum by several percent."""
    clip: float = 0.2
    """How far an action's probability may move in an update before its gradient is cut, relatively
    (epsilon of the paper, eq. 7)."""
    entropy: float = 0.01
    """Weight of the entropy bonus at the start; falls to 0 as the learning rate does."""
    value_weight: float = 0.5
    """Of the critic's squared error beside the actor's loss (c1 of eq. 9)."""
    gae_lambda: float = 0.95
    """How long an advantage trusts rewards that came, before it trusts the critic (eq. 11)."""
    gradient_norm: float = 0.5
    """Longer gradients are shortened to it: one rare return must not undo what was learnt."""
    seed: int = 1
    guarded: bool = True
    """Leave to the policy what the simulator allows, only."""
    chunk: int = 10
    """Updates between two reports."""

    @property
    def updates(self) -> int:
        return -(-self.steps // (self.environments * self.rollout))


class Snapshot(NamedTuple):
    """All that learning needs to go on as if it had never stopped: plain arrays by name."""

    arrays: Mapping[str, NDArray[Any]]

    @property
    def updates(self) -> int:
        return int(self.arrays["updates"])


class Progress(NamedTuple):
    """How learning went, as means over the last chunk."""

    updates: int
    steps: int
    episodes: int
    """That ended in the chunk."""
    mean_return: float
    """Of them; not a number where none ended."""
    entropy: float
    """Of the policy, nats."""
    kl: float
    """Between the policies before and after an update, nats; above 0.05 it learns too fast."""
    clipped: float
    """Share of probabilities that moved further than the clip."""
    value_error: float
    """Root of the critic's mean squared error, in units of reward."""
    learning_rate: float
    """Of the update to come."""


class Policy(NamedTuple):
    tensors: dict[str, NDArray[np.float32]]
    """Actor and critic by the names of the artifact, as `networks` reads them."""


OnChunk = Callable[[Snapshot, Progress], bool]


class _Learner(NamedTuple):
    """What goes from update to update."""

    tensors: dict[str, jax.Array]
    optimiser: Any
    simulated: Any
    returns: jax.Array
    """(environments,) of the episodes under way."""
    key: jax.Array
    updates: jax.Array


class _Batch(NamedTuple):
    """Steps, of shape (rollout, environments, ...) as they are made, (steps, ...) as learnt from."""

    x: jax.Array
    allowed: jax.Array
    action: jax.Array
    log_chance: jax.Array
    advantage: jax.Array
    goal: jax.Array
    """What the critic should have said."""


class _Seen(NamedTuple):
    """Sums over steps or gradient steps; the host divides."""

    episodes: jax.Array
    returns: jax.Array
    entropy: jax.Array
    kl: jax.Array
    clipped: jax.Array
    squares: jax.Array


def train(
    simulator: Simulator,
    settings: PpoSettings,
    *,
    resume: Snapshot | None = None,
    on_chunk: OnChunk = lambda _snapshot, _progress: False,
) -> Policy:
    """Learn for settings.steps, or until on_chunk, called after every chunk, returns True.

    The same simulator, settings and machine give the same bytes, resumed or not.
    Raises SnapshotRefused.
    """
    update = jax.jit(partial(_update, simulator, settings))
    learner = jax.jit(partial(_start, simulator, settings))()
    if resume is not None:
        learner = _restore(learner, resume)
    seen: list[_Seen] = []
    for done in range(int(learner.updates) + 1, settings.updates + 1):
        learner, found = update(learner)
        seen.append(found)
        if done % settings.chunk == 0 or done == settings.updates:
            progress = _progress(settings, done, seen)
            seen = []
            if on_chunk(_snapshot(learner), progress):
                break
    return Policy({name: np.array(tensor) for name, tensor in learner.tensors.items()})


def _optimiser(settings: PpoSettings) -> optax.GradientTransformation:
    """Adam without its learning rate, which hangs on the update; on one long vector, because
    XLA compiles that in half the time."""
    clipped = optax.clip_by_global_norm(settings.gradient_norm)
    return optax.flatten(optax.chain(clipped, optax.scale_by_adam(eps=1e-5)))


def _start(simulator: Simulator, settings: PpoSettings) -> _Learner:
    resetting, key = jax.random.split(jax.random.PRNGKey(settings.seed))
    tensors = jax.tree.map(
        jnp.asarray,
        new_tensors(
            width=simulator.width, actions=len(simulator.actions), seed=settings.seed
        ),
    )
    return _Learner(
        tensors=tensors,
        optimiser=_optimiser(settings).init(tensors),
        simulated=simulator.reset(resetting, settings.environments),
        returns=jnp.zeros(settings.environments),
        key=key,
        updates=jnp.zeros((), jnp.int32),
    )


def _update(
    simulator: Simulator, settings: PpoSettings, learner: _Learner
) -> tuple[_Learner, _Seen]:
    """Roll out, then learn from it."""
    key, rolling, shuffling = jax.random.split(learner.key, 3)
    learner, batch, episodes = _roll_out(simulator, settings, learner, rolling)
    left = 1 - learner.updates / settings.updates
    (tensors, optimiser), found = jax.lax.scan(
        partial(_learn, settings, left),
        (learner.tensors, learner.optimiser),
        _shuffled(settings, batch, shuffling),
    )
    learner = learner._replace(
        tensors=tensors, optimiser=optimiser, key=key, updates=learner.updates + 1
    )
    return learner, _Seen(*episodes, *(each.mean() for each in found))


def _roll_out(
    simulator: Simulator, settings: PpoSettings, learner: _Learner, key: jax.Array
) -> tuple[_Learner, _Batch, tuple[jax.Array, jax.Array]]:
    """Act for some steps in every environment; one that is done begins anew."""
    acting, going = jax.random.split(key)
    shape = (settings.rollout, settings.environments, len(simulator.actions))
    lots = jax.random.gumbel(acting, shape)
    keys = jax.random.split(going, (settings.rollout, 2))
    act = partial(_act, simulator, settings, learner.tensors)
    (state, returns), seen = jax.lax.scan(act, (learner.simulated, learner.returns), (lots, keys))
    x, allowed, action, log_chance, reward, done, ended = seen
    every = jnp.concatenate([x, simulator.observe(state)[None]])
    values = values_of(learner.tensors, every, xp=jnp)
    advantage = _advantages(settings, values, reward, done)
    batch = _Batch(x, allowed, action, log_chance, advantage, advantage + values[:-1])
    learner = learner._replace(simulated=state, returns=returns)
    return learner, batch, (done.sum(), ended.sum())


def _act(
    simulator: Simulator,
    settings: PpoSettings,
    tensors: dict[str, jax.Array],
    carry: tuple[Any, jax.Array],
    chance: tuple[jax.Array, jax.Array],
) -> tuple[tuple[Any, jax.Array], tuple[jax.Array, ...]]:
    """One step everywhere. chance: Gumbel lots (n, actions), which make argmax a draw, and keys."""
    (state, returns), (lots, keys) = carry, chance
    x, allowed = simulator.observe(state), _allowed(simulator, settings, state)
    logits = logits_of(tensors, x, allowed, xp=jnp)
    action = jnp.argmax(logits + lots, axis=-1).astype(jnp.int32)
    log_chance = _of(jax.nn.log_softmax(logits), action)
    following, reward, done = simulator.step(state, action, keys[0])
    fresh = simulator.reset(keys[1], settings.environments)
    returns = returns + reward
    seen = (x, allowed, action, log_chance, reward, done, (done * returns).sum())
    state = jax.tree.map(partial(_choose, done), fresh, following)
    return (state, jnp.where(done, 0.0, returns)), seen


def _allowed(simulator: Simulator, settings: PpoSettings, state: Any) -> jax.Array:
    if settings.guarded:
        return simulator.allowed(state)
    return jnp.ones((settings.environments, len(simulator.actions)), bool)


def _choose(is_done: jax.Array, fresh: jax.Array, following: jax.Array) -> jax.Array:
    shape = is_done.shape + (1,) * (fresh.ndim - 1)
    return jnp.where(is_done.reshape(shape), fresh, following)


def _of(rows: jax.Array, action: jax.Array) -> jax.Array:
    return jnp.take_along_axis(rows, action[..., None], axis=-1)[..., 0]


def _advantages(
    settings: PpoSettings, values: jax.Array, reward: jax.Array, done: jax.Array
) -> jax.Array:
    """Generalised advantage estimation (Schulman et al. 2016, eq. 16), undiscounted.

    values: one row more than reward and done, of where the rollout stopped.
    """
    goes_on = 1.0 - done
    surprise = reward + goes_on * values[1:] - values[:-1]

    def back(later: jax.Array, at: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        advantage = at[0] + settings.gae_lambda * at[1] * later
        return advantage, advantage

    return jax.lax.scan(back, jnp.zeros_like(reward[0]), (surprise, goes_on), reverse=True)[1]


def _shuffled(settings: PpoSettings, batch: _Batch, key: jax.Array) -> _Batch:
    """Each epoch in an order of its own, cut into minibatches; all of them on the first axis."""
    flat = jax.tree.map(lambda each: each.reshape(-1, *each.shape[2:]), batch)
    count = settings.environments * settings.rollout
    order = jnp.argsort(jax.random.bits(key, (settings.epochs, count)), axis=-1)
    order = order.reshape(settings.epochs * settings.minibatches, -1)
    return jax.tree.map(lambda each: each[order], flat)


def _learn(
    settings: PpoSettings, left: jax.Array, carry: tuple[Any, Any], batch: _Batch
) -> tuple[tuple[Any, Any], Any]:
    """One gradient step. left: share of the learning that is still to come."""
    tensors, state = carry
    loss = partial(_loss, settings, left, batch)
    gradient, seen = jax.grad(loss, has_aux=True)(tensors)
    direction, state = _optimiser(settings).update(gradient, state)
    rate = settings.learning_rate * left
    tensors = jax.tree.map(lambda old, way: old - rate * way, tensors, direction)
    return (tensors, state), seen


def _loss(
    settings: PpoSettings, left: jax.Array, batch: _Batch, tensors: dict[str, jax.Array]
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """The clipped surrogate, the critic's error and the entropy bonus (the paper's eq. 9)."""
    log_chances = jax.nn.log_softmax(logits_of(tensors, batch.x, batch.allowed, xp=jnp))
    log_ratio = _of(log_chances, batch.action) - batch.log_chance
    ratio = jnp.exp(log_ratio)
    advantage = (batch.advantage - batch.advantage.mean()) / (batch.advantage.std() + 1e-8)
    cut = jnp.clip(ratio, 1 - settings.clip, 1 + settings.clip)
    surrogate = jnp.minimum(ratio * advantage, cut * advantage).mean()
    squares = jnp.square(values_of(tensors, batch.x, xp=jnp) - batch.goal).mean()
    entropy = -(jnp.exp(log_chances) * log_chances).sum(axis=-1).mean()
    loss = settings.value_weight * squares - surrogate - settings.entropy * left * entropy
    kl = (ratio - 1 - log_ratio).mean()
    return loss, (entropy, kl, (ratio != cut).mean(), squares)


def _progress(settings: PpoSettings, updates: int, seen: list[_Seen]) -> Progress:
    total = _Seen(*(float(sum(np.asarray(each) for each in column)) for column in zip(*seen)))
    return Progress(
        updates=updates,
        steps=updates * settings.environments * settings.rollout,
        episodes=int(total.episodes),
        mean_return=total.returns / total.episodes if total.episodes else float("nan"),
        entropy=total.entropy / len(seen),
        kl=total.kl / len(seen),
        clipped=total.clipped / len(seen),
        value_error=(total.squares / len(seen)) ** 0.5,
        learning_rate=settings.learning_rate * (1 - updates / settings.updates),
    )


def _named(learner: _Learner) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(learner)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _snapshot(learner: _Learner) -> Snapshot:
    return Snapshot({name: np.array(leaf) for name, leaf in _named(learner).items()})


def _restore(learner: _Learner, snapshot: Snapshot) -> _Learner:
    """Put a snapshot's arrays where a fresh learner has its own."""
    wanted = _named(learner)
    kinds = [
        {name: (leaf.shape, str(leaf.dtype)) for name, leaf in arrays.items()}
        for arrays in (wanted, snapshot.arrays)
    ]
    if kinds[0] != kinds[1]:
        wrong = sorted(name for name, _ in kinds[0].items() ^ kinds[1].items())
        raise SnapshotRefused(f"the snapshot does not fit this training: {wrong[0]!r}")
    arrays = [jnp.asarray(snapshot.arrays[name]) for name in wanted]
    return jax.tree.unflatten(jax.tree.structure(learner), arrays)
