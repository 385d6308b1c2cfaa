"""The simulator in JAX beside the exact solution and beside its own Gymnasium face."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from simulator import policies
from simulator.exact import find, solve, value_of, world
from simulator.incidents import ACTIONS, CAUSE_SHARE, HORIZON, SEVERITY_SHARE, TITLE_SHARE
from simulator.observing import default_features
from simulator.vectorised import Incidents, IncidentSimulator

COUNT = 40_000


@pytest.fixture(scope="module")
def simulator() -> IncidentSimulator:
    return IncidentSimulator(default_features())


def _states(state: Incidents) -> np.ndarray:
    return find(type(state.situation)(*(np.asarray(column) for column in state.situation)))


@pytest.fixture(scope="module")
def compiled(simulator: IncidentSimulator) -> tuple[Any, Any]:
    return jax.jit(simulator.reset, static_argnums=1), jax.jit(simulator.step)


def _play(reset: Any, move: Any, policy: np.ndarray) -> np.ndarray:
    """Return the return of each of COUNT episodes."""
    keys = jax.random.split(jax.random.key(0), 2 * HORIZON + 1)
    state = reset(keys[0], COUNT)
    running, returns = np.ones(COUNT, bool), np.zeros(COUNT)
    for step in range(HORIZON):
        lots = np.asarray(jax.random.uniform(keys[1 + step], (COUNT, 1)))
        cumulated = policy[_states(state)].cumsum(axis=1)
        action = np.minimum((lots >= cumulated).sum(axis=1), len(ACTIONS) - 1)
        state, reward, done = move(state, jnp.asarray(action), keys[1 + HORIZON + step])
        returns += np.where(running, reward, 0)
        running &= ~np.asarray(done)
    assert not running.any()
    return returns


@pytest.mark.parametrize("name", ["logged", "optimal", "random"])
def test_the_mean_return_is_the_exact_value(name, compiled):
    policy = {
        "logged": policies.work_as_logged(),
        "optimal": solve().policy,
        "random": policies.draw_evenly(),
    }[name]

    returns = _play(*compiled, policy)

    error = returns.std() / np.sqrt(COUNT)
    assert returns.mean() == pytest.approx(value_of(policy), abs=4 * error)


def test_incidents_begin_as_often_as_the_tables_say(simulator):
    start, _, _ = _after(simulator, count=COUNT)

    for title, severity, cause in np.ndindex(5, 4, 5):
        share = TITLE_SHARE[title] * SEVERITY_SHARE[title, severity] * CAUSE_SHARE[title, cause]
        seen = start.situation.title == title
        seen &= (start.situation.severity == severity) & (start.cause == cause)
        error = np.sqrt(share * (1 - share) / COUNT)
        assert float(seen.mean()) == pytest.approx(share, abs=4.5 * error)


def _after(simulator: IncidentSimulator, *actions: int, count: int) -> tuple[Incidents, Any, Any]:
    """Return the incidents after the actions, what is observed of them, and what is allowed."""

    @jax.jit
    def play(key: jax.Array) -> tuple[Incidents, jax.Array, jax.Array]:
        state = simulator.reset(key, count)
        for number, action in enumerate(actions):
            lots = jax.random.fold_in(key, number)
            state, _, _ = simulator.step(state, jnp.full(count, action), lots)
        return state, simulator.observe(state), simulator.allowed(state)

    return jax.tree.map(np.asarray, play(jax.random.key(1)))


def test_observations_of_running_incidents_are_those_of_their_exact_states(simulator):
    state, observed, allowed = _after(simulator, 0, 5, count=500)
    situations, states = world().situations, _states(state)

    both = [simulator.observations(situations, with_symptoms=named) for named in (False, True)]
    expected = np.where(state.symptoms[:, None] == 1, both[1][states], both[0][states])
    assert observed.dtype == np.float32
    np.testing.assert_allclose(observed, expected, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(allowed, simulator.allowed_in(situations)[states])


def test_actions_and_features_keep_the_order_of_the_catalogue():
    order = tuple(reversed(ACTIONS))
    turned = IncidentSimulator(("steps", "taken:CLEAR_CACHE=failed"), actions=order)

    _, observed, allowed = _after(turned, order.index("REQUEST_APPROVAL"), count=2)

    assert observed.tolist() == [[1 / 8, 0]] * 2
    assert allowed.tolist() == [[True] * 6 + [False, True]] * 2
    assert turned.in_order(np.eye(8)[6:7]).argmax() == ACTIONS.index("REQUEST_APPROVAL")


def test_the_guard_gives_way_where_a_smaller_catalogue_is_used_up():
    small = IncidentSimulator(("steps",), actions=("REQUEST_APPROVAL",))

    _, _, allowed = _after(small, 0, count=1)

    assert allowed.tolist() == [[True]]
