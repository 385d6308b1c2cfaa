"""Feedback over HTTP: answers, problems, and two doors that are one.
Which outcomes are taken is tested beside `feedback`."""

import json

import pytest

from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from tests.builders.feedback import SATISFACTION, Sent, declare, make_receipt, own_queue
from tests.builders.http import JSON, Reply, post_json, send

DOORS = ["/api/feedback", "/production/feedback"]


@pytest.fixture
def sent(tenant: str, monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What reached a queue of the test's own; the model knows `user_satisfaction`."""
    declare(tenant, SATISFACTION)
    return own_queue(tenant, monkeypatch)


def _ats(reply: Reply) -> list[str]:
    return [flaw["at"] for flaw in reply.json["errors"]]


@pytest.mark.parametrize("door", DOORS)
def test_the_guides_feedback_is_accepted(tenant: str, sent: Sent, door: str):
    request_id = make_receipt(tenant, nonce="n1")

    reply = post_json(door, {"request_id": request_id, "quality_score": 4, "is_correct": True})

    assert reply.status == 202
    assert reply.json == {
        "accepted": 1,
        "items": [
            {
                "status": "accepted",
                "outcomes": ["n1/quality_score", "n1/is_correct"],
                "code": None,
                "detail": None,
            }
        ],
    }
    assert [event.id for event in sent()] == ["n1/quality_score", "n1/is_correct"]


def test_an_answer_is_given_only_once_the_queue_has_it(tenant: str, sent: Sent, monkeypatch):
    body = {"request_id": make_receipt(tenant), "quality_score": 4}
    before = post_json(DOORS[0], body)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")
    aws.queues.cache_clear()

    reply = post_json(DOORS[0], body)

    assert (before.status, len(before.json["items"])) == (202, 1)
    assert (reply.status, reply.code) == (503, "dependency-unavailable")
    assert int(reply.headers["Retry-After"]) >= 1


def test_a_batch_is_answered_item_by_item(tenant: str, sent: Sent):
    items = [
        {"request_id": make_receipt(tenant, nonce="n1"), "quality_score": 4},
        {"request_id": make_receipt(tenant), "metric_name": "none", "metric_value": 1},
        "nothing",
    ]

    reply = post_json(DOORS[0], {"items": items})

    assert (reply.status, reply.json["accepted"]) == (202, 1)
    assert [(one["status"], one["code"]) for one in reply.json["items"]] == [
        ("accepted", None),
        ("refused", "unknown-metric"),
        ("refused", "invalid-request"),
    ]


def test_a_batch_in_which_nothing_is_good_is_answered_too(tenant: str, sent: Sent):
    reply = post_json(DOORS[0], {"items": [None] * 100})

    assert (reply.status, reply.json["accepted"], len(reply.json["items"])) == (202, 0, 100)


REFUSED = {
    "forged": ({"request_id": "r1.k1.x.y"}, 422, "receipt-refused"),
    "unknown metric": ({"metric_name": "none", "metric_value": 1}, 422, "unknown-metric"),
    "measured by serving": (
        {"metric_name": "latency_ms", "metric_value": 1},
        422,
        "unknown-metric",
    ),
    "out of range": ({"quality_score": 6}, 422, "value-refused"),
    "1e308": ({"metric_name": "user_satisfaction", "metric_value": 1e308}, 422, "value-refused"),
}


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_one_item_that_is_refused_is_a_problem(tenant: str, sent: Sent, kind: str):
    said, status, code = REFUSED[kind]

    reply = post_json(
        DOORS[0], {"request_id": make_receipt(tenant), **({"quality_score": 3} | said)}
    )

    assert (reply.status, reply.code) == (status, code)
    assert sent() == []


def test_an_outcome_that_is_too_late_is_a_conflict(tenant: str, sent: Sent):
    request_id = make_receipt(tenant, issued_at_ms=0)

    reply = post_json(DOORS[0], {"request_id": request_id, "is_correct": True})

    assert (reply.status, reply.code) == (409, "outcome-too-late")


def test_the_window_is_the_stages_own(tenant: str, sent: Sent, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OUTCOME_WINDOW_DAYS", "100000")
    settings.cache_clear()

    reply = post_json(
        DOORS[0], {"request_id": make_receipt(tenant, issued_at_ms=0), "quality_score": 1}
    )

    assert reply.status == 202


FLAWED = {
    "no receipt": ({"request_id": None}, ["body.request_id"]),
    "a number as text": ({"quality_score": "4"}, ["body.quality_score"]),
    "a truth as number": ({"quality_score": True}, ["body.quality_score"]),
    "a number as truth": ({"is_correct": 1}, ["body.is_correct"]),
    "an unknown member": ({"score": 4}, ["body.score"]),
    "a name that is none": (
        {"metric_name": "No Name!", "metric_value": 1},
        ["body.metric_name"],
    ),
    "no value": ({"metric_name": "user_satisfaction"}, ["body"]),
    "null as value": ({"metric_name": "user_satisfaction", "metric_value": None}, ["body"]),
    "no name": ({"metric_value": 4}, ["body"]),
    "nothing at all": ({"quality_score": None}, ["body"]),
    "said twice": ({"metric_name": "quality_score", "metric_value": 4}, ["body"]),
    "a long context": ({"context": {"a": "x" * 1_000}}, ["body.context"]),
    "a long id": ({"outcome_id": "x" * 41}, ["body.outcome_id"]),
    "two flaws": (
        {"quality_score": [], "is_correct": "yes"},
        ["body.quality_score", "body.is_correct"],
    ),
    "items and more": ({"items": []}, ["body.items", "body.request_id", "body.quality_score"]),
}


@pytest.mark.parametrize("kind", sorted(FLAWED))
def test_a_body_that_is_wrong_says_where(tenant: str, sent: Sent, kind: str):
    said, ats = FLAWED[kind]

    reply = post_json(
        DOORS[0], {"request_id": make_receipt(tenant), **({"quality_score": 3} | said)}
    )

    assert (reply.status, reply.code) == (422, "invalid-request")
    assert _ats(reply) == ats
    assert sent() == []


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_has_one_to_a_hundred_items(tenant: str, sent: Sent, count: int):
    reply = post_json(DOORS[0], {"items": [{}] * count})

    assert (reply.status, _ats(reply)) == (422, ["body.items"])


@pytest.mark.parametrize("literal", ["-Infinity", "1e400", "Infinity", "NaN"])
def test_what_json_has_no_number_for_is_no_json(tenant: str, sent: Sent, literal: str):
    body = json.dumps({"request_id": make_receipt(tenant), "quality_score": "?"})

    reply = send("POST", DOORS[0], body.replace('"?"', literal).encode(), headers=JSON)

    assert (reply.status, reply.code) == (400, "malformed-body")


@pytest.mark.parametrize("kind", ["accepted", "batch", *sorted(FLAWED), *sorted(REFUSED)])
def test_both_doors_answer_the_same(tenant: str, sent: Sent, kind: str):
    said = {**FLAWED, **REFUSED, "accepted": ({},), "batch": ({},)}[kind][0]
    body = {"request_id": make_receipt(tenant), **({"quality_score": 3} | said)}
    if kind == "batch":
        body = {"items": [body, {}]}

    first, second = (post_json(door, body) for door in DOORS)

    assert first.status == second.status
    assert first.headers == second.headers
    assert first.content.replace(DOORS[0].encode(), DOORS[1].encode()) == second.content
