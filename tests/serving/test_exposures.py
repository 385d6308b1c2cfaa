"""What is told of a prediction in an experiment, and that telling it holds nobody up."""

import threading

import pytest

from chalicelib.experiments.events import SCALE, Event
from chalicelib.kit import aws
from chalicelib.receipts import service as receipts
from tests.builders.experiments import hash_of, make_route, unit_in
from tests.builders.http import Reply
from tests.builders.queues import Queue
from tests.builders.runtime import Told
from tests.serving.conftest import Stage

FAILURES = {
    "model error": (500, "ModelError", {"OriginalStatusCode": 500}),
    "throttled": (429, "ThrottlingException", {}),
    "down": (503, "ServiceUnavailable", {}),
    "gone": (400, "ValidationError", {"Message": "Endpoint first not found."}),
    "denied": (403, "AccessDeniedException", {}),
}
BAD_OUTPUTS = {"not JSON": b"{", "5 MB": b'"' + b"a" * 5_000_000 + b'"'}
LET_GO_S = 10


def test_a_prediction_of_a_unit_is_exposed_under_its_receipt(arms: Stage, queue: Queue):
    unit = unit_in("treatment", make_route())

    reply = arms.ask(unit=unit, covariate="-1.5", segment="gold")

    receipt = receipts.verify(arms.world.tenant, reply.json["request_id"])
    (exposure,) = queue.events
    assert exposure == Event(
        id=f"{receipt.nonce}/exposure",
        kind="exposure",
        subject="exp-1",
        arm="treatment",
        phase=1,
        unit=hash_of(unit),
        predicted_at_ms=receipt.issued_at_ms,
        nonce=receipt.nonce,
        covariate=-3 * SCALE // 2,
        segment="gold",
    )


def test_the_endpoint_is_asked_while_the_exposure_is_sent(arms: Stage, queue: Queue):
    both_under_way = threading.Barrier(2, timeout=LET_GO_S)
    _meet(arms, queue, both_under_way)

    reply = arms.ask(unit="unit-0")

    assert reply.status == 200
    assert not both_under_way.broken, "one of the two waited for the other to end"
    assert len(queue.of_kind("exposure")) == 1


def _meet(arms: Stage, queue: Queue, barrier: threading.Barrier) -> None:
    def take() -> int:
        barrier.wait()
        return 200

    def answer(_: object) -> Told:
        barrier.wait()
        return Told()

    queue.take, arms.runtime.answer = take, answer


def test_the_caller_is_answered_after_the_exposure_was_taken(arms: Stage, queue: Queue):
    """A function that has answered is frozen, and whatever it still had to send with it."""
    endpoint_answered, instants = threading.Event(), list[str]()

    def take() -> int:
        endpoint_answered.wait(LET_GO_S)
        threading.Event().wait(0.05)  # slower than the endpoint by so much
        instants.append("exposure taken")
        return 200

    def answer(_: object) -> Told:
        endpoint_answered.set()
        return Told()

    queue.take, arms.runtime.answer = take, answer
    arms.ask(unit="unit-0")
    instants.append("caller answered")

    assert instants == ["exposure taken", "caller answered"]


def test_a_queue_that_takes_for_ever_does_not_keep_the_caller(
    arms: Stage, queue: Queue, caplog: pytest.LogCaptureFixture
):
    caller_answered, instants = threading.Event(), list[str]()

    def take() -> int:
        caller_answered.wait(LET_GO_S)
        instants.append("queue gives up")
        return 200

    queue.take = take
    reply = arms.ask(unit="unit-0")
    instants.append("caller answered")
    caller_answered.set()
    arms.world.wait_until(lambda: len(instants) == 2)

    assert reply.status == 200
    assert instants == ["caller answered", "queue gives up"]
    assert "exposure_unsent" in caplog.messages


@pytest.mark.parametrize("status", [0, 400, 403, 500])
def test_a_queue_that_refuses_fails_no_prediction(
    arms: Stage, queue: Queue, status: int, caplog: pytest.LogCaptureFixture
):
    queue.take = lambda: status

    reply = arms.ask(unit="unit-0")

    assert reply.status == 200
    arms.world.wait_until(lambda: "exposure_unsent" in caplog.messages)


