"""The log of episodes over HTTP: what is written, once, and what is refused whole."""

import io
import json

import pytest

from chalicelib.kit.clock import Deadline
from chalicelib.kit.settings import settings
from chalicelib.rewards import service, store
from chalicelib.rewards.batches import MOST_STEPS, Step
from chalicelib.rewards.triggers import write_episodes
from chalicelib.training import lines as training
from tests.builders import events
from tests.builders.crashes import together
from tests.builders.episodes import make_step
from tests.builders.http import send
from tests.builders.logged import lines, log_steps, make_steps, objects
from tests.conftest import World

LONG = Deadline(3_600)


def test_steps_are_written_as_lines_of_one_object(tenant: str):
    steps = [*make_steps(2), make_step(episode_id="ep-2", propensity=0.25)]

    reply = log_steps(*steps)

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
    batch = log_steps(make_step()).json["batch"]

    (key,) = objects(tenant)
    assert key == f"episodes/{tenant}/{batch[:4]}/{batch[4:6]}/{batch[6:8]}/{batch}.jsonl"


def test_a_training_job_can_read_what_is_written(tenant: str):
    log_steps(*make_steps(2), make_step(episode_id="ep-2", proposedAction={"type": "ROLLBACK"}))

    (file,) = objects(tenant).values()

    assert training.count(io.BytesIO(file)) == training.Count(lines=3, episodes=1)


def test_members_of_a_state_that_only_this_log_has_are_written(tenant: str):
    state = {**make_step()["state"], "region": "eu-west-1", "hosts": ["a", "b"], "load": 0.5}

    log_steps(make_step(state=state))

    assert lines(tenant)[0]["state"] == {**state, "symptoms": []}


def test_as_many_steps_as_a_batch_takes_are_written_together(tenant: str):
    reply = log_steps(*make_steps(MOST_STEPS))

    assert (reply.status, reply.json["written"]) == (201, MOST_STEPS)
    assert len(lines(tenant)) == MOST_STEPS


def test_the_same_steps_again_are_duplicates_and_not_written(tenant: str):
    first = log_steps(*make_steps(3))
    before = objects(tenant)

    again = log_steps(*make_steps(3))

    assert again.status == 200
    assert again.json == {**first.json, "written": 0, "duplicates": 3}
    assert objects(tenant) == before


def test_members_in_another_order_and_numbers_in_another_spelling_are_the_same_step(tenant: str):
    log_steps(make_step())
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
    log_steps(*make_steps(3))

    again = log_steps(*make_steps(4, first=1))

    assert (again.json["written"], again.json["duplicates"]) == (2, 2)
    assert lines(tenant) == [
        {**step, "state": {"symptoms": [], **step["state"]}} for step in make_steps(5)
    ]


def test_duplicates_of_several_batches_name_none(tenant: str):
    log_steps(*make_steps(1))
    log_steps(*make_steps(1, first=1))

    again = log_steps(*make_steps(2)).json

    assert (again["batch"], again["object"], again["duplicates"]) == (None, None, 2)


def test_other_content_of_a_logged_step_is_refused_and_nothing_of_the_batch_is_kept(tenant: str):
    log_steps(*make_steps(2))
    before = objects(tenant)
    other = make_step(episode_id="ep-1", step=1, done=True)

    reply = log_steps(make_step(episode_id="ep-2"), other)

    assert (reply.status, reply.code) == (409, "step-logged-otherwise")
    assert "step 1 of episode 'ep-1'" in reply.json["detail"]
    assert [flaw["at"] for flaw in reply.json["errors"]] == ["body.steps.1"]
    assert objects(tenant) == before
    assert log_steps(make_step(episode_id="ep-2")).json["written"] == 1


def test_two_tenants_may_log_the_same_step(cloud, tenant: str, monkeypatch: pytest.MonkeyPatch):
    log_steps(make_step())
    monkeypatch.setenv("TENANT_ID", f"{tenant}-other")
    settings.cache_clear()

    assert log_steps(make_step()).json["written"] == 1


def test_steps_that_many_log_at_once_are_written_once(tenant: str):
    """Each process has steps in common with the next."""
    parts = [
        [Step.model_validate(step) for step in make_steps(6, first=first)] for first in (0, 3, 6, 9)
    ]

    together([lambda part=part: service.log_episode(tenant, part) for part in parts])

    assert [line["step"] for line in lines(tenant)] == list(range(15))
    assert list(store.all_outboxes(tenant)) == []


def test_batches_are_listed_newest_first_page_by_page(tenant: str):
    logged = [log_steps(make_step(episode_id=f"ep-{n}")).json["batch"] for n in range(3)]

    first = send("GET", "/api/episodes", query={"limit": ["2"]}).json
    rest = send("GET", "/api/episodes", query={"cursor": [first["cursor"]]}).json

    assert [batch["id"] for batch in first["items"] + rest["items"]] == logged[::-1]
    assert rest["cursor"] is None


def test_a_listed_batch_says_what_is_in_it(tenant: str):
    logged = log_steps(*make_steps(2), make_step(episode_id="ep-2")).json

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
    assert log_steps(*make_steps(2)).status == 500
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
    log_steps(*make_steps(1))
    _use_bucket(bucket, monkeypatch)

    assert service.write_unwritten(tenant, deadline=Deadline(0)) == 0

    assert objects(tenant) == {}


def test_a_full_batch_of_characters_that_take_most_room_is_written(tenant: str):
    """Quotes and controls are escaped in JSON: the row must hold them nevertheless."""
    details = {f"detail-{number}": '"\\\n\x01\U0001f600' * 40 for number in range(50)}
    state = {**make_step()["state"], **details}

    reply = log_steps(*[make_step(step=step, state=state, done=False) for step in range(7)])

    assert reply.json["written"] == 7
    assert lines(tenant)[0]["state"]["detail-0"] == details["detail-0"]


def test_a_world_that_only_reads_has_no_batches(world: World):
    assert send("GET", "/api/episodes").json == {"items": [], "cursor": None}
