"""One incident at a time: what follows an action, and that luck agrees with arithmetic."""

import numpy as np
import pytest
from simulator.exact import find, solve, value_of
from simulator.incidents import (
    COST_OF_REPLICA,
    DIAGNOSE,
    ESCALATE,
    NOISE,
    REACH,
    RULES,
    SCALE_K8S,
    TIMED_OUT,
    WEIGHT,
    WORKS,
    Situation,
)
from simulator.play import Incident, act, begin, draw

ROLLBACK, CLEAR_CACHE = 4, 6
FRESH = Situation(0, 1, 0, 0, 0)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(11)


def _try(situation, action, *, cause=0, seeds=range(2_000), **params):
    incident = Incident(cause, situation)
    return [act(incident, action, np.random.default_rng(seed), **params) for seed in seeds]


def test_the_mean_return_of_many_incidents_is_the_exact_value(random):
    policy = solve().policy
    returns = [_return_of(policy, random) for _ in range(4_000)]

    error = np.std(returns) / np.sqrt(len(returns))
    assert np.mean(returns) == pytest.approx(value_of(policy), abs=4 * error)


def _return_of(policy: np.ndarray, random: np.random.Generator) -> float:
    incident, done, total = begin(random), False, 0.0
    while not done:
        action = draw(policy[find(incident.situation)], random)
        outcome = act(incident, action, random)
        incident, done = outcome.incident, outcome.done
        total += outcome.factors.sum()
    return total


def test_a_fix_that_failed_never_works_again():
    tried = FRESH._replace(taken=1 << CLEAR_CACHE)

    outcomes = _try(tried, CLEAR_CACHE, cause=4)

    assert {outcome.result for outcome in outcomes} == {"failed"}


def test_a_second_diagnosis_says_what_the_first_said():
    diagnosed = FRESH._replace(taken=1 << DIAGNOSE, diagnosis=3)

    outcomes = _try(diagnosed, DIAGNOSE, cause=0, seeds=range(50))

    assert {outcome.result for outcome in outcomes} == {"memory_leak"}


def test_a_diagnosis_is_right_as_often_as_the_table_says():
    results = [outcome.result for outcome in _try(FRESH, DIAGNOSE, cause=1)]

    share = results.count("bad_deploy") / len(results)
    assert share == pytest.approx(0.84, abs=4 * np.sqrt(0.84 * 0.16 / len(results)))


@pytest.mark.parametrize("replicas", [1, 3, 10])
def test_more_replicas_work_more_often_and_cost_more(replicas):
    outcomes = _try(FRESH, SCALE_K8S, cause=0, replicas=replicas)

    works = WORKS[0, SCALE_K8S] * REACH[replicas]
    share = np.mean([outcome.done for outcome in outcomes])
    assert share == pytest.approx(works, abs=4 * np.sqrt(works * (1 - works) / len(outcomes)))
    assert outcomes[0].factors[3] == pytest.approx(COST_OF_REPLICA * replicas)


def test_an_approval_makes_a_rollback_less_risky():
    (plain,) = _try(FRESH, ROLLBACK, seeds=[1])
    (approved,) = _try(FRESH._replace(taken=2), ROLLBACK, seeds=[1])

    assert plain.factors[2] == pytest.approx(WEIGHT[1] * -2.2)
    assert approved.factors[2] == pytest.approx(WEIGHT[1] * -0.3)


def test_one_repeat_is_borne_and_the_second_loses_the_incident():
    asked = FRESH._replace(taken=2)

    (first,) = _try(asked, 1, seeds=[1])
    (second,) = _try(first.incident.situation, 1, seeds=[1])

    assert (first.done, first.result, first.incident.situation.again) == (False, "granted", 2)
    assert second.done
    assert second.factors[0] == pytest.approx(WEIGHT[1] * TIMED_OUT)


@pytest.mark.parametrize(("action", "is_lost"), [(CLEAR_CACHE, True), (ESCALATE, False)])
def test_the_eighth_action_is_the_last_and_only_handing_over_avoids_the_penalty(action, is_lost):
    late = FRESH._replace(taken=0b0111111 | 1 << CLEAR_CACHE, diagnosis=1)

    outcomes = _try(late, action, cause=0, seeds=range(20))

    assert all(outcome.done for outcome in outcomes)
    assert all((outcome.factors[0] < 0) == is_lost for outcome in outcomes)


def test_no_reward_and_no_factor_can_leave_its_range():
    """The noise is bounded so that nothing is ever clipped, which would move the means."""
    means = RULES.factors.copy()
    means[..., SCALE_K8S, :, 3] = 10 * COST_OF_REPLICA
    means[..., 0, 0] += RULES.time_out.min()

    assert np.abs(means).max() + NOISE.max() < 10
    assert np.abs(means.sum(axis=-1)).max() + NOISE.sum() <= 10