def test_a_queue_that_is_not_there_fails_no_prediction(
    arms: Stage, queue: Queue, monkeypatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")
    aws.queues.cache_clear()

    reply = arms.ask(unit="unit-0")

    assert (reply.status, reply.json["experiment"]) == (200, "exp-1")
    assert "exposure_unsent" in caplog.messages


def test_what_a_queue_refused_goes_with_the_next_exposure(
    arms: Stage, queue: Queue, caplog: pytest.LogCaptureFixture
):
    queue.take = lambda: 400
    refused = arms.ask(unit="unit-0")
    arms.world.wait_until(lambda: "exposure_unsent" in caplog.messages)
    queue.take = lambda: 200

    taken = arms.ask(unit="unit-1")

    nonces = [_nonce(arms, reply) for reply in (refused, taken)]
    assert [event.nonce for event in queue.of_kind("exposure")] == nonces


def test_a_measurement_goes_with_the_next_exposure_in_one_call(arms: Stage, queue: Queue):
    first = arms.ask(unit="unit-0")
    assert queue.of_kind("measurement") == []

    arms.ask(unit="unit-1")

    (measured,) = queue.of_kind("measurement")
    assert len(queue.calls) == 2, "one call for each prediction"
    assert measured.id == f"{_nonce(arms, first)}/measurement"
    assert (measured.subject, measured.unit) == ("exp-1", hash_of("unit-0"))
    assert measured.ticks["measured_requests"] == SCALE


def test_the_measured_latency_is_the_endpoints(arms: Stage, queue: Queue):
    def answer(_: object) -> Told:
        threading.Event().wait(0.05)
        return Told()

    arms.runtime.answer = answer
    for unit in ("unit-0", "unit-1"):
        arms.ask(unit=unit)

    (measured,) = queue.of_kind("measurement")
    assert measured.ticks["latency_ms"] >= 50 * SCALE


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_is_exposed_and_counted_before_it_is_answered(arms: Stage, queue: Queue, failure):
    status, error, members = failure
    arms.runtime.fail(status, error, **members)

    reply = arms.ask(unit="unit-0")

    _assert_counted_error(reply, queue)


@pytest.mark.parametrize("output", BAD_OUTPUTS.values(), ids=BAD_OUTPUTS.keys())
def test_an_answer_that_is_none_is_an_error_of_the_arm(arms: Stage, queue: Queue, output: bytes):
    arms.runtime.answer = lambda _: Told(output)

    reply = arms.ask(unit="unit-0")

    _assert_counted_error(reply, queue)


def _assert_counted_error(reply: Reply, queue: Queue) -> None:
    assert reply.status in (502, 503)
    (exposure,), (measured,) = queue.of_kind("exposure"), queue.of_kind("measurement")
    assert measured.ticks == {"errors": SCALE}
    assert (measured.nonce, measured.unit) == (exposure.nonce, exposure.unit)
    assert (measured.arm, measured.phase) == (exposure.arm, exposure.phase)


def test_an_arm_that_was_taken_down_is_an_error_of_the_arm(arms: Stage, queue: Queue):
    unit = unit_in("treatment", make_route())
    arms.ask(unit=unit)
    arms.put_arm("1.1.0", "second", stage="retired")
    arms.runtime.fail(400, "ValidationError", Message="Endpoint second not found.")

    reply = arms.ask(unit=unit)

    assert (reply.status, reply.code) == (503, "endpoint-missing")
    assert queue.of_kind("measurement")[-1].ticks == {"errors": SCALE}


def test_what_the_caller_did_wrong_is_no_error_of_the_arm(arms: Stage, queue: Queue):
    arms.runtime.model_error(422, '{"detail": "two columns are missing"}')

    assert arms.ask(unit="unit-0").status == 422
    arms.ask(unit="unit-1")

    assert len(queue.of_kind("exposure")) == 2
    assert queue.of_kind("measurement") == []


def test_an_error_that_cannot_be_told_is_answered_all_the_same(arms: Stage, queue: Queue):
    queue.take = lambda: 400
    arms.runtime.model_error(500, "")

    assert arms.ask(unit="unit-0").code == "model-failed"


def _nonce(arms: Stage, reply: Reply) -> str:
    return receipts.verify(arms.world.tenant, reply.json["request_id"]).nonce
