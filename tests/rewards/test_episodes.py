"""The log of episodes over HTTP: what is written, once, and what is refused whole."""

import io
import json
from typing import Any

import pytest

from chalicelib.kit import aws
from chalicelib.kit.clock import Deadline
from chalicelib.kit.settings import settings
from chalicelib.rewards import service, store
from chalicelib.rewards.batches import MOST_BYTES, MOST_LINE_BYTES, MOST_STEPS, Step
from chalicelib.rewards.triggers import write_episodes
from chalicelib.training import lines as training
from tests.builders import events
from tests.builders.crashes import together
from tests.builders.episodes import make_step
from tests.builders.http import Reply, post_json, send
from tests.conftest import World

LONG = Deadline(3_600)


def _log(*steps: Any) -> Reply:
    return post_json("/api/episodes", {"steps": steps})


def _steps(count: int, *, first: int = 0, episode: str = "ep-1") -> list[dict[str, Any]]:
    return [
        make_step(episode_id=episode, step=number, done=False)
        for number in range(first, first + count)
    ]


def objects(tenant: str) -> dict[str, bytes]:
    """The files of the tenant's episodes, by key."""
    bucket, found = settings().bucket, aws.s3()
    listed = found.list_objects_v2(Bucket=bucket, Prefix=f"episodes/{tenant}/").get("Contents", [])
    return {
        one["Key"]: found.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed
    }


def lines(tenant: str) -> list[dict[str, Any]]:
    """All that is written, in the order of episodes and steps."""
    read = [json.loads(line) for file in objects(tenant).values() for line in file.splitlines()]
    return sorted(read, key=lambda line: (line["episode_id"], line["step"]))


def test_steps_are_written_as_lines_of_one_object(tenant: str):
    steps = [*_steps(2), make_step(episode_id="ep-2", propensity=0.25)]

    reply = _log(*steps)

    assert reply.status == 201
    answer = reply.json
    key = answer["object"]
    assert answer == {
        "batch": key.split("/")[-1][:-6],
        "written": 3,
        "duplicates": 0,
        "object": key,
    }
    assert list(objects(tenant)) == [key]
    assert lines(tenant) == [{**step, "state": {"symptoms": [], **step["state"]}} for step in steps]


def test_an_object_lies_under_its_tenant_and_day(tenant: str):
    batch = _log(make_step()).json["batch"]

    (key,) = objects(tenant)
    assert key == f"episodes/{tenant}/{batch[:4]}/{batch[4:6]}/{batch[6:8]}/{batch}.jsonl"


def test_a_training_job_can_read_what_is_written(tenant: str):
    _log(*_steps(2), make_step(episode_id="ep-2", proposedAction={"type": "ROLLBACK"}))

    (file,) = objects(tenant).values()

    assert training.count(io.BytesIO(file)) == training.Count(lines=3, episodes=1)


def test_members_of_a_state_that_only_this_log_has_are_written(tenant: str):
    state = {**make_step()["state"], "region": "eu-west-1", "hosts": ["a", "b"], "load": 0.5}

    _log(make_step(state=state))

    assert lines(tenant)[0]["state"] == {**state, "symptoms": []}


def test_as_many_steps_as_a_batch_takes_are_written_together(tenant: str):
    reply = _log(*_steps(MOST_STEPS))

    assert (reply.status, reply.json["written"]) == (201, MOST_STEPS)
    assert len(lines(tenant)) == MOST_STEPS


def test_the_same_steps_again_are_duplicates_and_not_written(tenant: str):
    first = _log(*_steps(3))
    before = objects(tenant)

    again = _log(*_steps(3))

    assert again.status == 200
    assert again.json == {**first.json, "written": 0, "duplicates": 3}
    assert objects(tenant) == before


def test_members_in_another_order_and_numbers_in_another_spelling_are_the_same_step(tenant: str):
    _log(make_step())
    turned = json.dumps(dict(reversed(make_step().items())))
    spelt = turned.replace('"replicas": 3', '"replicas": 3.0').encode()

    again = send(
        "POST",
        "/api/episodes",
        b'{"steps": [' + spelt + b"]}",
        headers={"Content-Type": "application/json"},
    )

    assert again.json["duplicates"] == 1


def test_of_steps_that_come_batched_otherwise_only_the_new_are_written(tenant: str):
    _log(*_steps(3))

    again = _log(*_steps(4, first=1))

    assert (again.json["written"], again.json["duplicates"]) == (2, 2)
    assert lines(tenant) == [
        {**step, "state": {"symptoms": [], **step["state"]}} for step in _steps(5)
    ]


def test_duplicates_of_several_batches_name_none(tenant: str):
    _log(*_steps(1))
    _log(*_steps(1, first=1))

    again = _log(*_steps(2)).json

    assert (again["batch"], again["object"], again["duplicates"]) == (None, None, 2)


def test_other_content_of_a_logged_step_is_refused_and_nothing_of_the_batch_is_kept(tenant: str):
    _log(*_steps(2))
    before = objects(tenant)
    other = make_step(episode_id="ep-1", step=1, done=True)

    reply = _log(make_step(episode_id="ep-2"), other)

    assert (reply.status, reply.code) == (409, "step-logged-otherwise")
    assert "step 1 of episode 'ep-1'" in reply.json["detail"]
    assert [flaw["at"] for flaw in reply.json["errors"]] == ["body.steps.1"]
    assert objects(tenant) == before
    assert _log(make_step(episode_id="ep-2")).json["written"] == 1


