"""Who answers while an experiment runs, and what receipt and answer say of it."""

import subprocess
import sys

import pytest

from chalicelib.kit import aws
from chalicelib.kit.errors import Forbidden
from chalicelib.kit.http import OPERATION, Call, Role
from chalicelib.kit.settings import settings
from chalicelib.receipts import service as receipts
from chalicelib.receipts.model import Receipt
from chalicelib.serving.routes import PredictionHeaders, PredictionQuery, create_prediction
from tests.builders.experiments import HALVES, hash_of, make_route, unit_in
from tests.builders.http import Reply
from tests.builders.queues import Queue
from tests.builders.runtime import Told
from tests.serving.conftest import Stage

UNITS = [f"unit-{number}" for number in range(12)]
ENDPOINT = {"control": "first", "treatment": "second"}


def _receipt(stage: Stage, reply: Reply) -> Receipt:
    assert reply.status == 200, reply.content
    return receipts.verify(stage.world.tenant, reply.headers["Sommelier-Request-Id"])


def _asked(stage: Stage) -> list[str]:
    return [asked.endpoint for asked in stage.runtime.asked]


@pytest.mark.parametrize("arm", ["control", "treatment"])
def test_a_unit_is_answered_by_its_arm(arms: Stage, arm: str):
    reply = arms.ask(unit=unit_in(arm, make_route()))

    assert _asked(arms) == [ENDPOINT[arm]]
    assert (reply.json["experiment"], reply.json["arm"]) == ("exp-1", arm)
    assert reply.headers["Sommelier-Experiment"] == "exp-1"
    assert reply.headers["Sommelier-Arm"] == arm


def test_an_answer_that_is_not_json_says_its_arm_in_headers(arms: Stage):
    arms.runtime.answer = lambda _: Told(b"\0\1", content_type="application/x-npy")

    reply = arms.ask(unit="unit-0")

    assert reply.content == b"\0\1"
    assert reply.headers["Sommelier-Arm"] in ENDPOINT


def test_a_unit_keeps_its_arm_from_call_to_call(arms: Stage):
    first = [arms.ask(unit=unit).json["arm"] for unit in UNITS]
    again = [arms.ask(unit=unit).json["arm"] for unit in UNITS]

    assert first == again
    assert set(first) == set(ENDPOINT)


