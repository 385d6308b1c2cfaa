"""The log that the simulator writes: its shape, its bytes, its policy and its luck."""

import io
import json
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from reward.questions import read_question
from simulator.documents import situation_of
from simulator.episodes import write_episodes
from simulator.exact import find, solve, value_of, world
from simulator.incidents import ACTIONS
from simulator.policies import follow_runbook, work_as_logged


def _log(count: int, seed: int, **settings: Any) -> str:
    file = io.StringIO()
    write_episodes(file, count=count, seed=seed, **settings)
    return file.getvalue()


def _lines(count: int, seed: int, **settings: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _log(count, seed, **settings).splitlines()]


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    return _lines(1_500, 3, varied=0.0)


def _states(lines: list[dict[str, Any]]) -> np.ndarray:
    return np.array([find(situation_of(line["state"])) for line in lines])


def _actions(lines: list[dict[str, Any]]) -> np.ndarray:
    return np.array([ACTIONS.index(line["proposedAction"]["type"]) for line in lines])


def test_the_same_seed_writes_the_same_bytes():
    assert _log(20, 1) == _log(20, 1)
    assert _log(20, 1) != _log(20, 2)


def test_more_episodes_begin_with_the_same_ones():
    assert _log(20, 1).startswith(_log(5, 1))


def test_steps_count_from_zero_and_only_the_last_is_done(lines):
    by_episode: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_episode.setdefault(line["episode_id"], []).append(line)

    assert list(by_episode) == [f"ep-3-{number:06d}" for number in range(1, 1_501)]
    for episode in by_episode.values():
        assert [line["step"] for line in episode] == list(range(len(episode)))
        assert [line["done"] for line in episode] == [False] * (len(episode) - 1) + [True]


def test_the_next_state_tells_the_action_and_its_result(lines):
    for line, following in pairwise(lines):
        if line["done"]:
            continue
        *earlier, last = following["state"]["actions_taken"]
        assert earlier == line["state"]["actions_taken"]
        assert last == {**line["proposedAction"], "result": last["result"]}


def test_factors_add_up_to_a_reward_in_range():
    for line in _lines(300, 4):
        assert list(line["factors"]) == ["resolution", "time", "risk", "cost"]
        assert line["reward"] == pytest.approx(sum(line["factors"].values()), abs=1e-6)
        assert -10 <= line["reward"] <= 10


def test_every_step_is_a_question_that_the_container_takes(lines):
    for line in lines[:300]:
        read_question({"state": line["state"], "proposedAction": line["proposedAction"]})


def test_half_of_the_episodes_name_symptoms_and_none_changes_its_mind(lines):
    named = {line["episode_id"]: set() for line in lines}
    for line in lines:
        named[line["episode_id"]].add("symptoms" in line["state"])

    share = np.mean([True in seen for seen in named.values()])
    assert all(len(seen) == 1 for seen in named.values())
    assert share == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(1_500))


def test_replicas_are_drawn_from_one_to_ten_only_where_they_vary(lines):
    varied = Counter(
        line["proposedAction"]["params"]["replicas"]
        for line in _lines(1_500, 3, varied=1.0)
        if line["proposedAction"]["type"] == "SCALE_K8S"
    )

    assert set(varied) == set(range(1, 11))
    assert {
        line["proposedAction"]["params"]["replicas"]
        for line in lines
        if line["proposedAction"]["type"] == "SCALE_K8S"
    } == {3}


def test_propensities_are_the_policy_and_the_actions_keep_to_them(lines):
    states, actions = _states(lines), _actions(lines)
    shares = work_as_logged()[states]

    assert [line["propensity"] for line in lines] == pytest.approx(
        shares[np.arange(len(lines)), actions]
    )
    for action in range(len(ACTIONS)):
        expected = shares[:, action]
        error = np.sqrt((expected * (1 - expected)).sum())
        assert (actions == action).sum() == pytest.approx(expected.sum(), abs=4 * error)


@pytest.mark.parametrize(
    "make",
    [follow_runbook, lambda: solve().policy, work_as_logged],
    ids=["runbook", "optimal", "log"],
)
def test_the_mean_return_of_a_log_is_the_exact_value_of_its_policy(make):
    policy = make()
    returns = Counter()
    for line in _lines(2_000, 8, policy=policy, varied=0.0):
        returns[line["episode_id"]] += line["reward"]

    error = np.std(list(returns.values())) / np.sqrt(2_000)
    assert np.mean(list(returns.values())) == pytest.approx(value_of(policy), abs=4 * error)


def test_a_perfect_model_explains_about_six_tenths_of_the_rewards(lines):
    """The rest is luck and noise: no reward model can honestly score more on this log."""
    rewards = np.array([line["reward"] for line in lines])
    truth = world().rewards[_states(lines), _actions(lines)]

    explained = 1 - ((rewards - truth) ** 2).mean() / rewards.var()
    assert 0.55 < explained < 0.8
