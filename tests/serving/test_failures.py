"""Whatever an endpoint does, the caller gets the right problem and none of its provider's words."""

import json
import threading

import pytest

from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from tests.builders.http import send
from tests.builders.runtime import Told
from tests.serving.conftest import Stage

CANARY = "canary-in-the-container-log"


def _refuse_input(stage: Stage) -> None:
    stage.runtime.model_error(400, f"Traceback: {CANARY}")


FAULTS = {
    "model error": (lambda s: s.runtime.model_error(500, CANARY), 502, "model-failed"),
    "model died": (lambda s: s.runtime.model_error(0, CANARY), 502, "model-failed"),
    "odd status": (lambda s: s.runtime.model_error(302, CANARY), 502, "model-failed"),
    "unexplained refusal": (_refuse_input, 422, "input-refused"),
    "throttled": (
        lambda s: s.runtime.fail(429, "ThrottlingException", Message=CANARY),
        503,
        "endpoint-busy",
    ),
    "service unavailable": (
        lambda s: s.runtime.fail(503, "ServiceUnavailable", Message=CANARY),
        503,
        "endpoint-busy",
    ),
    "internal failure": (
        lambda s: s.runtime.fail(500, "InternalFailure", Message=CANARY),
        503,
        "endpoint-busy",
    ),
    "not ready": (
        lambda s: s.runtime.fail(429, "ModelNotReadyException", Message=CANARY),
        503,
        "endpoint-busy",
    ),
    "gone": (
        lambda s: s.runtime.fail(400, "ValidationError", Message=f"Endpoint {CANARY} not found."),
        503,
        "endpoint-missing",
    ),
    "denied": (
        lambda s: s.runtime.fail(403, "AccessDeniedException", Message=CANARY),
        502,
        "upstream-failed",
    ),
    "NaN": (lambda s: _answer(s, b'{"y": NaN}'), 502, "model-failed"),
    "cut off": (lambda s: _answer(s, b'{"y": "' + CANARY.encode()), 502, "model-failed"),
    "no text": (lambda s: _answer(s, b"\xff\xfe"), 502, "model-failed"),
    "nothing": (lambda s: _answer(s, b""), 502, "model-failed"),
    "5 MB": (lambda s: _answer(s, b'"' + b"a" * 5_000_000 + b'"'), 502, "model-failed"),
    "connection dropped": (lambda s: _tell(s, Told(drop=True)), 503, "endpoint-busy"),
}


def _answer(stage: Stage, body: bytes) -> None:
    _tell(stage, Told(body))


def _tell(stage: Stage, told: Told) -> None:
    stage.runtime.answer = lambda _: told


