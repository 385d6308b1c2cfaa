"""The reward of an action over HTTP: what is asked of the endpoint, and what the caller is told."""

import json
from typing import Any

import pytest

from chalicelib.kit.errors import Forbidden
from chalicelib.kit.http import OPERATION, Call, Role
from chalicelib.kit.settings import settings
from chalicelib.receipts import service as receipts
from chalicelib.rewards.model import RewardQuestion
from chalicelib.rewards.routes import RewardHeaders, predict_reward
from chalicelib.serving.model import PredictionQuery
from tests.builders.experiments import make_route, unit_in
from tests.builders.runtime import Told
from tests.kit.test_strictjson import HOSTILE
from tests.rewards.conftest import ANSWER, QUESTION, RANKING, ask
from tests.serving.conftest import Stage

STATE = QUESTION["state"]


def _asked(stage: Stage) -> list[Any]:
    return [json.loads(asked.body) for asked in stage.runtime.asked]


def test_the_answer_holds_the_containers_members_and_says_who_gave_it(rewarding: Stage):
    reply = ask()

    assert reply.status == 200, reply.content
    request_id = reply.json["request_id"]
    ours = {"request_id": request_id, "model": rewarding.world.model, "version": "1.0.0"}
    assert reply.json == {**ours, "cached": False, "age_s": 0.0, **ANSWER}
    assert receipts.verify(rewarding.world.tenant, request_id).version == "1.0.0"


def test_headers_say_who_answered_as_those_of_predictions_do(rewarding: Stage):
    reply = ask()

    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Sommelier-Request-Id"] == reply.json["request_id"]
    assert reply.headers["Sommelier-Model"] == rewarding.world.model
    assert reply.headers["Sommelier-Version"] == "1.0.0"


def test_the_endpoint_is_asked_what_the_caller_asked(rewarding: Stage):
    state = {
        **STATE,
        "actions_taken": ["DIAGNOSE", {"type": "ROLLBACK", "params": {}, "result": "failed"}],
        "region": "eu-west-1",
        "replicas": 2.5,
        "paged": True,
        "services": ["checkout"],
    }

    ask({**QUESTION, "state": state})

    (asked,) = rewarding.runtime.asked
    assert (asked.content_type, asked.accept) == ("application/json", "application/json")
    assert json.loads(asked.body) == {**QUESTION, "state": state}


@pytest.mark.parametrize(
    "question",
    [{"state": STATE}, {"state": STATE, "proposedActions": [{"type": "ROLLBACK", "params": {}}]}],
)
def test_several_actions_or_none_are_answered_by_a_ranking(rewarding: Stage, question: Any):
    reply = ask(question)

    assert reply.status == 200
    assert reply.json["ranking"] == RANKING["ranking"]
    assert _asked(rewarding) == [question]


def test_a_unit_is_answered_by_its_arm(rewarding: Stage, arms: Stage):
    reply = ask(Sommelier_Unit=unit_in("treatment", make_route()))

    assert [asked.endpoint for asked in rewarding.runtime.asked] == ["second"]
    assert (reply.json["experiment"], reply.json["arm"]) == ("exp-1", "treatment")
    assert reply.headers["Sommelier-Arm"] == "treatment"


def test_a_live_version_answers_when_it_is_asked_for(rewarding: Stage, arms: Stage):
    assert ask(version="1.1.0").json["version"] == "1.1.0"


def test_a_viewer_may_not_choose_an_arm():
    call = Call("t", "someone", Role.VIEWER, "", "application/json", "*/*", b"{}")
    headers = RewardHeaders.model_validate({"sommelier-arm": "treatment"})
    body = RewardQuestion.model_validate(QUESTION)
    view = getattr(predict_reward, OPERATION).view

    with pytest.raises(Forbidden):
        view(call, body=body, query=PredictionQuery(), headers=headers)


