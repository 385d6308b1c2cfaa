"""The exact solution beside brute force: beliefs, values, and what the optimum never does."""

import numpy as np
import pytest
from simulator import policies
from simulator.exact import (
    find,
    situation_at,
    solve,
    value_of,
    values_of,
    visits_of,
    world,
)
from simulator.incidents import (
    CAUSE_SHARE,
    ESCALATE,
    FINDING_SHARE,
    HANDED_OVER,
    SEVERITY_SHARE,
    TITLE_SHARE,
    WEIGHT,
    WORKS,
    Situation,
)
from simulator.play import act, begin
from simulator.summary import compare_policies, share_of_optimum, summarise

KNOWN = {
    "greedy": policies.grab_reward,
    "logged": policies.work_as_logged,
    "random": policies.draw_evenly,
    "runbook": policies.follow_runbook,
}


def test_the_world_is_of_the_size_that_a_network_cannot_learn_by_heart_but_arithmetic_can():
    assert len(world().starts) == 27_315
    assert world().starts.sum() == pytest.approx(1)


def test_every_way_on_leads_one_step_further_and_none_is_lost():
    mdp = world()
    steps = np.searchsorted(mdp.bounds, np.arange(len(mdp.starts)), side="right")
    state, action, way = np.nonzero(mdp.chances)

    assert (steps[mdp.following[state, action, way]] == steps[state] + 1).all()
    assert mdp.chances.sum(axis=2).max() <= 1 + 1e-12


def test_the_belief_is_what_bayes_says_of_each_history():
    random = np.random.default_rng(5)
    for _ in range(300):
        incident, history, done = begin(random), [], False
        while not done:
            state = find(incident.situation)
            assert world().beliefs[state] == pytest.approx(_bayes(incident.situation, history))
            action = int(random.integers(7))
            outcome = act(incident, action, random)
            history.append((action, outcome.result))
            incident, done = outcome.incident, outcome.done


def _bayes(situation: Situation, history: list[tuple[int, str | None]]) -> np.ndarray:
    """Cause by cause, action by action; the first try alone says something."""
    names = ["traffic_surge", "bad_deploy", "memory_leak", "db_overload", "stale_cache"]
    likelihood = [float(CAUSE_SHARE[situation.title, cause]) for cause in range(5)]
    for number, (action, result) in enumerate(history):
        if action in [earlier for earlier, _ in history[:number]]:
            continue
        for cause in range(5):
            if action == 0:
                likelihood[cause] *= FINDING_SHARE[cause, names.index(str(result))]
            elif action > 1:
                likelihood[cause] *= 1 - WORKS[cause, action]
    return np.array(likelihood) / sum(likelihood)


def test_escalating_at_once_is_worth_what_the_tables_say():
    policy = np.eye(8)[np.full(len(world().starts), ESCALATE)]

    weight = (TITLE_SHARE @ SEVERITY_SHARE) @ WEIGHT
    assert value_of(policy) == pytest.approx(weight * (HANDED_OVER - 1.6) - 0.6)


def test_one_fix_before_escalating_is_worth_what_the_tables_say():
    clear_cache = 6
    tried = world().situations.taken > 0
    policy = np.eye(8)[np.where(tried, ESCALATE, clear_cache)]

    expected = 0.0
    for title, severity in np.argwhere(SEVERITY_SHARE > 0):
        weight = WEIGHT[severity]
        works = CAUSE_SHARE[title] @ WORKS[:, clear_cache]
        after = works * weight * 4 + (1 - works) * (weight * (0.5 - 1.6) - 0.6)
        share = TITLE_SHARE[title] * SEVERITY_SHARE[title, severity]
        expected += share * (weight * (-0.4 - 0.5) - 0.1 + after)
    assert value_of(policy) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_no_policy_is_better_than_the_optimum_anywhere(seed):
    weights = np.random.default_rng(seed).exponential(size=world().rewards.shape) ** 4
    policy = weights / weights.sum(axis=1, keepdims=True)

    assert (values_of(policy) <= solve().values + 1e-9).all()


def test_the_optimal_policy_is_worth_the_optimum_in_every_state():
    assert values_of(solve().policy) == pytest.approx(solve().values)


def test_a_repeat_costs_something_in_every_state():
    is_repeat = ~policies.allowed(world().situations)
    loss = solve().values[:, None] - solve().gains

    assert loss[is_repeat].min() > 0.25


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_what_is_met_on_the_way_adds_up_to_the_value(name):
    policy = KNOWN[name]()
    passed = visits_of(policy)[:, None] * policy

    assert (passed * world().rewards).sum() == pytest.approx(value_of(policy))


def test_planning_pays_and_the_runbook_leaves_something_to_learn():
    share = {worth.policy: worth.share for worth in compare_policies()}

    assert value_of(policies.draw_evenly()) < -4
    assert share["logged"] < share["greedy"] < 0.9 < share["runbook"] < 0.95
    assert share_of_optimum(solve().policy) == pytest.approx(1)


def test_the_summary_has_one_line_a_policy():
    assert [line.split()[0] for line in summarise().splitlines()] == [
        "policy",
        "random",
        "logged",
        "greedy",
        "runbook",
        "optimal",
    ]


def test_a_state_is_found_again_by_what_is_seen_of_it():
    states = np.arange(0, len(world().starts), 1_000)

    assert [int(find(situation_at(state))) for state in states] == states.tolist()


def test_a_situation_that_cannot_come_up_is_no_state():
    """A result of a diagnosis that was not made."""
    assert find(Situation(0, 1, 3, 0, 0)) == -1