@pytest.mark.parametrize(("break_it", "status", "code"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_becomes_its_problem_and_tells_nothing_more(stage, break_it, status, code):
    break_it(stage)

    reply = stage.ask()

    assert (reply.status, reply.code) == (status, code)
    assert ("Retry-After" in reply.headers) == (status == 503)
    assert CANARY.encode() not in reply.content
    assert b"first" not in reply.content, "the endpoint's name is ours"


def test_an_endpoint_is_asked_once_whatever_it_answers(stage: Stage):
    stage.runtime.fail(503, "ServiceUnavailable", Message="")

    stage.ask()

    assert len(stage.runtime.asked) == 1


def test_an_endpoint_that_cannot_be_reached_is_busy(stage: Stage, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "http://127.0.0.1:9")
    aws.sagemaker_runtime.cache_clear()

    assert stage.ask().code == "endpoint-busy"


def test_the_containers_problem_is_passed_on_but_not_its_stack(stage: Stage):
    told = {
        "detail": "2 instances do not fit",
        "errors": [{"at": "instances[1]", "because": "has 3 numbers", "frame": CANARY}],
        "stack": CANARY,
    }
    stage.runtime.model_error(422, json.dumps(told))

    reply = stage.ask()

    assert (reply.status, reply.json["detail"]) == (422, "2 instances do not fit")
    assert reply.json["errors"] == [{"at": "body.instances[1]", "because": "has 3 numbers"}]
    assert CANARY.encode() not in reply.content


def test_a_flood_of_flaws_from_a_container_is_cut(stage: Stage):
    flaws = [{"at": "x" * 9_000, "because": "y" * 9_000}] * 50
    stage.runtime.model_error(400, json.dumps({"detail": "z" * 9_000, "errors": flaws}))

    reply = stage.ask()

    assert reply.status == 422
    assert len(reply.content) < 20_000


def test_a_route_that_moved_is_looked_up_again_and_asked_once_more(stage: Stage):
    assert stage.ask().status == 200
    stage.move("second")
    gone = Told(b'{"Message": "Endpoint first not found."}', 400, error="ValidationError")
    stage.runtime.answer = lambda asked: gone if asked.endpoint == "first" else Told(b"[1]")

    reply = stage.ask()

    assert reply.json["output"] == [1]
    assert [asked.endpoint for asked in stage.runtime.asked] == ["first", "first", "second"]


def test_the_body_of_a_moved_route_is_checked_against_its_new_hosting(stage: Stage):
    stage.move("instances", hosting="realtime")  # no route was looked up before
    large = b'{"instances": "' + b"a" * 4_500_000 + b'"}'
    assert stage.ask(large).status == 200
    stage.move("serverless")
    gone = Told(b'{"Message": "Endpoint instances not found."}', 400, error="ValidationError")
    stage.runtime.answer = lambda asked: gone if asked.endpoint == "instances" else Told()

    assert (stage.ask(large).status, stage.ask(large).code) == (413, "input-too-large")


def test_a_registry_that_is_down_leaves_known_routes_alive(stage: Stage, monkeypatch):
    stage.ask()
    monkeypatch.setenv("ROUTING_TTL_S", "0.000001")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    aws.dynamodb.cache_clear()

    assert stage.ask().status == 200


@pytest.mark.parametrize(
    ("hosting", "size", "status"),
    [
        ("serverless", 4 * 1024 * 1024, 200),
        ("serverless", 4 * 1024 * 1024 + 1, 413),
        ("realtime", 6_291_456, 200),
        ("realtime", 6_291_457, 413),
    ],
)
def test_a_body_may_be_as_large_as_the_hosting_takes(stage: Stage, hosting, size, status):
    stage.move("sized", hosting=hosting)

    reply = stage.ask(bytes(size), content_type="application/octet-stream")

    assert reply.status == status


def test_binary_bodies_pass_through_both_ways(stage: Stage):
    everything = bytes(range(256))
    _tell(stage, Told(everything, content_type="application/x-npy"))

    reply = stage.ask(everything, content_type="application/x-npy", accept="application/x-npy")

    (asked,) = stage.runtime.asked
    assert (asked.content_type, asked.accept) == ("application/x-npy", "application/x-npy")
    assert asked.body == reply.content == everything
    assert reply.headers["Content-Type"] == "application/x-npy"
    assert reply.headers["Sommelier-Version"] == "1.0.0"
    assert reply.headers["Sommelier-Request-Id"].startswith("r1.")


def test_a_caller_who_takes_anything_gets_json(stage: Stage):
    stage.ask()

    assert stage.runtime.asked[0].accept == "application/json"


def test_the_models_json_is_passed_on_letter_by_letter(stage: Stage):
    _answer(stage, b'{"y": [1.0, 1e2, 0.10],  "z":1}')

    assert stage.ask().content.endswith(b'"output": {"y": [1.0, 1e2, 0.10],  "z":1}}')


def test_a_slow_endpoint_times_out(stage: Stage, monkeypatch):
    monkeypatch.setenv("INVOKE_TIMEOUT_S", "0.2")
    settings.cache_clear()
    aws.sagemaker_runtime.cache_clear()
    answered = threading.Event()
    stage.runtime.answer = lambda _: Told(drop=answered.wait(10))

    reply = stage.ask()
    answered.set()

    assert (reply.status, reply.code) == (504, "model-timeout")


@pytest.mark.usefixtures("app_environment")
def test_a_table_that_does_not_answer_is_a_503_to_try_again():
    reply = send("GET", "/api/models/eta")

    assert (reply.status, reply.code) == (503, "dependency-unavailable")
    assert reply.headers["Retry-After"] == "1"
