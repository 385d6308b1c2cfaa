"""One update of proximal policy optimisation (Schulman et al. 2017), compiled as a whole: act in
every environment for some steps, then take gradient steps on what was seen.
Draws nothing at random and never leaves the device: `ppo` calls it again and again."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from training.policy.networks import logits_of, values_of
from training.policy.simulating import Simulator


@dataclass(frozen=True)
class PpoSettings:
    """Every hyperparameter. The discount is 1: episodes are short and end by themselves."""

    steps: int = 1_000_000
    """Of all environments together; rounded up to whole updates."""
    environments: int = 256
    """Simulated side by side; more of them cost less a step, and make fewer, better updates."""
    rollout: int = 16
    """Steps of each environment that one update learns from; longer than most episodes."""
    epochs: int = 4
    """Passes over them; each further one is cheaper than new steps, and less true to them."""
    minibatches: int = 4
    """Gradient steps a pass; divides environments x rollout."""
    learning_rate: float = 4e-3
    """Of Adam at the start; falls to 0 along a straight line. Held constant, learning stops short
    of the optimum by several percent."""
    clip: float = 0.2
    """How far an action's probability may move in an update before its gradient is cut, relatively
    (epsilon of the paper, eq. 7)."""
    entropy: float = 0.15
    """Weight of the entropy bonus at the start: too little, and the policy grabs what pays at once
    before it has found out that a diagnosis pays later."""
    exploring: float = 0.7
    """Share of the steps over which that weight falls to 0; the rest makes the policy certain."""
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


class Learner(NamedTuple):
    """What goes from update to update."""

    tensors: dict[str, jax.Array]
    optimiser: Any
    simulated: Any
    returns: jax.Array
    """(environments,) of the episodes under way."""
    updates: jax.Array


class Chance(NamedTuple):
    """All that is random in an update, drawn by NumPy: XLA takes long to compile generators."""

    lots: Any
    """(rollout, environments, actions), Gumbel: added to logits, they make argmax a draw."""
    keys: Any
    """(rollout, 2, 2) uint32: the simulator's, for steps and for resets."""
    orders: Any
    """(epochs x minibatches, steps of a minibatch): which steps to learn from."""


class Batch(NamedTuple):
    """Steps: (rollout, environments, ...) as they are made, (steps, ...) to learn from."""

    x: jax.Array
    allowed: jax.Array
    action: jax.Array
    log_chance: jax.Array
    advantage: jax.Array
    goal: jax.Array
    """What the critic should have said."""


class Seen(NamedTuple):
    """Sums over steps or gradient steps; the host divides."""

    episodes: jax.Array
    returns: jax.Array
    entropy: jax.Array
    kl: jax.Array
    clipped: jax.Array
    squares: jax.Array


def update(
    simulator: Simulator, settings: PpoSettings, learner: Learner, chance: Chance
) -> tuple[Learner, Seen]:
    """Roll out, then learn from it."""
    learner, batch, episodes = _roll_out(simulator, settings, learner, chance)
    flat = jax.tree.map(lambda each: each.reshape(-1, *each.shape[2:]), batch)
    learn = partial(_learn, settings, rates_of(settings, learner.updates), flat)
    carry = learner.tensors, learner.optimiser
    (tensors, optimiser), found = jax.lax.scan(learn, carry, chance.orders)
    learner = learner._replace(tensors=tensors, optimiser=optimiser, updates=learner.updates + 1)
    return learner, Seen(*episodes, *(each.mean() for each in found))


def new_optimiser(settings: PpoSettings) -> optax.GradientTransformation:
    """Adam without its learning rate, which hangs on the update; on one long vector, which XLA
    compiles in less time than twelve tensors."""
    clipped = optax.clip_by_global_norm(settings.gradient_norm)
    return optax.flatten(optax.chain(clipped, optax.scale_by_adam(eps=1e-5)))


def _roll_out(
    simulator: Simulator, settings: PpoSettings, learner: Learner, chance: Chance
) -> tuple[Learner, Batch, tuple[jax.Array, jax.Array]]:
    """Act for some steps in every environment; one that is done begins anew."""
    act = partial(_act, simulator, settings, learner.tensors)
    start = learner.simulated, learner.returns
    (state, returns), seen = jax.lax.scan(act, start, (chance.lots, chance.keys))
    x, allowed, action, log_chance, reward, done, ended = seen
    every = jnp.concatenate([x, simulator.observe(state)[None]])
    values = values_of(learner.tensors, every, xp=jnp)
    advantage = _advantages(settings, values, reward, done)
    batch = Batch(x, allowed, action, log_chance, advantage, advantage + values[:-1])
    learner = learner._replace(simulated=state, returns=returns)
    return learner, batch, (done.sum(), ended.sum())


def _act(
    simulator: Simulator,
    settings: PpoSettings,
    tensors: dict[str, jax.Array],
    carry: tuple[Any, jax.Array],
    random: tuple[jax.Array, jax.Array],
) -> tuple[tuple[Any, jax.Array], tuple[jax.Array, ...]]:
    """One step in every environment."""
    (state, returns), (lots, keys) = carry, random
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


def rates_of(settings: PpoSettings, updates: Any) -> tuple[Any, Any]:
    """Learning rate and weight of the entropy after so many updates."""
    done = updates / settings.updates
    falling = jnp.maximum(0.0, 1 - done / settings.exploring)
    return settings.learning_rate * (1 - done), settings.entropy * falling


def _learn(
    settings: PpoSettings,
    rates: tuple[Any, Any],
    steps: Batch,
    carry: tuple[Any, Any],
    order: jax.Array,
) -> tuple[tuple[Any, Any], Any]:
    """One gradient step."""
    tensors, state = carry
    rate, bonus = rates
    batch = jax.tree.map(lambda each: each[order], steps)
    loss = partial(_loss, settings, bonus, batch)
    gradient, seen = jax.grad(loss, has_aux=True)(tensors)
    direction, state = new_optimiser(settings).update(gradient, state)
    tensors = jax.tree.map(lambda old, way: old - rate * way, tensors, direction)
    return (tensors, state), seen


def _loss(
    settings: PpoSettings, bonus: jax.Array, batch: Batch, tensors: dict[str, jax.Array]
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
    loss = settings.value_weight * squares - surrogate - bonus * entropy
    kl = (ratio - 1 - log_ratio).mean()
    return loss, (entropy, kl, (ratio != cut).mean(), squares)
