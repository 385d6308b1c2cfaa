"""Tests of the simulator that is learnt from a log; PPO's own are elsewhere."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import simulated_logs
from reward.features import Encoder
from reward.predictor import Predictor
from reward.questions import State, TakenAction, read_state
from training.policy.learned import LearnedSimulator, Simulated, Thinness, draw
from training.policy.outcomes import DONE, Outcomes, learn_outcomes
from training.policy.ppo import PpoSettings, train
from training.report.known import Known

EPISODES = 1500
KEY = jax.random.PRNGKey(5)


@cache
def learn() -> Outcomes:
    dataset = simulated_logs.make_dataset(EPISODES)
    return learn_outcomes(dataset.catalogue, dataset.fit)


def make_simulator(
    *, pessimism: float = 0.0, states: Sequence[State] | None = None
) -> LearnedSimulator:
    dataset = simulated_logs.make_dataset(EPISODES)
    model = simulated_logs.make_reward_model(EPISODES)
    thin = Thinness(
        leverage=np.asarray(model.tensors["reward.leverage"], np.float32),
        scale=simulated_logs.residual_scale(dataset, model),
        pessimism=pessimism,
    )
    firsts = list(dataset.fit.states[dataset.fit.step == 0])
    return LearnedSimulator(dataset.catalogue, learn(), thin=thin, states=states or firsts)


def begin(**changes: Any) -> State:
    document = {"incident": "Memory usage keeps climbing", "severity": "sev-3"}
    return read_state(document | changes)


def follow(
    simulator: LearnedSimulator, *types: str, count: int = 256
) -> tuple[Simulated, np.ndarray, np.ndarray]:
    """Take the actions one after the other; return state, last rewards and last done."""
    state = simulator.reset(KEY, count)
    reward = done = jnp.zeros(count)
    for i, type_ in enumerate(types):
        action = jnp.full(count, simulator.actions.index(type_), jnp.int32)
        state, reward, done = simulator.step(state, action, jax.random.fold_in(KEY, i))
    return state, np.asarray(reward), np.asarray(done)


def test_states_are_observed_as_serving_encodes_them():
    catalogue = simulated_logs.make_dataset(EPISODES).catalogue
    simulator = make_simulator(states=[begin()])

    state, _, _ = follow(simulator, "DIAGNOSE", "RESTART_SERVICE", "RESTART_SERVICE")

    causes = [name for name in learn().results if name not in ("failed", "granted")]
    encoder = Encoder(catalogue)
    possible = {
        encoder.encode(
            begin()._replace(
                actions_taken=(
                    TakenAction("DIAGNOSE", result=cause),
                    *[TakenAction("RESTART_SERVICE", result="failed")] * 2,
                )
            )
        ).tobytes()
        for cause in causes
    }
    # an end, which no state follows, leaves nothing to see of the fix
    seen = np.asarray(simulator.observe(state))
    failed = seen[:, catalogue.features.index("taken:RESTART_SERVICE=failed")] > 0
    diagnosed = seen[:, catalogue.features.index("taken:DIAGNOSE")] > 0
    assert {row.tobytes() for row in seen[failed & diagnosed]} == possible


def test_an_episode_begins_where_one_of_the_log_began():
    dataset = simulated_logs.make_dataset(EPISODES)
    simulator = make_simulator()

    seen = np.asarray(simulator.observe(simulator.reset(KEY, 256)))

    firsts = {x.tobytes() for x in dataset.fit.x[dataset.fit.step == 0]}
    assert {x.tobytes() for x in seen} <= firsts


def test_first_states_are_drawn_as_often_as_the_log_has_them():
    simulator = make_simulator(states=[begin()] * 3 + [begin(severity="sev-4")])

    seen = np.asarray(simulator.observe(simulator.reset(KEY, 4_000)))

    features = simulated_logs.make_dataset(EPISODES).catalogue.features
    share = seen[:, features.index("severity=sev-3")].mean()
    assert share == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / 4_000) ** 0.5)


def test_what_was_taken_before_the_episode_began_is_guarded_too():
    simulator = make_simulator(states=[begin(actions_taken=["DIAGNOSE"])])

    allowed = np.asarray(simulator.allowed(simulator.reset(KEY, 1)))[0]

    assert [type_ for type_, free in zip(simulator.actions, allowed, strict=True) if not free] == [
        "DIAGNOSE"
    ]


def test_everything_is_allowed_again_once_everything_was_taken():
    simulator = make_simulator(states=[begin()])

    state, _, _ = follow(simulator, *simulator.actions)

    assert np.asarray(simulator.allowed(state)).all()


def test_an_episode_ends_at_the_horizon_at_the_latest():
    simulator = make_simulator(states=[begin()])

    _, _, before = follow(simulator, *["DIAGNOSE"] * (simulator.horizon - 1))
    _, _, done = follow(simulator, *["DIAGNOSE"] * simulator.horizon)

    assert not before.all()
    assert done.all()


def test_rewards_are_what_the_outcomes_expect():
    simulator = make_simulator(states=[begin()])

    _, reward, _ = follow(simulator, "RESTART_SERVICE")

    x = Encoder(simulated_logs.make_dataset(EPISODES).catalogue).encode(begin())[None]
    kind = np.array([simulator.actions.index("RESTART_SERVICE")])
    assert reward == pytest.approx(
        learn().expected_rewards(x, kind, np.array([False]))[0], abs=1e-4
    )


def test_an_episode_ends_as_often_as_the_outcomes_say():
    simulator = make_simulator(states=[begin()])

    _, _, done = follow(simulator, "RESTART_SERVICE", count=4_096)

    x = Encoder(simulated_logs.make_dataset(EPISODES).catalogue).encode(begin())[None]
    kind = np.array([simulator.actions.index("RESTART_SERVICE")])
    share = learn().probabilities(x, kind, np.array([False]))[0, DONE]
    assert done.mean() == pytest.approx(share, abs=4 * (share * (1 - share) / 4_096) ** 0.5)


def test_pessimism_takes_standard_errors_of_the_reward_off():
    states = [begin()]
    _, hopeful, _ = follow(make_simulator(states=states), "FAILOVER_DB")
    _, doubtful, _ = follow(make_simulator(states=states, pessimism=2.0), "FAILOVER_DB")

    dataset = simulated_logs.make_dataset(EPISODES)
    model = simulated_logs.make_reward_model(EPISODES)
    at = dataset.catalogue.types.index("FAILOVER_DB")
    z = np.append(1.0, Encoder(dataset.catalogue).encode(begin()))
    leverage = z @ model.tensors["reward.leverage"][at] @ z
    doubt = 2.0 * simulated_logs.residual_scale(dataset, model)[at] * leverage**0.5
    assert hopeful - doubtful == pytest.approx(doubt, rel=1e-3)


def test_doubt_grows_with_every_step_away_from_the_log():
    states = [begin()]
    far = ["CLEAR_CACHE", "FAILOVER_DB", "REQUEST_APPROVAL", "ROLLBACK_DEPLOY"]
    doubts = [
        (
            follow(make_simulator(states=states), *far[:steps], "SCALE_K8S")[1]
            - follow(make_simulator(states=states, pessimism=1.0), *far[:steps], "SCALE_K8S")[1]
        ).mean()
        for steps in (0, 2, 4)
    ]

    assert doubts[0] < doubts[1] < doubts[2]


def test_lots_draw_by_their_chances():
    chances = jnp.array([[0.25, 0.0, 0.75]] * 4)

    drawn = draw(chances, jnp.array([0.0, 0.2499, 0.25, 0.999999]))

    assert drawn.tolist() == [0, 0, 2, 2]


def test_a_policy_learnt_from_a_log_alone_is_worth_85_percent_of_the_optimum():
    """Exactly valued in the simulator that wrote the log, and that PPO never saw."""
    dataset = simulated_logs.make_dataset(EPISODES)
    model = simulated_logs.make_reward_model(EPISODES)

    policy = train(make_simulator(pessimism=1.0), PpoSettings(steps=150_000))

    known = Known(dataset.catalogue)
    predictor = Predictor(model._replace(tensors={**model.tensors, **policy.tensors}))
    values = known.value_policies(predictor, known.predict(predictor))
    assert values["policy"]["percent"] > 85
