"""What PPO asks of a simulator: many environments at once, as pure functions on JAX arrays.
Two keep to it: the one learnt from a log, and the shipped incidents. No learning here."""

from typing import Any, Protocol

import jax

State = Any
"""A pytree of plain arrays, each with the environments as its first axis; no typed random keys."""


class Simulator(Protocol):
    """Everything here is traced once and compiled: no side effects, no branches on values.

    Told apart by identity, so it must never change, and be hashable.
    """

    @property
    def actions(self) -> tuple[str, ...]:
        """In the order of the catalogue, which is that of every axis of actions."""
        ...

    @property
    def width(self) -> int:
        """Features of an observation."""
        ...

    @property
    def horizon(self) -> int:
        """Steps after which an episode is done at the latest."""
        ...

    def reset(self, key: jax.Array, count: int) -> State: ...

    def step(
        self, state: State, action: jax.Array, key: jax.Array
    ) -> tuple[State, jax.Array, jax.Array]:
        """Return the next state, rewards (n,) float32 and done (n,) bool; resets nothing.

        action: (n,) int32. What follows a done step is never looked at.
        """
        ...

    def observe(self, state: State) -> jax.Array:
        """Return (n, width) float32: features, as serving encodes the same state."""
        ...

    def allowed(self, state: State) -> jax.Array:
        """Return (n, actions) bool: what the guard leaves, at least one in every row."""
        ...
