"""Which predictions are copied for an experiment's other arm, and what a copy holds."""

import json

import pytest

from chalicelib.receipts import service as receipts
from chalicelib.serving.copies import Copy, is_sampled
from tests.builders.experiments import hash_of, make_route, unit_in
from tests.builders.http import Reply
from tests.builders.queues import Queue
from tests.builders.runtime import Told
from tests.serving.conftest import Stage

SHADOW = make_route(mode="shadow")
DISAGREEMENT = make_route(mode="disagreement")
BINARY = bytes(range(256))


def _copies(queue: Queue) -> list[Copy]:
    return [Copy.model_validate_json(json.dumps(copy)) for copy in queue.copies]


def _nonce(arms: Stage, reply: Reply) -> str:
    return receipts.verify(arms.world.tenant, reply.headers["Sommelier-Request-Id"]).nonce


@pytest.mark.parametrize("unit", [None, "unit-0"])
def test_the_control_answers_all_in_shadow_mode(arms: Stage, unit: str | None):
    arms.run(SHADOW)

    assert arms.ask(unit=unit).json["version"] == "1.0.0"
    assert [asked.endpoint for asked in arms.runtime.asked] == ["first"]


def test_a_copy_holds_what_was_asked_and_answered_letter_by_letter(arms: Stage, queue: Queue):
    arms.run(SHADOW)
    arms.runtime.answer = lambda _: Told(BINARY[::-1], content_type="application/x-npy")

    reply = arms.ask(BINARY, unit="unit-0", content_type="application/x-npy", accept="a/b")

    (copy,) = _copies(queue)
    assert (copy.tenant, copy.model) == (arms.world.tenant, arms.world.model)
    assert (copy.experiment, copy.arm, copy.phase) == ("exp-1", "control", 1)
    assert (copy.unit, copy.nonce) == (hash_of("unit-0"), _nonce(arms, reply))
    assert (copy.question.content, copy.accept) == (BINARY, "a/b")
    assert copy.question.content_type == "application/x-npy"
    assert copy.reply.output is not None
    assert copy.reply.output.content == BINARY[::-1]


def test_a_copy_of_a_prediction_without_a_unit_has_its_nonce_for_one(arms: Stage, queue: Queue):
    arms.run(SHADOW)

    reply = arms.ask()

    (copy,) = _copies(queue)
    assert copy.unit == copy.nonce == _nonce(arms, reply)
    assert queue.events == [], "who is no unit is not exposed"


def test_who_is_in_no_experiment_is_not_copied(arms: Stage, queue: Queue):
    route = make_route(mode="shadow", namespace_range=(0.0, 0.5))
    arms.run(route)

    arms.ask(unit=unit_in(None, route))

    assert queue.copies == []


def test_no_copy_is_made_while_the_champion_is_not_the_control(arms: Stage, queue: Queue):
    arms.run(make_route(mode="shadow", versions={"control": "0.9.0", "treatment": "1.1.0"}))

    arms.ask()

    assert queue.copies == []


@pytest.mark.parametrize("arm", ["control", "treatment"])
def test_in_disagreement_mode_the_units_arm_answers_and_is_copied(
    arms: Stage, queue: Queue, arm: str
):
    arms.run(DISAGREEMENT)

    reply = arms.ask(unit=unit_in(arm, DISAGREEMENT))

    assert reply.json["arm"] == arm
    assert [copy.arm for copy in _copies(queue)] == [arm]
    assert len(queue.of_kind("exposure")) == 1


def test_without_a_unit_nothing_is_copied_in_disagreement_mode(arms: Stage, queue: Queue):
    arms.run(DISAGREEMENT)

    arms.ask()

    assert queue.copies == []


@pytest.mark.parametrize("told", [{"arm": "control"}, {"unit": "unit-0", "version": "1.0.0"}])
@pytest.mark.parametrize("route", [SHADOW, DISAGREEMENT], ids=["shadow", "disagreement"])
def test_testers_and_named_versions_are_not_copied(arms: Stage, queue: Queue, route, told):
    arms.run(route)

    arms.ask(**told)

    assert queue.calls == []


def test_a_split_copies_nothing(arms: Stage, queue: Queue):
    arms.ask(unit="unit-0")
    arms.ask()

    assert queue.copies == []


@pytest.mark.parametrize("status", [422, 500])
def test_a_question_without_an_answer_is_copied_as_such(arms: Stage, queue: Queue, status: int):
    arms.run(SHADOW)
    arms.runtime.model_error(status, "")

    arms.ask(unit="unit-0")

    assert [copy.reply.output for copy in _copies(queue)] == [None]


def test_what_never_reached_an_endpoint_is_not_copied(arms: Stage, queue: Queue):
    arms.run(SHADOW)

    assert arms.ask(b"{", unit="unit-0").status == 400
    assert queue.copies == []


@pytest.mark.parametrize("sizes", [(250_000, 10), (10, 250_000), (99_000, 99_000)])
def test_what_is_too_large_for_the_queue_is_answered_and_not_copied(
    arms: Stage, queue: Queue, sizes: tuple[int, int], caplog: pytest.LogCaptureFixture
):
    arms.run(SHADOW)
    asked, answered = sizes
    arms.runtime.answer = lambda _: Told(bytes(answered), content_type="application/x-npy")

    reply = arms.ask(bytes(asked), unit="unit-0", content_type="application/x-npy")

    assert (reply.status, len(reply.content)) == (200, answered)
    assert queue.copies == []
    assert "copy_too_large" in caplog.messages


def test_a_copy_that_just_fits_is_sent(arms: Stage, queue: Queue):
    arms.run(SHADOW)

    arms.ask(bytes(195_000), unit="unit-0", content_type="application/x-npy")

    assert len(queue.copies) == 1


def test_a_copy_that_cannot_be_sent_fails_no_prediction(
    arms: Stage, queue: Queue, caplog: pytest.LogCaptureFixture
):
    arms.run(SHADOW)
    queue.take = lambda: 400

    assert arms.ask().status == 200
    assert "copy_unsent" in caplog.messages


def test_a_share_of_predictions_is_copied_and_the_same_ones_each_time(arms: Stage, queue: Queue):
    arms.run(make_route(mode="shadow", shadow_share=0.5))

    replies = [arms.ask() for _ in range(40)]

    copied = {copy.nonce for copy in _copies(queue)}
    assert copied == {
        nonce for nonce in (_nonce(arms, r) for r in replies) if is_sampled(nonce, 0.5)
    }
    assert 0 < len(copied) < 40


@pytest.mark.parametrize("share", [0.01, 0.3, 0.999])
def test_the_sample_is_as_large_as_the_share(share: float):
    """Within 5 standard errors of a binomial count; the nonces are fixed."""
    n = 20_000

    found = sum(is_sampled(f"nonce-{number}", share) for number in range(n))

    assert abs(found - n * share) <= 5 * (n * share * (1 - share)) ** 0.5


def test_a_share_of_one_is_everything():
    assert all(is_sampled(f"nonce-{number}", 1.0) for number in range(1_000))