def test_two_tenants_may_log_the_same_step(cloud, tenant: str, monkeypatch: pytest.MonkeyPatch):
    _log(make_step())
    monkeypatch.setenv("TENANT_ID", f"{tenant}-other")
    settings.cache_clear()

    assert _log(make_step()).json["written"] == 1


def test_steps_that_many_log_at_once_are_written_once(tenant: str):
    """Each process has steps in common with the next."""
    parts = [
        [Step.model_validate(step) for step in _steps(6, first=first)] for first in (0, 3, 6, 9)
    ]

    together([lambda part=part: service.log_episode(tenant, part) for part in parts])

    assert [line["step"] for line in lines(tenant)] == list(range(15))
    assert list(store.all_outboxes(tenant)) == []


def test_batches_are_listed_newest_first_page_by_page(tenant: str):
    logged = [_log(make_step(episode_id=f"ep-{n}")).json["batch"] for n in range(3)]

    first = send("GET", "/api/episodes", query={"limit": ["2"]}).json
    rest = send("GET", "/api/episodes", query={"cursor": [first["cursor"]]}).json

    assert [batch["id"] for batch in first["items"] + rest["items"]] == logged[::-1]
    assert rest["cursor"] is None


def test_a_listed_batch_says_what_is_in_it(tenant: str):
    logged = _log(*_steps(2), make_step(episode_id="ep-2")).json

    (batch,) = send("GET", "/api/episodes").json["items"]

    assert batch.pop("at").startswith(logged["batch"][:4])
    assert batch == {
        "id": logged["batch"],
        "steps": 3,
        "episodes": 2,
        "object": logged["object"],
        "written": True,
    }


def test_what_could_not_be_written_is_written_by_the_schedule(
    tenant: str, monkeypatch: pytest.MonkeyPatch
):
    bucket = settings().bucket
    _use_bucket("no-such-bucket", monkeypatch)
    assert _log(*_steps(2)).status == 500
    assert write_episodes(events.scheduled(), None) == {"failed": 1}
    _use_bucket(bucket, monkeypatch)
    assert [batch["written"] for batch in send("GET", "/api/episodes").json["items"]] == [False]

    assert write_episodes(events.scheduled(), None) == {"failed": 0}

    assert len(lines(tenant)) == 2
    assert [batch["written"] for batch in send("GET", "/api/episodes").json["items"]] == [True]


def _use_bucket(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", name)
    settings.cache_clear()


def test_a_schedule_without_time_writes_nothing(tenant: str, monkeypatch: pytest.MonkeyPatch):
    bucket = settings().bucket
    _use_bucket("no-such-bucket", monkeypatch)
    _log(*_steps(1))
    _use_bucket(bucket, monkeypatch)

    assert service.write_unwritten(tenant, deadline=Deadline(0)) == 0

    assert objects(tenant) == {}


NOTHING = {"resolution": 0.0, "time": 0.0, "risk": 0.0, "cost": 0.0}
REFUSED: dict[str, tuple[Any, str]] = {
    "no steps": ([], "body.steps"),
    "91 steps": (_steps(MOST_STEPS + 1), "body.steps"),
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

    reply = _log(*steps)

    assert (reply.status, reply.code) == (422, "invalid-request")
    assert at in {error["at"] for error in reply.json["errors"]}


def test_a_reward_may_be_off_by_the_rounding_of_its_factors(tenant: str):
    assert _log(make_step(reward=1.2500005)).json["written"] == 1


def test_more_bytes_than_a_batch_takes_are_refused(app_environment: object):
    details = {f"detail-{number}": "a" * 200 for number in range(50)}
    state = {**make_step()["state"], **details}
    steps = [
        make_step(step=step, state=state, done=False)
        for step in range(MOST_BYTES // (50 * 200) + 1)
    ]

    reply = _log(*steps)

    assert (reply.status, reply.code) == (413, "body-too-large")


def test_a_step_that_training_would_not_read_is_refused(tenant: str):
    details = {f"detail-{number}": ["a" * 100] * 20 for number in range(50)}
    state = {**make_step()["state"], **details}

    reply = _log(make_step(episode_id="ep-2"), make_step(state=state))

    assert (reply.status, reply.code) == (413, "body-too-large")
    assert "step 0 of episode 'ep-000001'" in reply.json["detail"]
    assert objects(tenant) == {}


def test_training_reads_lines_as_long_as_a_step_may_be():
    assert MOST_LINE_BYTES <= training.MOST_LINE_BYTES


def test_a_full_batch_of_characters_that_take_most_room_is_written(tenant: str):
    """Quotes and controls are escaped in JSON: the row must hold them nevertheless."""
    details = {f"detail-{number}": '"\\\n\x01\U0001f600' * 40 for number in range(50)}
    state = {**make_step()["state"], **details}

    reply = _log(*[make_step(step=step, state=state, done=False) for step in range(7)])

    assert reply.json["written"] == 7
    assert lines(tenant)[0]["state"]["detail-0"] == details["detail-0"]


def test_a_world_that_only_reads_has_no_batches(world: World):
    assert send("GET", "/api/episodes").json == {"items": [], "cursor": None}
