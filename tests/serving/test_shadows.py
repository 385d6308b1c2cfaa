"""Copies of predictions, answered by the other arm: what is told, dropped, and tried again."""

import json
import threading
import time

import pytest

from chalicelib.experiments.events import SCALE, Event
from chalicelib.kit import aws
from chalicelib.serving.triggers import answer_shadows
from tests.builders.experiments import make_route, unit_in
from tests.builders.queues import Queue, failed_ids, sqs_event
from tests.builders.runtime import Asked, Told
from tests.serving.conftest import Stage

SHADOW = make_route(mode="shadow")
DISAGREEMENT = make_route(mode="disagreement")
JSON, NPY = "application/json", "application/x-npy"


def _copied(arms: Stage, queue: Queue, *routes, **told) -> str:
    """The message that a prediction leaves in the queue of copies."""
    arms.run(*(routes or [SHADOW]))
    arms.ask(**{"unit": "unit-0", **told})
    arms.runtime.asked.clear()
    (copy,) = queue.copies
    queue.calls.clear()
    return json.dumps(copy)


def _answer(arms: Stage, **told_by_endpoint: Told) -> None:
    arms.runtime.answer = lambda asked: told_by_endpoint[asked.endpoint]


def _pair(queue: Queue) -> Event:
    (pair,) = queue.of_kind("pair")
    return pair


def _told(pair: Event) -> tuple[int, int, bool]:
    """Agreements, difference of errors, and whether the answers differ."""
    return pair.ticks["agreements"] // SCALE, pair.ticks["error_difference"] // SCALE, pair.differs


def test_the_challenger_is_asked_what_the_control_was_asked(arms: Stage, queue: Queue):
    _answer(arms, first=Told(b"\1", content_type=NPY), second=Told(b"\1", content_type=NPY))
    everything = bytes(range(256))
    copy = _copied(arms, queue, content=everything, content_type=NPY, accept=NPY)

    assert failed_ids(answer_shadows(sqs_event(copy), None)) == []

    assert arms.runtime.asked == [Asked("second", NPY, NPY, everything)]
    assert _told(_pair(queue)) == (1, 0, False)


def test_a_pair_stands_under_the_unit_and_arm_of_its_prediction(arms: Stage, queue: Queue):
    copy = _copied(arms, queue)

    answer_shadows(sqs_event(copy), None)

    pair, said = _pair(queue), json.loads(copy)
    assert pair.id == f"{said['nonce']}/pair"
    assert (pair.subject, pair.arm, pair.phase) == ("exp-1", "control", 1)
    assert (pair.unit, pair.nonce) == (said["unit"], said["nonce"])
    assert pair.predicted_at_ms == said["issued_at_ms"]
    assert pair.ticks["pairs"] == SCALE


@pytest.mark.parametrize("arm", ["control", "treatment"])
def test_in_disagreement_mode_the_arm_that_did_not_answer_is_asked(
    arms: Stage, queue: Queue, arm: str
):
    copy = _copied(arms, queue, DISAGREEMENT, unit=unit_in(arm, DISAGREEMENT))

    answer_shadows(sqs_event(copy), None)

    other = {"control": "second", "treatment": "first"}[arm]
    assert [asked.endpoint for asked in arms.runtime.asked] == [other]
    assert _pair(queue).arm == arm


FAILED = Told(b"{}", 424, error="ModelError")
REFUSED = Told(b'{"OriginalStatusCode": 422}', 424, error="ModelError")
ANSWERS = {
    "same": (Told(b'{"y": 1}'), Told(b'{"y": 1}'), (1, 0, False)),
    "other": (Told(b'{"y": 1}'), Told(b'{"y": 2}'), (0, 0, True)),
    "challenger fails": (Told(b"1"), FAILED, (0, 1, True)),
    "control fails": (FAILED, Told(b"1"), (0, -1, True)),
    "both fail": (FAILED, FAILED, (1, 0, False)),
    "challenger refuses": (Told(b"1"), REFUSED, (0, 1, True)),
    "control refuses": (REFUSED, Told(b"1"), (0, -1, True)),
    "both refuse": (REFUSED, REFUSED, (1, 0, False)),
    "challenger answers no JSON": (Told(b"1"), Told(b"{"), (0, 1, True)),
}


