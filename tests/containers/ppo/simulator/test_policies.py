"""The known policies do what their names say."""

import numpy as np
import pytest
from simulator import policies
from simulator.exact import find, visits_of, world
from simulator.incidents import ACTIONS, Situation


@pytest.mark.parametrize(
    "make",
    [
        policies.draw_evenly,
        policies.follow_runbook,
        policies.grab_reward,
        policies.work_as_logged,
    ],
)
def test_probabilities_of_every_state_add_up_to_one(make):
    policy = make()

    assert policy.shape == world().rewards.shape
    assert policy.min() >= 0
    assert policy.sum(axis=1) == pytest.approx(1)


def test_the_log_tries_everything_and_says_how_often():
    logged = policies.work_as_logged()

    assert set(np.unique(logged).round(6)) == {0.05, 0.65}


def test_the_runbook_never_repeats():
    runbook = policies.follow_runbook()
    repeats = runbook * ~policies.allowed(world().situations)

    assert (visits_of(runbook)[:, None] * repeats).sum() == 0


@pytest.mark.parametrize(
    ("diagnosis", "taken", "action"),
    [
        (0, [], "DIAGNOSE"),
        (2, ["DIAGNOSE"], "REQUEST_APPROVAL"),
        (2, ["DIAGNOSE", "REQUEST_APPROVAL"], "ROLLBACK_DEPLOY"),
        (2, ["DIAGNOSE", "REQUEST_APPROVAL", "ROLLBACK_DEPLOY"], "RESTART_SERVICE"),
        (2, ["DIAGNOSE", "ROLLBACK_DEPLOY", "RESTART_SERVICE"], "ESCALATE"),
        (5, ["DIAGNOSE"], "CLEAR_CACHE"),
    ],
)
def test_the_runbook_diagnoses_asks_fixes_and_hands_over(diagnosis, taken, action):
    bits = sum(1 << ACTIONS.index(name) for name in taken)

    assert ACTIONS[policies.choose_by_runbook(diagnosis, bits)] == action


def test_greed_takes_the_best_reward_at_once():
    state = find(Situation(title=4, severity=2, diagnosis=0, taken=0, again=0))

    greedy = policies.grab_reward()[state]

    assert ACTIONS[int(greedy.argmax())] == "CLEAR_CACHE"
    assert greedy.argmax() == world().rewards[state].argmax()


def test_the_guard_leaves_what_was_not_tried_and_always_the_way_out():
    guarded = policies.allowed(world().situations)

    assert guarded[:, ACTIONS.index("ESCALATE")].all()
    assert (
        policies.allowed(Situation(0, 0, 1, 0b101, 0)).tolist() == [False, True, False] + [True] * 5
    )
