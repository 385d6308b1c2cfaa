"""Which values, contexts and batches are taken as feedback: a refusal says what and where.
Against the offline cloud, as in the tests of what is counted where."""

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from chalicelib.experiments.events import to_ticks
from chalicelib.experiments.feedback import service as feedback
from chalicelib.experiments.feedback.service import Became, Feedback, FeedbackBatch
from chalicelib.experiments.model import OutcomeTooLate, ValueRefused
from chalicelib.registry.metrics import Metric
from tests.builders.feedback import SATISFACTION, Sent, declare, make_receipt, own_queue


@pytest.fixture
def sent(tenant: str, monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What reached a queue of the test's own; the model knows `user_satisfaction`."""
    declare(tenant, SATISFACTION)
    return own_queue(tenant, monkeypatch)


def _judged(tenant: str, **said: object) -> Became:
    return feedback.judge(tenant, said).became  # type: ignore[arg-type]


REFUSED_VALUES = {
    "a truth": (True, "invalid-request"),
    "text": ("4", "invalid-request"),
    "null": (None, "invalid-request"),
    "a list": ([4], "invalid-request"),
    "not a number": (float("nan"), "invalid-request"),
    "infinite": (float("inf"), "invalid-request"),
    "infinite below": (float("-inf"), "invalid-request"),
    "a whole number beyond floats": (10**400, "invalid-request"),
    "1e308": (1e308, "value-refused"),
    "-1e308": (-1e308, "value-refused"),
    "just above": (5.000001, "value-refused"),
    "just below": (0.999999, "value-refused"),
}


@pytest.mark.parametrize("kind", sorted(REFUSED_VALUES))
def test_a_value_that_is_no_number_in_range_is_refused(tenant: str, sent: Sent, kind: str):
    value, code = REFUSED_VALUES[kind]

    became = _judged(
        tenant,
        request_id=make_receipt(tenant),
        metric_name="user_satisfaction",
        metric_value=value,
    )

    assert (became.status, became.code) == ("refused", code)


@pytest.mark.parametrize("member", ["metric_value", "quality_score"])
def test_a_refused_value_says_where_it_stands(tenant: str, sent: Sent, member: str):
    said = {"metric_name": "user_satisfaction", "metric_value": 2.0, "quality_score": 2.0}

    with pytest.raises(ValueRefused) as refusal:
        feedback.take(
            tenant, Feedback.model_validate({"request_id": make_receipt(tenant), **said, member: 7})
        )

    assert [flaw.at for flaw in refusal.value.flaws] == [f"body.{member}"]


def test_a_binary_metric_takes_nothing_between_0_and_1(tenant: str, sent: Sent):
    request_id = make_receipt(tenant)

    found = [
        _judged(tenant, request_id=request_id, metric_name="is_correct", metric_value=value).code
        for value in (0, 1, 1.0, 0.5)
    ]

    assert found == [None, None, None, "value-refused"]


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.floats(min_value=-1e12, max_value=1e12))
def test_a_value_arrives_in_ticks_to_the_nearest(tenant: str, value: float):
    declare(tenant, Metric(name="any_value"))
    said = {"request_id": make_receipt(tenant), "metric_name": "any_value", "metric_value": value}

    (event,) = feedback.judge(tenant, said).events  # type: ignore[arg-type]

    assert event.ticks == {"any_value": to_ticks(value)}
    assert abs(event.ticks["any_value"] / 1e9 - value) <= max(1e-9, abs(value) * 1e-15)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(item=JSON | st.dictionaries(st.sampled_from(sorted(Feedback.model_fields)), JSON))
def test_whatever_is_said_is_refused_or_taken_and_never_an_error(app_environment: object, item):
    judged = feedback.judge("offline", item)

    assert judged.became.status == "refused"
    assert judged.became.detail


CONTEXTS = {
    "too many bytes": {"text": "ä" * 500},
    "nested too deep": {"a": [[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]},
    "no character": {"text": "\uffff"},
    "half a character": {"text": "\ud800"},
    "no object": ["text"],
}


@pytest.mark.parametrize("kind", sorted(CONTEXTS))
def test_a_context_that_cannot_be_kept_is_refused(tenant: str, sent: Sent, kind: str):
    became = _judged(
        tenant, request_id=make_receipt(tenant), quality_score=1, context=CONTEXTS[kind]
    )

    assert became.code == "invalid-request"
    assert "context" in str(became.detail)


def test_the_largest_items_all_reach_the_queue(tenant: str, sent: Sent):
    context = {"text": "\u0001" * 160 + "語" * 9}
    items = [
        {
            "request_id": make_receipt(tenant),
            "metric_name": "user_satisfaction",
            "metric_value": 1,
            "quality_score": 1,
            "is_correct": True,
            "outcome_id": "~" * 40,
            "context": context,
        }
        for _ in range(100)
    ]

    answer = feedback.take(tenant, FeedbackBatch.model_validate({"items": items}))

    assert answer.accepted == 100
    assert len({event.id for event in sent()}) == 300


# ---- batches --------------------------------------------------------------------------------


def test_in_a_batch_good_items_are_taken_whatever_the_others_are(tenant: str, sent: Sent):
    items = [
        {"request_id": make_receipt(tenant, nonce="n1"), "quality_score": 4},
        {"request_id": "forged", "quality_score": 4},
        {"request_id": make_receipt(tenant), "quality_score": 9},
        {"request_id": make_receipt(tenant), "quality_score": "4"},
        {"request_id": make_receipt(tenant), "metric_name": "none", "metric_value": 1},
        {"request_id": make_receipt(tenant, issued_at_ms=0), "quality_score": 4},
        {"request_id": make_receipt(tenant, model="none"), "quality_score": 4},
        {"request_id": make_receipt(tenant, is_forced=True), "quality_score": 4},
        17,
        {"request_id": make_receipt(tenant, nonce="n2"), "is_correct": False},
    ]

    answer = feedback.take(tenant, FeedbackBatch.model_validate({"items": items}, strict=True))

    assert answer.accepted == 2
    assert [(one.status, one.code) for one in answer.items] == [
        ("accepted", None),
        ("refused", "receipt-refused"),
        ("refused", "value-refused"),
        ("refused", "invalid-request"),
        ("refused", "unknown-metric"),
        ("refused", "outcome-too-late"),
        ("refused", "model-not-found"),
        ("not_counted", "forced-arm"),
        ("refused", "invalid-request"),
        ("accepted", None),
    ]
    assert sorted(event.id for event in sent()) == ["n1/quality_score", "n2/is_correct"]


def test_a_refused_item_says_what_is_wrong_with_which_member(tenant: str, sent: Sent):
    became = _judged(tenant, request_id=make_receipt(tenant), quality_score="4", extra=1)

    assert str(became.detail).startswith("quality_score: ")
    assert "; extra: " in str(became.detail)


def test_one_item_alone_that_is_too_late_is_raised(tenant: str, sent: Sent):
    with pytest.raises(OutcomeTooLate):
        feedback.take(
            tenant, Feedback(request_id=make_receipt(tenant, issued_at_ms=0), quality_score=1)
        )
