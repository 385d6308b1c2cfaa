"""Proximal policy optimisation in simulators: the loop around its updates, chance, and snapshots
to go on from. Reads and writes no file, knows no catalogue."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from training.policy.networks import new_tensors
from training.policy.simulating import Simulator
from training.policy.updating import (
    Chance,
    Learner,
    PpoSettings,
    Seen,
    new_optimiser,
    rates_of,
    update,
)

_compiled_update = jax.jit(
    update, static_argnums=(0, 1), compiler_options={"xla_backend_optimization_level": 1}
)
"""Once for a simulator and its settings. Level 1 compiles in 10 to 20 % less time than the usual
one, and to code as fast; a job is so short that it counts."""


class SnapshotRefused(ValueError):
    """It was taken with other settings, or in a simulator whose arrays are others."""


class Snapshot(NamedTuple):
    """All that learning needs to go on as if it had never stopped: plain arrays by name.

    The simulator's tables are no part of it: who keeps snapshots keeps them apart by simulator.
    """

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
    learner = _start(simulator, settings)
    if resume is not None:
        learner = _restore(settings, learner, resume)
    seen: list[Seen] = []
    for done in range(int(learner.updates) + 1, settings.updates + 1):
        chance = _draw(simulator, settings, done)
        learner, found = _compiled_update(simulator, settings, learner, chance)
        seen.append(found)
        if done % settings.chunk == 0 or done == settings.updates:
            progress = _progress(settings, done, seen)
            seen = []
            if on_chunk(_snapshot(settings, learner), progress):
                break
    return Policy({name: np.array(tensor) for name, tensor in learner.tensors.items()})


def _start(simulator: Simulator, settings: PpoSettings) -> Learner:
    width, actions = simulator.width, len(simulator.actions)
    tensors = new_tensors(width=width, actions=actions, seed=settings.seed)
    reset = jax.jit(simulator.reset, static_argnums=1)
    return Learner(
        tensors={name: jnp.asarray(tensor) for name, tensor in tensors.items()},
        optimiser=new_optimiser(settings).init(tensors),
        simulated=reset(jax.random.PRNGKey(settings.seed), settings.environments),
        returns=jnp.zeros(settings.environments),
        updates=jnp.zeros((), jnp.int32),
    )


def _draw(simulator: Simulator, settings: PpoSettings, update: int) -> Chance:
    """Draw for one update, the same whether learning was stopped before it or not."""
    random = np.random.default_rng((settings.seed, update))
    steps = settings.rollout, settings.environments
    count = settings.rollout * settings.environments
    orders = [random.permutation(count) for _ in range(settings.epochs)]
    return Chance(
        lots=random.gumbel(size=(*steps, len(simulator.actions))).astype(np.float32),
        keys=random.integers(2**32, size=(settings.rollout, 2, 2), dtype=np.uint32),
        orders=np.array(orders, np.int32).reshape(settings.epochs * settings.minibatches, -1),
    )


def _progress(settings: PpoSettings, updates: int, seen: list[Seen]) -> Progress:
    total = Seen(*(float(np.sum(column)) for column in zip(*seen, strict=True)))
    return Progress(
        updates=updates,
        steps=updates * settings.environments * settings.rollout,
        episodes=int(total.episodes),
        mean_return=total.returns / total.episodes if total.episodes else float("nan"),
        entropy=total.entropy / len(seen),
        kl=total.kl / len(seen),
        clipped=total.clipped / len(seen),
        value_error=(total.squares / len(seen)) ** 0.5,
        learning_rate=float(rates_of(settings, updates)[0]),
    )


def _named(learner: Learner) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(learner)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _snapshot(settings: PpoSettings, learner: Learner) -> Snapshot:
    arrays = {name: np.array(leaf) for name, leaf in _named(learner).items()}
    return Snapshot({**arrays, "settings": _fingerprint(settings)})


def _fingerprint(settings: PpoSettings) -> NDArray[np.uint8]:
    """All that results hang on: reporting is no part of it."""
    return np.frombuffer(repr(replace(settings, chunk=1)).encode(), np.uint8)


def _restore(settings: PpoSettings, learner: Learner, snapshot: Snapshot) -> Learner:
    """Put a snapshot's arrays where a fresh learner has its own."""
    arrays = dict(snapshot.arrays)
    if not np.array_equal(arrays.pop("settings", None), _fingerprint(settings)):
        raise SnapshotRefused("the snapshot was taken with other settings")
    wanted = _named(learner)
    ours, theirs = (
        {(name, leaf.shape, str(leaf.dtype)) for name, leaf in named.items()}
        for named in (wanted, arrays)
    )
    if ours != theirs:
        raise SnapshotRefused(f"the snapshot has other arrays: {min(ours ^ theirs)[0]!r}")
    leaves = [jnp.asarray(arrays[name]) for name in wanted]
    return jax.tree.unflatten(jax.tree.structure(learner), leaves)
