"""What may be said of a prediction, who may say it, and where it is counted.
Against the offline cloud: its keys sign, its table holds the experiments, its queue takes."""

import time

import pytest

from chalicelib.experiments.feedback import service as feedback
from chalicelib.experiments.feedback.service import Became, Feedback
from chalicelib.experiments.model import State, UnknownMetric
from chalicelib.receipts.model import ReceiptRefused
from chalicelib.registry.metrics import BUILT_IN, SERVED, Metric
from chalicelib.registry.model import ModelNotFound
from tests.builders.feedback import (
    CLICKS,
    SATISFACTION,
    Sent,
    declare,
    in_experiment,
    keep_experiment,
    make_receipt,
    own_queue,
)

DAY_MS = 24 * 3_600 * 1_000


@pytest.fixture
def sent(tenant: str, monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What reached a queue of the test's own; the model knows `user_satisfaction`."""
    declare(tenant, SATISFACTION)
    return own_queue(tenant, monkeypatch)


def _judged(tenant: str, **said: object) -> Became:
    return feedback.judge(tenant, said).became  # type: ignore[arg-type]


# ---- what is counted where ------------------------------------------------------------------


def test_each_thing_that_is_said_is_an_outcome_of_its_own(tenant: str, sent: Sent):
    said = Feedback(
        request_id=make_receipt(tenant, nonce="n1"),
        metric_name="user_satisfaction",
        metric_value=4.5,
        quality_score=4,
        is_correct=True,
    )

    answer = feedback.take(tenant, said)

    assert answer.items[0].outcomes == ["n1/user_satisfaction", "n1/quality_score", "n1/is_correct"]
    assert {event.id: event.ticks for event in sent()} == {
        "n1/user_satisfaction": {"user_satisfaction": 4_500_000_000},
        "n1/quality_score": {"quality_score": 4_000_000_000},
        "n1/is_correct": {"is_correct": 1_000_000_000},
    }


def test_outside_of_experiments_an_outcome_is_the_versions_own(tenant: str, sent: Sent):
    request_id = make_receipt(tenant, nonce="n1")

    feedback.take(tenant, Feedback(request_id=request_id, quality_score=3))

    (event,) = sent()
    assert (event.kind, event.subject, event.arm) == ("outcome", "eta@1.0.0", "1.0.0")
    assert (event.phase, event.unit, event.nonce) == (0, "n1", "n1")


def test_in_an_experiment_an_outcome_is_its_units(tenant: str, sent: Sent):
    experiment = keep_experiment(tenant, "e1", [CLICKS])
    request_id = make_receipt(tenant, **in_experiment(experiment, nonce="n1"))

    feedback.take(tenant, Feedback(request_id=request_id, metric_name="clicks", metric_value=2))

    (event,) = sent()
    assert (event.subject, event.arm, event.phase) == ("e1", "treatment", 2)
    assert (event.unit, event.id) == ("u" * 16, "n1/clicks")


def test_what_an_experiment_does_not_use_but_all_may_say_is_the_versions_own(
    tenant: str, sent: Sent
):
    experiment = keep_experiment(tenant, "e1", [CLICKS, BUILT_IN["is_correct"]])
    request_id = make_receipt(tenant, **in_experiment(experiment))

    feedback.take(tenant, Feedback(request_id=request_id, quality_score=5, is_correct=False))

    by_name = {next(iter(event.ticks)): event for event in sent()}
    assert (by_name["is_correct"].subject, by_name["is_correct"].arm) == ("e1", "treatment")
    assert (by_name["quality_score"].subject, by_name["quality_score"].arm) == (
        "eta@1.1.0",
        "1.1.0",
    )
    assert by_name["quality_score"].unit == "u" * 16


def test_a_ratio_takes_the_outcomes_of_both_its_parts_and_not_its_own_name(tenant: str, sent: Sent):
    ratio = Metric(name="rate", kind="ratio", numerator="hits", denominator="tries")
    request_id = make_receipt(tenant, **in_experiment(keep_experiment(tenant, "e1", [ratio])))

    found = {
        name: _judged(tenant, request_id=request_id, metric_name=name, metric_value=1).code
        for name in ("hits", "tries", "rate")
    }

    assert found == {"hits": None, "tries": None, "rate": "unknown-metric"}


def test_the_same_said_twice_has_the_same_id_and_an_outcome_id_tells_apart(tenant: str, sent: Sent):
    request_id = make_receipt(tenant, nonce="n1")
    said = Feedback(request_id=request_id, quality_score=4)
    other = Feedback(request_id=request_id, quality_score=4, outcome_id="second look")

    for one in (said, said, other):
        feedback.take(tenant, one)

    assert sorted(event.id for event in sent()) == [
        "n1/quality_score",
        "n1/quality_score",
        "n1/quality_score/second look",
    ]


def test_the_context_travels_with_the_outcome(tenant: str, sent: Sent):
    context = {"restaurant_id": "rest123", "später": [1, {"a": None}]}

    feedback.take(
        tenant, Feedback(request_id=make_receipt(tenant), quality_score=1, context=context)
    )

    assert sent()[0].context == context


def test_a_prediction_with_a_forced_arm_is_answered_and_never_counted(tenant: str, sent: Sent):
    experiment = keep_experiment(tenant, "e1", [CLICKS])
    request_id = make_receipt(tenant, **in_experiment(experiment, is_forced=True))

    answer = feedback.take(tenant, Feedback(request_id=request_id, is_correct=True))

    assert (answer.accepted, answer.items[0].status) == (0, "not_counted")
    assert answer.items[0].code == "forced-arm"
    assert sent() == []


# ---- who may say it, and until when ---------------------------------------------------------


def test_a_receipt_that_was_altered_anywhere_is_refused(tenant: str, sent: Sent):
    genuine = make_receipt(tenant)
    altered = [
        genuine[:at] + ("A" if genuine[at] != "A" else "B") + genuine[at + 1 :]
        for at in range(0, len(genuine), 7)
    ]

    found = [_judged(tenant, request_id=one, quality_score=5).code for one in altered]

    assert set(found) == {"receipt-refused"}


def test_the_receipt_of_another_tenant_is_refused(tenant: str, sent: Sent):
    foreign = Feedback(request_id=make_receipt("another"), quality_score=5)

    with pytest.raises(ReceiptRefused):
        feedback.take(tenant, foreign)

    assert sent() == []


@pytest.mark.parametrize(
    ("age_ms", "is_taken"), [(90 * DAY_MS - 60_000, True), (90 * DAY_MS + 60_000, False)]
)
def test_outcomes_are_taken_for_ninety_days(tenant: str, sent: Sent, age_ms: int, is_taken: bool):
    issued_at_ms = time.time_ns() // 1_000_000 - age_ms

    became = _judged(
        tenant, request_id=make_receipt(tenant, issued_at_ms=issued_at_ms), quality_score=5
    )

    assert became.code == (None if is_taken else "outcome-too-late")


@pytest.mark.parametrize("state", [State.PAUSED, State.PROMOTED, State.ROLLED_BACK, State.STOPPED])
def test_an_experiment_takes_outcomes_when_it_is_over_too(tenant: str, state: State):
    experiment = keep_experiment(tenant, "e1", [CLICKS], state=state)
    request_id = make_receipt(tenant, **in_experiment(experiment))

    said = {"request_id": request_id, "metric_name": "clicks", "metric_value": 1}
    judged = feedback.judge(tenant, said)

    assert [event.subject for event in judged.events] == [experiment]


def test_what_all_may_say_is_taken_after_the_experiment_too(tenant: str, sent: Sent):
    experiment = keep_experiment(tenant, "e1", [CLICKS], state=State.PROMOTED)
    request_id = make_receipt(tenant, **in_experiment(experiment))

    feedback.take(tenant, Feedback(request_id=request_id, quality_score=5))

    assert [event.subject for event in sent()] == ["eta@1.1.0"]


# ---- which metrics --------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SERVED))
def test_nobody_may_send_what_serving_measures(tenant: str, sent: Sent, name: str):
    experiment = keep_experiment(
        tenant, "e1", [*BUILT_IN.values(), Metric(name="mine", numerator=name)]
    )

    for fields in ({}, in_experiment(experiment)):
        became = _judged(
            tenant,
            request_id=make_receipt(tenant, **fields),
            metric_name=name,
            metric_value=1,
        )
        assert became.code == "unknown-metric"


def test_a_metric_of_the_model_is_not_one_of_an_experiment_that_lacks_it(tenant: str, sent: Sent):
    experiment = keep_experiment(tenant, "e1", [CLICKS])
    said = Feedback(
        request_id=make_receipt(tenant, **in_experiment(experiment)),
        metric_name="user_satisfaction",
        metric_value=4,
    )

    with pytest.raises(UnknownMetric) as refusal:
        feedback.take(tenant, said)

    assert [flaw.at for flaw in refusal.value.flaws] == ["body.metric_name"]
    assert "clicks" in refusal.value.detail


@pytest.mark.parametrize(
    ("before", "code"),
    [(SATISFACTION, "unknown-metric"), (CLICKS, "value-refused")],
    ids=["unknown", "out of range"],
)
def test_what_is_declared_after_a_refusal_is_known_soon(
    tenant: str, sent: Sent, before: Metric, code: str
):
    said = {"request_id": make_receipt(tenant), "metric_name": "clicks", "metric_value": 11}
    declare(tenant, before)
    first = _judged(tenant, **said)
    declare(tenant, CLICKS.model_copy(update={"maximum": 20}))

    ends_at = time.monotonic() + 30
    while (last := _judged(tenant, **said)).status == "refused" and time.monotonic() < ends_at:
        time.sleep(0.05)

    assert (first.code, last.status) == (code, "accepted")


def test_a_receipt_whose_experiment_is_unknown_knows_only_what_all_may_say(tenant: str, sent: Sent):
    request_id = make_receipt(tenant, **in_experiment("gone"))

    score = _judged(tenant, request_id=request_id, quality_score=1)
    clicks = _judged(tenant, request_id=request_id, metric_name="clicks", metric_value=1)

    assert (score.status, clicks.code) == ("accepted", "unknown-metric")


def test_a_model_that_is_unknown_refuses(tenant: str, sent: Sent):
    said = Feedback(request_id=make_receipt(tenant, model="none"), quality_score=1)

    with pytest.raises(ModelNotFound):
        feedback.take(tenant, said)
