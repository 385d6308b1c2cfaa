"""Many incidents at once in JAX, by the Protocol of training: what a policy learns in.
The rules are those of `incidents`; rewards are their means, without a log's noise."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from simulator import policies
from simulator.incidents import (
    ACTIONS,
    CAUSE_SHARE,
    CAUSES,
    ESCALATE,
    FINDING_SHARE,
    HORIZON,
    RULES,
    SEVERITIES,
    SEVERITY_SHARE,
    SYMPTOMS_SHARE,
    TITLE_SHARE,
    Rules,
    Situation,
)
from simulator.observing import Observer, observer


class Incidents(NamedTuple):
    """Arrays with one entry an incident."""

    situation: Situation
    cause: jax.Array
    symptoms: jax.Array
    """1 where the states of the episode name symptoms."""


class IncidentSimulator:
    """features, actions: the catalogue's, in its order. horizon: what makes `steps` 1."""

    def __init__(
        self,
        features: tuple[str, ...],
        *,
        actions: tuple[str, ...] = ACTIONS,
        horizon: int = HORIZON,
    ) -> None:
        self.actions = actions
        self.width = len(features)
        self.horizon = HORIZON
        self._order = np.array([ACTIONS.index(action) for action in actions])
        self._observer = observer(features, horizon=horizon)
        self._tables = Observer(*(jnp.asarray(table) for table in self._observer))
        self._rules = Rules(*(jnp.asarray(table) for table in RULES))
        self._starts = _cumulated(_start_shares().ravel())
        self._findings = _cumulated(FINDING_SHARE)

    def reset(self, key: jax.Array, count: int) -> Incidents:
        lots = jax.random.uniform(key, (2, count))
        start = _draw(self._starts, lots[0])
        context, cause = jnp.divmod(start, len(CAUSES))
        title, severity = jnp.divmod(context, len(SEVERITIES))
        nothing = jnp.zeros(count, jnp.int32)
        symptoms = (lots[1] < SYMPTOMS_SHARE).astype(jnp.int32)
        return Incidents(Situation(title, severity, nothing, nothing, nothing), cause, symptoms)

    def step(
        self, state: Incidents, action: jax.Array, key: jax.Array
    ) -> tuple[Incidents, jax.Array, jax.Array]:
        """Return state, reward, done; where done, the state is the one before."""
        rules, situation = self._rules, state.situation
        taken = jnp.asarray(self._order)[action]
        lots = jax.random.uniform(key, (2, len(action)))
        resolved = (lots[0] < rules.success(situation, state.cause, taken)).astype(jnp.int32)
        reward = rules.means(situation, taken, resolved).sum(axis=-1)
        gives_up = rules.gives_up(situation, taken)
        done = (resolved == 1) | (taken == ESCALATE) | gives_up
        finding = _draw(self._findings[state.cause], lots[1])
        seen = rules.follow(situation, taken, finding)
        kept = Situation(
            *(jnp.where(done, old, new) for old, new in zip(situation, seen, strict=True))
        )
        return state._replace(situation=kept), reward, done

    def observe(self, state: Incidents) -> jax.Array:
        return self._tables.observe(state.situation, state.symptoms)

    def allowed(self, state: Incidents) -> jax.Array:
        """bool (n, A): what the guard against useless repeats leaves."""
        free = (state.situation.taken[:, None] >> jnp.asarray(self._order)) & 1 == 0
        return free | ~free.any(axis=1, keepdims=True)

    def observations(self, situations: Situation, *, with_symptoms: bool = False) -> np.ndarray:
        """float32 (S, width): what a network sees in exact states."""
        return self._observer.observe(situations, int(with_symptoms))

    def allowed_in(self, situations: Situation) -> np.ndarray:
        """bool (S, A): what the guard leaves in exact states."""
        free = policies.allowed(situations)[:, self._order]
        return free | ~free.any(axis=1, keepdims=True)

    def in_order(self, probabilities: np.ndarray) -> np.ndarray:
        """(S, A) over the catalogue's actions -> (S, 8) over the simulator's, as exact takes it."""
        ordered = np.zeros((len(probabilities), len(ACTIONS)))
        ordered[:, self._order] = probabilities
        return ordered


def _start_shares() -> np.ndarray:
    """[title, severity, cause]"""
    contexts = TITLE_SHARE[:, None] * SEVERITY_SHARE
    return contexts[:, :, None] * CAUSE_SHARE[:, None, :]


def _cumulated(shares: np.ndarray) -> jax.Array:
    """Without the last, which is 1."""
    return jnp.asarray(shares.cumsum(axis=-1)[..., :-1], jnp.float32)


def _draw(cumulated: jax.Array, lots: jax.Array) -> jax.Array:
    return (lots[:, None] >= cumulated).sum(axis=-1, dtype=jnp.int32)
