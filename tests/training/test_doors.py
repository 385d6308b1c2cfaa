"""HTTP and the Lambda function `model-retraining-trigger`: what they take, and what they answer."""

from typing import Any

import pytest

from tests.builders.http import post_json, put_json, send
from tests.training.conftest import School
from tests.training.standin import Trainer


@pytest.fixture
def path(school: School) -> str:
    return f"/api/models/{school.model}/training-jobs"


def test_a_job_asked_for_over_http_is_accepted_and_submitted_elsewhere(
    school: School, path: str, trainer: Trainer
):
    school.configure()
    school.log(50)

    reply = post_json(path, {"reason": "drift"})

    job = reply.json["job"]
    assert reply.status == 202
    assert reply.headers["Location"] == f"{path}/{job['name']}"
    assert (job["state"], job["reason"], job["cause"]) == ("requested", "drift", "request")
    assert trainer.calls == []


def test_a_skip_over_http_is_no_acceptance(school: School, path: str):
    school.configure()

    reply = post_json(path, {})

    assert reply.status == 200
    assert reply.json["status"] == "skipped"
    assert reply.json["skip"]["code"] == "too-few-episodes"


def test_a_job_tells_its_data_and_the_version_it_became(school: School, path: str):
    school.configure()
    school.log(50)
    job = school.train()
    school.complete(job)
    school.follow()

    reply = send("GET", f"{path}/{job.name}")

    assert reply.json["state"] == "completed"
    assert reply.json["version"] == "1.0.0"
    assert (reply.json["dataset"]["objects"], reply.json["dataset"]["episodes"]) == (1, 50)


def test_jobs_come_newest_first_page_by_page(school: School, path: str):
    school.configure()
    school.log(50)
    for number in range(3):
        school.complete(school.train(token=f"call-{number}"))
        school.follow()

    first = send("GET", path, query={"limit": ["2"]}).json
    second = send("GET", path, query={"limit": ["2"], "cursor": [first["cursor"]]}).json

    assert [job["number"] for job in first["items"]] == [3, 2]
    assert [job["number"] for job in second["items"]] == [1]
    assert second["cursor"] is None


def test_a_stop_over_http_is_carried_out_elsewhere(school: School, path: str, trainer: Trainer):
    school.configure()
    school.log(50)
    job = school.train()

    reply = send("POST", f"{path}/{job.name}/stop")

    assert reply.status == 202
    assert reply.json["stop_asked_by"] == "anonymous"
    assert "StopTrainingJob" not in trainer.calls
    school.act("advance_job", job_name=job.name)
    assert "StopTrainingJob" in trainer.calls


def test_a_job_that_has_ended_cannot_be_stopped(school: School, path: str):
    school.configure()
    school.log(50)
    job = school.train()
    school.complete(job)
    school.follow()

    reply = send("POST", f"{path}/{job.name}/stop")

    assert (reply.status, reply.code) == (409, "training-over")


@pytest.mark.parametrize("name", ["none", "other-model"])
def test_an_unknown_job_is_not_found(school: School, path: str, name: str, make_school: Any):
    other = make_school(7)
    other.configure()
    other.log(50)
    asked = other.ask().name if name == "other-model" else name

    reply = send("GET", f"{path}/{asked}")

    assert (reply.status, reply.code) == (404, "training-job-not-found")


def test_an_unknown_model_is_not_found(school: School):
    reply = post_json("/api/models/none/training-jobs", {})

    assert (reply.status, reply.code) == (404, "model-not-found")


@pytest.mark.parametrize(
    "training",
    [
        {"instance_type": "m5.large"},
        {"hyperparameters": {"seed": 1}},
        {"hyperparameters": {f"h{n}": "1" for n in range(100)}},
        {"hyperparameters": {"long": "x" * 2_501}},
        {"every_days": 0},
        {"max_runtime_s": 28 * 86_400 + 1},
        {"typo": 1},
    ],
)
def test_training_settings_that_sagemaker_would_refuse_are_refused_at_once(
    school: School, training: dict[str, Any]
):
    reply = put_json(f"/api/models/{school.model}", {"image": "i", "training": training})

    assert (reply.status, reply.code) == (422, "invalid-request")


def test_the_onnx_scorer_trains_nothing(school: School):
    reply = put_json(f"/api/models/{school.model}", {"training": {}})

    assert reply.status == 422


def test_the_function_tells_of_the_last_job_unless_one_is_named(school: School):
    school.configure()
    school.log(50)
    first = school.train(token="call-1")
    school.complete(first)
    school.follow()
    second = school.train(token="call-2")

    last = school.act("job_status")["result"]
    named = school.act("job_status", job_name=first.name)["result"]
    listed = school.act("list_jobs", limit=1)["result"]

    assert (last["name"], named["name"]) == (second.name, first.name)
    assert [job["number"] for job in listed["items"]] == [2]


def test_the_payload_that_the_guide_prints_is_taken(school: School):
    school.configure()
    school.log(50)

    answer = school.act("trigger_retraining", reason="Performance degradation detected")

    assert answer["status"] == "ok"
    assert answer["result"]["job"]["reason"] == "Performance degradation detected"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"action": "train"}, "invalid-action"),
        ({"action": "stop_job"}, "invalid-action"),
        ({"action": "job_status"}, "training-job-not-found"),
        ({"action": "stop_job", "job_name": "none"}, "training-job-not-found"),
    ],
)
def test_an_action_that_cannot_be_is_answered(school: School, event: dict[str, str], code: str):
    school.configure()

    assert school.act(**event)["error"]["code"] == code