def test_another_process_gives_a_unit_the_same_arm(arms: Stage):
    here = [arms.ask(unit=unit).json["arm"] for unit in UNITS]
    hashes = [hash_of(unit) for unit in UNITS]
    code = f"""
from chalicelib.serving.routes import PredictionHeaders, PredictionQuery, create_prediction
from tests.builders.experiments import make_route
from chalicelib.experiments import traffic
prepared = traffic.prepare(traffic.Routes(routes=[make_route()]))
print([traffic.choose(prepared, unit).arm for unit in {hashes!r}])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == repr(here)


def test_the_receipt_says_how_likely_the_arm_was_and_for_whom(arms: Stage):
    ranges = [{**HALVES[0], "end": 0.25}, {**HALVES[1], "start": 0.25}]
    route = make_route(ranges=ranges, phase=3)
    arms.run(route)
    unit = unit_in("treatment", route)

    receipt = _receipt(arms, arms.ask(unit=unit))

    assert (receipt.experiment, receipt.arm, receipt.version) == ("exp-1", "treatment", "1.1.0")
    assert (receipt.propensity, receipt.phase) == (0.75, 3)
    assert receipt.unit_hash == hash_of(unit)
    assert not receipt.is_forced


def test_a_unit_is_nowhere_but_in_its_hash(arms: Stage, queue: Queue):
    reply = arms.ask(unit="jane.doe@example.com")

    told = repr((reply, queue.calls, _receipt(arms, reply)))
    assert queue.calls
    assert "jane.doe" not in told


def test_a_unit_in_no_experiment_is_answered_by_the_champion(arms: Stage, queue: Queue):
    route = make_route(namespace_range=(0.0, 0.5))
    arms.run(route)
    unit = unit_in(None, route)

    reply = arms.ask(unit=unit)

    receipt = _receipt(arms, reply)
    assert _asked(arms) == ["first"]
    assert (receipt.experiment, receipt.unit_hash) == (None, hash_of(unit))
    assert reply.json.keys() == {"request_id", "model", "version", "output"}
    assert queue.calls == []


def test_who_names_no_unit_is_in_no_experiment(arms: Stage, queue: Queue):
    reply = arms.ask(covariate="1.5", segment="gold")

    receipt = _receipt(arms, reply)
    assert _asked(arms) == ["first"]
    assert (receipt.experiment, receipt.unit_hash) == (None, None)
    assert "Sommelier-Arm" not in reply.headers
    assert queue.calls == []


def test_a_named_version_is_in_no_experiment(arms: Stage, queue: Queue):
    reply = arms.ask(unit="unit-0", version="1.1.0")

    receipt = _receipt(arms, reply)
    assert _asked(arms) == ["second"]
    assert (receipt.experiment, receipt.unit_hash) == (None, hash_of("unit-0"))
    assert queue.calls == []


@pytest.mark.parametrize("asked", ["treatment", "exp-1/treatment"])
def test_a_tester_chooses_an_arm_without_a_unit_and_is_not_counted(
    arms: Stage, queue: Queue, asked: str
):
    reply = arms.ask(arm=asked)

    receipt = _receipt(arms, reply)
    assert _asked(arms) == ["second"]
    assert (receipt.experiment, receipt.arm, receipt.is_forced) == ("exp-1", "treatment", True)
    assert reply.json["arm"] == "treatment"
    assert queue.calls == []


def test_a_testers_unit_is_not_counted_either(arms: Stage, queue: Queue):
    receipt = _receipt(arms, arms.ask(arm="treatment", unit="unit-0"))

    assert receipt.is_forced
    assert queue.calls == []


@pytest.mark.parametrize("asked", ["other", "exp-2/treatment", "/", "a/b/c"])
def test_an_arm_that_is_none_is_refused(arms: Stage, asked: str):
    reply = arms.ask(arm=asked)

    assert (reply.status, reply.code) == (422, "unknown-arm")
    assert _asked(arms) == []


def test_an_arm_whose_version_is_not_in_service_leaves_its_units_to_the_champion(
    arms: Stage, queue: Queue, caplog: pytest.LogCaptureFixture
):
    arms.put_arm("1.1.0", "second", stage="retired")
    unit = unit_in("treatment", make_route())

    receipts_ = [_receipt(arms, arms.ask(unit=unit)) for _ in range(3)]

    assert _asked(arms) == ["first"] * 3
    assert {receipt.experiment for receipt in receipts_} == {None}
    assert queue.calls == []
    assert caplog.messages.count("arm_not_live") == 1, "looked at once per time to live"


def test_a_tester_is_told_that_an_arm_is_not_in_service(arms: Stage):
    arms.put_arm("1.1.0", "second", stage="retired")

    assert (arms.ask(arm="treatment").code, _asked(arms)) == ("arm-not-live", [])


BAD_HEADERS = {
    "empty unit": ({"unit": ""}, "sommelier-unit"),
    "long unit": ({"unit": "u" * 257}, "sommelier-unit"),
    "long arm": ({"arm": "a" * 98}, "sommelier-arm"),
    "covariate in words": ({"covariate": "many"}, "sommelier-covariate"),
    "covariate that is no number": ({"covariate": "nan"}, "sommelier-covariate"),
    "infinite covariate": ({"covariate": "-inf"}, "sommelier-covariate"),
    "huge covariate": ({"covariate": "1e308"}, "sommelier-covariate"),
    "covariate just too large": ({"covariate": "1000000000001"}, "sommelier-covariate"),
    "segment with a space": ({"segment": "a b"}, "sommelier-segment"),
    "long segment": ({"segment": "a" * 41}, "sommelier-segment"),
    "segment with a newline": ({"segment": "a\n"}, "sommelier-segment"),
}


@pytest.mark.parametrize(("told", "name"), BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_header_that_is_wrong_is_refused_by_its_name(arms: Stage, told: dict[str, str], name):
    reply = arms.ask(**told)

    assert reply.status == 422
    assert [flaw["at"] for flaw in reply.json["errors"]] == [f"headers.{name}"]
    assert _asked(arms) == []


def test_routes_that_cannot_be_read_leave_known_experiments_alive(arms: Stage, monkeypatch):
    unit = unit_in("treatment", make_route())
    arms.ask(unit=unit)
    monkeypatch.setenv("ROUTING_TTL_S", "0.000001")
    _lose(monkeypatch, "DYNAMODB", aws.dynamodb)

    assert arms.ask(unit=unit).json["arm"] == "treatment"


def test_a_lost_unit_key_leaves_all_to_the_champion(arms: Stage, queue: Queue, monkeypatch):
    monkeypatch.setenv("UNIT_KEY_SECRET", "none")
    settings.cache_clear()

    receipt = _receipt(arms, arms.ask(unit="unit-0"))

    assert _asked(arms) == ["first"]
    assert (receipt.experiment, receipt.unit_hash) == (None, None)
    assert queue.calls == []


def test_a_viewer_may_not_choose_an_arm():
    call = Call("t", "someone", Role.VIEWER, "", "application/json", "*/*", b"{}")
    headers = PredictionHeaders.model_validate({"sommelier-arm": "treatment"})
    view = getattr(create_prediction, OPERATION).view

    with pytest.raises(Forbidden):
        view(call, model="eta", query=PredictionQuery(), headers=headers)


def test_a_warm_prediction_outside_of_the_running_experiment_makes_one_call(
    arms: Stage, queue: Queue
):
    route = make_route(namespace_range=(0.0, 0.5))
    arms.run(route)
    unit = unit_in(None, route)
    arms.ask(unit=unit)
    calls = _counted_calls()

    for told in (unit, None):
        assert arms.ask(unit=told).status == 200

    assert calls == ["InvokeEndpoint"] * 2


def test_a_warm_prediction_in_an_experiment_makes_two(arms: Stage, queue: Queue):
    for unit in UNITS:
        arms.ask(unit=unit)
    calls = _counted_calls()

    arms.ask(unit=UNITS[0])

    assert sorted(calls) == ["InvokeEndpoint", "SendMessageBatch"]


def _counted_calls() -> list[str]:
    calls: list[str] = []
    clients = [aws.dynamodb, aws.s3, aws.secrets, aws.sagemaker, aws.sagemaker_runtime, aws.queues]
    for client in clients:
        client().meta.events.register(
            "before-call", lambda model, **_: calls.append(model.name), unique_id="counted"
        )
    return calls


def _lose(monkeypatch: pytest.MonkeyPatch, service: str, client) -> None:
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", "http://127.0.0.1:9")
    client.cache_clear()
