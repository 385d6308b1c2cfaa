"""Tests of off-policy estimates: by hand on tiny logs, against exact values on a simulated one."""

from dataclasses import replace

import numpy as np
import pytest
import simulated_logs
from simulator import exact, policies
from simulator.documents import situation_of
from simulator.incidents import ACTIONS, Situation
from training.episodes.dataset import Rows
from training.report.off_policy import OffPolicy, estimate


def make_rows(
    rewards: list[list[float]], kinds: list[list[int]], *, propensity: float = 0.5
) -> Rows:
    """One feature, which tells the step."""
    episode = np.repeat(np.arange(len(rewards)), [len(one) for one in rewards])
    step = np.concatenate([np.arange(len(one)) for one in rewards])
    count = len(step)
    reward = np.concatenate(rewards).astype(np.float64)
    return Rows(
        states=np.full(count, None, object),
        x=step[:, None].astype(np.float32),
        kind=np.concatenate(kinds).astype(np.intp),
        u=np.zeros((count, 1), np.float32),
        factors=np.stack([reward, *np.zeros((3, count))], axis=1),
        reward=reward,
        propensity=np.full(count, propensity),
        result=np.full(count, ""),
        done=np.append(episode[1:] != episode[:-1], True),
        episode=episode,
        step=step,
    )


def judge(rows: Rows, policy: np.ndarray) -> OffPolicy:
    """policy: (S, A) in the simulator's exact states and order."""
    found = [
        situation_of(
            {
                "incident": state.incident,
                "severity": state.severity,
                "actions_taken": [
                    {"type": each.type, "result": each.result} for each in state.actions_taken
                ],
            }
        )
        for state in rows.states
    ]
    states = exact.find(Situation(*np.array(found).T))
    types = simulated_logs.make_dataset(1500).catalogue.types
    order = [ACTIONS.index(type_) for type_ in types]
    return estimate(rows, policy[states][:, order], horizon=8, seed=1)


def test_importance_weights_of_a_tiny_log_are_what_a_hand_finds():
    # half of 40 episodes take action 1 twice and earn 1 and 3; the others take action 0
    rows = make_rows([[1, 3], [0, 0]] * 20, [[1, 1], [0, 0]] * 20)
    always = np.tile([0.0, 1.0], (len(rows), 1))

    found = estimate(rows, always, horizon=2, seed=1)

    # weights are 2 and 4 there, 0 elsewhere: (2 x 1 + 4 x 3) / 2, and (1 + 3) where weighted
    assert found.estimates["per_decision"].value == pytest.approx(7.0)
    assert found.estimates["weighted_per_decision"].value == pytest.approx(4.0)
    assert found.effective_size == pytest.approx(20.0)


def test_the_logs_own_policy_is_worth_what_was_logged():
    rows = simulated_logs.make_dataset(1500).test
    own = np.zeros((len(rows), 8))
    own[np.arange(len(rows)), rows.kind] = rows.propensity

    found = estimate(rows, own, horizon=8, seed=1)

    logged = rows.reward.sum() / rows.episodes
    assert found.estimates["per_decision"].value == pytest.approx(logged)
    assert found.effective_size == pytest.approx(rows.episodes)


@pytest.mark.parametrize(
    "name", ["doubly_robust", "per_decision", "weighted_doubly_robust", "weighted_per_decision"]
)
def test_the_runbooks_interval_holds_its_exact_value(name: str):
    runbook = policies.follow_runbook()

    found = judge(simulated_logs.make_dataset(1500).fit, runbook).estimates[name]

    assert found.low is not None
    assert found.high is not None
    assert found.low <= exact.value_of(runbook) <= found.high


def test_a_fitted_evaluation_has_no_interval():
    found = judge(simulated_logs.make_dataset(1500).fit, policies.follow_runbook())

    assert found.estimates["fitted"].low is None


def test_a_log_without_propensities_gives_no_answer():
    rows = make_rows([[1, 3]] * 20, [[1, 1]] * 20, propensity=float("nan"))

    found = estimate(rows, np.full((len(rows), 2), 0.5), horizon=2, seed=1)

    assert found.estimates == {}
    assert found.because == "the log has no whole episode with a propensity at every step"


def test_too_few_effective_episodes_give_no_answer():
    rows = make_rows([[1, 3]] * 4 + [[0, 0]] * 40, [[1, 1]] * 4 + [[0, 0]] * 40)

    found = estimate(rows, np.tile([0.0, 1.0], (len(rows), 1)), horizon=2, seed=1)

    assert found.effective_size == pytest.approx(4.0)
    assert found.estimates == {}
    assert found.because is not None
    assert "4.0 episodes" in found.because


def test_episodes_with_a_step_missing_are_left_out_and_counted():
    rows = make_rows([[1, 3]] * 20, [[1, 1]] * 20)
    holed = rows.where((rows.episode > 1) | (rows.step > 0))

    found = estimate(holed, np.full((len(holed), 2), 0.5), horizon=2, seed=1)

    assert (found.episodes, found.left_out) == (18, 2)


def test_episodes_without_their_end_are_left_out_and_counted():
    rows = make_rows([[1, 3]] * 20, [[1, 1]] * 20)
    cut = rows.where((rows.episode > 1) | (rows.step < 1))

    found = estimate(cut, np.full((len(cut), 2), 0.5), horizon=2, seed=1)

    assert (found.episodes, found.left_out) == (18, 2)


def test_the_same_seed_draws_the_same_interval():
    rows = simulated_logs.make_dataset(1500).test
    even = np.full((len(rows), 8), 1 / 8)

    once, again = (estimate(rows, even, horizon=8, seed=3) for _ in range(2))

    assert once == again


def test_an_episode_that_is_worth_twice_as_much_doubles_the_estimate():
    rows = make_rows([[1, 3], [0, 0]] * 20, [[1, 1], [0, 0]] * 20)
    even = np.full((len(rows), 2), 0.5)

    plain = estimate(rows, even, horizon=2, seed=1)
    double = estimate(replace(rows, reward=2 * rows.reward), even, horizon=2, seed=1)

    assert double.estimates["doubly_robust"].value == pytest.approx(
        2 * plain.estimates["doubly_robust"].value
    )
