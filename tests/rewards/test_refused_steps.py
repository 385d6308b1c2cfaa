"""Steps that are none, or too large: refused whole, at their place."""

import io
import json
from typing import Any

import pytest

from chalicelib.rewards.batches import MOST_BYTES, MOST_LINE_BYTES, MOST_STEPS
from chalicelib.training import lines as training
from tests.builders.episodes import make_step
from tests.builders.logged import log_steps, make_steps, objects

NOTHING = {"resolution": 0.0, "time": 0.0, "risk": 0.0, "cost": 0.0}
REFUSED: dict[str, tuple[Any, str]] = {
    "no steps": ([], "body.steps"),
    "91 steps": (make_steps(MOST_STEPS + 1), "body.steps"),
    "a step twice": ([make_step(), make_step()], "body"),
    "factors that add up to more": ([make_step(factors={**NOTHING, "time": 2.0})], "body.steps.0"),
    "a factor too many": (
        [make_step(factors={**NOTHING, "luck": 0.0})],
        "body.steps.0.factors.luck",
    ),
    "a factor too few": (
        [make_step(factors={"resolution": 1.25, "time": 0.0, "risk": 0.0})],
        "body.steps.0.factors.cost",
    ),
    "a reward that is a little off": ([make_step(reward=1.250002)], "body.steps.0"),
    "no factors": ([make_step(factors={})], "body.steps.0.factors.time"),
    "a reward of 11": (
        [make_step(reward=11.0, factors={**NOTHING, "time": 5.0, "risk": 6.0})],
        "body.steps.0.reward",
    ),
    "a factor of -11": (
        [make_step(reward=-1, factors={**NOTHING, "time": -11, "risk": 10})],
        "body.steps.0.factors.time",
    ),
    "a propensity of 0": ([make_step(propensity=0)], "body.steps.0.propensity"),
    "a propensity of 1.1": ([make_step(propensity=1.1)], "body.steps.0.propensity"),
    "a step of -1": ([make_step(step=-1)], "body.steps.0.step"),
    "a step of 0.5": ([make_step(step=0.5)], "body.steps.0.step"),
    "a step as text": ([make_step(step="0")], "body.steps.0.step"),
    "an episode of 101 letters": ([make_step(episode_id="e" * 101)], "body.steps.0.episode_id"),
    "a step after the end": ([make_step(step=3), make_step(step=4)], "body"),
    "no episode": ([make_step(episode_id="")], "body.steps.0.episode_id"),
    "done as 1": ([make_step(done=1)], "body.steps.0.done"),
    "no action": ([make_step(proposedAction=None)], "body.steps.0.proposedAction"),
    "a state of nothing": ([make_step(state={})], "body.steps.0.state.incident"),
    "an unknown member": ([make_step(rewards=1)], "body.steps.0.rewards"),
    "the second is bad": ([make_step(), make_step(step=-1)], "body.steps.1.step"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_steps_that_are_none_are_refused_at_their_place(app_environment: object, name: str):
    steps, at = REFUSED[name]

    reply = log_steps(*steps)

    assert (reply.status, reply.code) == (422, "invalid-request")
    assert at in {error["at"] for error in reply.json["errors"]}


def test_a_reward_may_be_off_by_the_rounding_of_its_factors(tenant: str):
    assert log_steps(make_step(reward=1.2500005)).json["written"] == 1


def test_more_bytes_than_a_batch_takes_are_refused(app_environment: object):
    details = {f"detail-{number}": "a" * 200 for number in range(50)}
    state = {**make_step()["state"], **details}
    steps = [
        make_step(step=step, state=state, done=False)
        for step in range(MOST_BYTES // (50 * 200) + 1)
    ]

    reply = log_steps(*steps)

    assert (reply.status, reply.code) == (413, "body-too-large")


def test_a_step_that_training_would_not_read_is_refused(tenant: str):
    details = {f"detail-{number}": ["a" * 100] * 20 for number in range(50)}
    state = {**make_step()["state"], **details}

    reply = log_steps(make_step(episode_id="ep-2"), make_step(state=state))

    assert (reply.status, reply.code) == (413, "body-too-large")
    assert "step 0 of episode 'ep-000001'" in reply.json["detail"]
    assert objects(tenant) == {}


def test_training_reads_lines_as_long_as_a_step_may_be():
    step = json.dumps(make_step())
    line = step + " " * (MOST_LINE_BYTES - len(step)) + "\n"

    assert MOST_LINE_BYTES <= training.MOST_LINE_BYTES
    assert training.count(io.BytesIO(line.encode())).episodes == 1