@pytest.mark.parametrize(("control", "challenger", "told"), ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("arm", ["control", "treatment"])
def test_whoever_answered_first_the_challenger_stands_beside_the_control(
    arms: Stage, queue: Queue, arm: str, control: Told, challenger: Told, told
):
    _answer(arms, first=control, second=challenger)
    copy = _copied(arms, queue, DISAGREEMENT, unit=unit_in(arm, DISAGREEMENT))

    assert failed_ids(answer_shadows(sqs_event(copy), None)) == []

    assert _told(_pair(queue)) == told


@pytest.mark.parametrize("arm", ["control", "treatment"])
def test_a_slow_challenger_is_slower_whoever_answered_first(arms: Stage, queue: Queue, arm: str):
    def answer(asked: Asked) -> Told:
        threading.Event().wait(0.1 if asked.endpoint == "second" else 0)
        return Told()

    arms.runtime.answer = answer
    copy = _copied(arms, queue, DISAGREEMENT, unit=unit_in(arm, DISAGREEMENT))

    answer_shadows(sqs_event(copy), None)

    assert _pair(queue).ticks["latency_difference_ms"] > 0


def test_how_soon_an_arm_failed_is_no_latency(arms: Stage, queue: Queue):
    _answer(arms, first=Told(), second=FAILED)
    copy = _copied(arms, queue)

    answer_shadows(sqs_event(copy), None)

    assert _pair(queue).ticks["latency_difference_ms"] == 0


def test_answers_are_compared_as_the_experiment_says(arms: Stage, queue: Queue):
    _answer(arms, first=Told(b'{"y": 1.0, "t": 1}'), second=Told(b'{"y": 1.25, "t": 2}'))
    route = make_route(mode="shadow", comparing={"field": "y", "tolerance": 0.25})
    copy = _copied(arms, queue, route)

    answer_shadows(sqs_event(copy), None)

    assert not _pair(queue).differs


def test_a_copy_that_comes_twice_is_one_pair(arms: Stage, queue: Queue):
    copy = _copied(arms, queue)

    answer_shadows(sqs_event(copy, copy), None)
    answer_shadows(sqs_event(copy), None)

    assert len(queue.of_kind("pair")) == 3
    assert len({pair.id for pair in queue.of_kind("pair")}) == 1


def test_the_pairs_of_a_batch_go_in_one_call(arms: Stage, queue: Queue):
    copy = _copied(arms, queue)
    others = [copy.replace(json.loads(copy)["nonce"], f"nonce-{number}") for number in range(9)]

    assert failed_ids(answer_shadows(sqs_event(copy, *others), None)) == []

    assert len(queue.of_kind("pair")) == 10
    assert len(queue.calls) == 1


def test_the_copies_of_a_batch_are_asked_four_at_once(arms: Stage, queue: Queue):
    copy = _copied(arms, queue)
    all_asked = threading.Barrier(4, timeout=10)

    def answer(_: Asked) -> Told:
        all_asked.wait()
        return Told()

    arms.runtime.answer = answer

    assert failed_ids(answer_shadows(sqs_event(*[copy] * 8), None)) == []
    assert not all_asked.broken


def test_an_endpoint_that_is_busy_for_a_moment_is_asked_again(arms: Stage, queue: Queue):
    copy = _copied(arms, queue)
    throttled = iter([True, True])

    def answer(_: Asked) -> Told:
        is_throttled = next(throttled, False)
        return Told(b"{}", 429, error="ThrottlingException") if is_throttled else Told()

    arms.runtime.answer = answer

    assert failed_ids(answer_shadows(sqs_event(copy), None)) == []
    assert len(queue.of_kind("pair")) == 1


BUSY = {
    "throttled": (429, "ThrottlingException", ""),
    "starting": (429, "ModelNotReadyException", ""),
    "down": (503, "ServiceUnavailable", ""),
    "gone": (400, "ValidationError", "Endpoint second not found."),
    "denied": (403, "AccessDeniedException", ""),
}


@pytest.mark.parametrize(("status", "error", "message"), BUSY.values(), ids=BUSY.keys())
def test_an_endpoint_that_cannot_answer_now_brings_its_copy_back(
    arms: Stage, queue: Queue, status: int, error: str, message: str
):
    copy = _copied(arms, queue)
    arms.runtime.fail(status, error, Message=message)

    assert failed_ids(answer_shadows(sqs_event(copy), None)) == ["m0"]
    assert queue.calls == []


def test_a_queue_that_refuses_the_pairs_brings_their_copies_back(arms: Stage, queue: Queue):
    copy = _copied(arms, queue)
    queue.take = lambda: 400

    assert failed_ids(answer_shadows(sqs_event(copy, copy), None)) == ["m0", "m1"]


def test_a_registry_that_is_down_brings_the_copy_back(arms: Stage, queue: Queue, monkeypatch):
    copy = _copied(arms, queue)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    aws.dynamodb.cache_clear()

    assert failed_ids(answer_shadows(sqs_event(copy), None)) == ["m0"]


POISON = {
    "no JSON": "{",
    "nothing": "",
    "another message": '{"tenant": "t", "events": []}',
    "a list": "[]",
    "surrogate": '"\\ud800"',
}


@pytest.mark.parametrize("body", POISON.values(), ids=POISON.keys())
def test_poison_fails_alone_and_is_named(
    arms: Stage, queue: Queue, body: str, caplog: pytest.LogCaptureFixture
):
    copy = _copied(arms, queue)

    assert failed_ids(answer_shadows(sqs_event(copy, body, copy), None)) == ["m1"]

    assert len(queue.of_kind("pair")) == 2
    (line,) = [record for record in caplog.records if record.message == "copy_refused"]
    assert vars(line)["fields"]["key"] == "m1"


def test_poison_in_a_copys_content_fails_alone(arms: Stage, queue: Queue):
    copy = _copied(arms, queue)
    broken = {**json.loads(copy), "question": {"content": "***", "content_type": "a/b"}}

    assert failed_ids(answer_shadows(sqs_event(json.dumps(broken), copy), None)) == ["m0"]


HOUR_MS = 3_600_000
DROPPED = {
    "too old": {"issued_at_ms": -HOUR_MS - 1_000},
    "of another experiment": {"experiment": "exp-2"},
    "of an arm that is none": {"arm": "other"},
}


@pytest.mark.parametrize("changes", DROPPED.values(), ids=DROPPED.keys())
def test_a_copy_that_means_nothing_any_more_is_dropped(
    arms: Stage, queue: Queue, changes, caplog: pytest.LogCaptureFixture
):
    copy = json.loads(_copied(arms, queue)) | changes
    if copy["issued_at_ms"] < 0:
        copy["issued_at_ms"] += time.time_ns() // 1_000_000

    assert failed_ids(answer_shadows(sqs_event(json.dumps(copy)), None)) == []

    assert (arms.runtime.asked, queue.calls) == ([], [])
    assert "copy_dropped" in caplog.messages


def test_a_copy_of_an_experiment_that_ended_is_dropped(arms: Stage, queue: Queue):
    copy = _copied(arms, queue)
    arms.run()

    assert failed_ids(answer_shadows(sqs_event(copy), None)) == []
    assert (arms.runtime.asked, queue.calls) == ([], [])


def test_a_copy_for_an_arm_that_is_not_in_service_is_dropped(arms: Stage, queue: Queue):
    copy = _copied(arms, queue)
    arms.put_arm("1.1.0", "second", stage="retired")

    assert failed_ids(answer_shadows(sqs_event(copy), None)) == []
    assert (arms.runtime.asked, queue.calls) == ([], [])