def test_what_the_container_refuses_reaches_the_caller_with_its_place(rewarding: Stage):
    flaw = {"at": "proposedAction.type", "because": "is not in the catalogue: ROLLBACK"}
    problem = {"detail": "the action is unknown", "errors": [flaw]}
    rewarding.runtime.model_error(422, json.dumps(problem))

    reply = ask()

    assert (reply.status, reply.code) == (422, "input-refused")
    assert reply.json["errors"] == [{**flaw, "at": "body.proposedAction.type"}]


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b'{"predictions": [1.5]}', "application/json"),
        (b"[1.5]", "application/json"),
        (b'{"reward": 1.5}', "application/json"),
        (json.dumps(RANKING).encode(), "application/json"),
        (json.dumps({**ANSWER, "version": "9.9.9"}).encode(), "application/json"),
        (json.dumps({**ANSWER, "cached": True}).encode(), "application/json"),
        (b"1.5", "text/csv"),
    ],
)
def test_an_answer_that_is_none_about_the_action_is_the_models_failure(
    rewarding: Stage, content: bytes, content_type: str
):
    rewarding.runtime.answer = lambda _: Told(content, content_type=content_type)

    reply = ask()

    assert (reply.status, reply.code) == (502, "model-failed")


def test_without_a_reward_model_the_problem_says_so(rewarding: Stage, monkeypatch):
    monkeypatch.setenv("REWARD_MODEL", "nobody-made-it")
    settings.cache_clear()

    assert ask().code == "model-not-found"


REFUSED = {
    "no state": ({"proposedAction": {"type": "A"}}, "body.state"),
    "no incident": ({"state": {"severity": "sev-2"}}, "body.state.incident"),
    "no severity": ({"state": {"incident": "a"}}, "body.state.severity"),
    "unknown member": ({**QUESTION, "propsedAction": {}}, "body.propsedAction"),
    "empty incident": ({"state": {**STATE, "incident": ""}}, "body.state.incident"),
    "long incident": ({"state": {**STATE, "incident": "a" * 1_001}}, "body.state.incident"),
    "severity 2": ({"state": {**STATE, "severity": 2}}, "body.state.severity"),
    "symptoms as text": ({"state": {**STATE, "symptoms": "slow"}}, "body.state.symptoms"),
    "33 symptoms": ({"state": {**STATE, "symptoms": ["s"] * 33}}, "body.state.symptoms"),
    "65 actions": ({"state": {**STATE, "actions_taken": ["A"] * 65}}, "body.state.actions_taken"),
    "null detail": ({"state": {**STATE, "region": None}}, "body.state.region"),
    "object as detail": ({"state": {**STATE, "region": {}}}, "body.state.region"),
    "huge detail": ({"state": {**STATE, "load": 1e13}}, "body.state.load"),
    "51 details": ({"state": {**STATE, **{f"d{n}": 1 for n in range(51)}}}, "body.state"),
    "nameless detail": ({"state": {**STATE, "": 1}}, "body.state"),
    "action as text": ({**QUESTION, "proposedAction": "SCALE_K8S"}, "body.proposedAction"),
    "no type": ({**QUESTION, "proposedAction": {"params": {}}}, "body.proposedAction.type"),
    "huge parameter": (
        {**QUESTION, "proposedAction": {"type": "A", "params": {"n": 10**13}}},
        "body.proposedAction.params.n",
    ),
    "list as parameter": (
        {**QUESTION, "proposedAction": {"type": "A", "params": {"n": [1]}}},
        "body.proposedAction.params.n",
    ),
    "unknown member of an action": (
        {**QUESTION, "proposedAction": {"type": "A", "parms": {}}},
        "body.proposedAction.parms",
    ),
    "no actions to rank": ({"state": STATE, "proposedActions": []}, "body.proposedActions"),
    "201 actions to rank": (
        {"state": STATE, "proposedActions": [{"type": "A"}] * 201},
        "body.proposedActions",
    ),
    "both": ({**QUESTION, "proposedActions": [{"type": "A"}]}, "body"),
    "a batch": ({"instances": [QUESTION]}, "body.instances"),
    "a list": ([QUESTION], "body"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_question_that_is_none_is_refused_at_its_place(app_environment: object, name: str):
    question, at = REFUSED[name]

    reply = ask(json.dumps(question).encode())

    assert (reply.status, reply.code) == (422, "invalid-request")
    assert at in {error["at"] for error in reply.json["errors"]}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_json_is_malformed(app_environment: object, name: str):
    assert ask(HOSTILE[name]).code == "malformed-body"


def test_no_hostile_question_reaches_the_endpoint(rewarding: Stage):
    for question, _ in REFUSED.values():
        ask(json.dumps(question).encode())
    for content in HOSTILE.values():
        ask(content)

    assert rewarding.runtime.asked == []
