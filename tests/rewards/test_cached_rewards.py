"""The same question asked again: who is told an earlier answer, and what is told of it."""

import json

import pytest

from chalicelib.kit import aws, tables
from chalicelib.kit.clock import utc_now
from chalicelib.kit.settings import settings
from chalicelib.receipts import service as receipts
from chalicelib.registry import store
from chalicelib.registry.metrics import MEASURED
from chalicelib.registry.model import Live, Model
from chalicelib.serving import service as serving
from tests.builders.experiments import make_route, unit_in
from tests.builders.queues import Queue
from tests.builders.runtime import Told
from tests.rewards.conftest import ANSWER, QUESTION, answered, ask
from tests.serving.conftest import Stage


def _set(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for variable, text in variables.items():
        monkeypatch.setenv(variable, text)
    settings.cache_clear()


def test_the_same_question_is_answered_from_before(rewarding: Stage):
    first = ask().json
    second = ask().json

    assert len(rewarding.runtime.asked) == 1
    assert (first["cached"], second["cached"]) == (False, True)
    assert {name: second[name] for name in ANSWER} == ANSWER
    assert second["age_s"] >= 0


def test_an_answer_from_before_has_a_receipt_of_its_own(rewarding: Stage):
    first, second = (
        receipts.verify(rewarding.world.tenant, ask().json["request_id"]) for _ in "ab"
    )

    assert first.nonce != second.nonce
    assert (second.model, second.version) == (rewarding.world.model, "1.0.0")


def test_an_answer_from_before_makes_no_call_at_all(rewarding: Stage):
    ask()
    calls: list[str] = []
    for client in (aws.dynamodb, aws.secrets, aws.sagemaker_runtime):
        client().meta.events.register(
            "before-call", lambda model, **_: calls.append(model.name), unique_id="counted"
        )

    assert ask().json["cached"]
    assert calls == []


def test_the_order_of_members_and_the_spelling_of_numbers_make_no_other_question(
    rewarding: Stage,
):
    ask()
    turned = {name: QUESTION[name] for name in reversed(QUESTION)}
    spelt = json.dumps(turned).replace('"replicas": 3', '"replicas": 3.0')

    assert ask(spelt.encode()).json["cached"]


def test_another_question_is_asked(rewarding: Stage):
    ask()
    other = {**QUESTION, "proposedAction": {"type": "SCALE_K8S", "params": {"replicas": 4}}}

    assert not ask(other).json["cached"]


@pytest.mark.parametrize("said", ["max-age=0", "max-age=0, No-Cache", "no-cache", "no-store"])
def test_who_takes_nothing_from_before_is_not_given_it(rewarding: Stage, said: str):
    ask()

    assert not ask(Cache_Control=said).json["cached"]


def test_other_words_about_caches_change_nothing(rewarding: Stage):
    ask()

    assert ask(Cache_Control="max-age=60").json["cached"]


def test_a_time_to_live_of_zero_asks_anew_each_time(rewarding: Stage, monkeypatch):
    _set(monkeypatch, REWARD_CACHE_TTL_S="0")
    ask()

    assert not ask().json["cached"]


def test_a_promotion_never_serves_old_numbers(rewarding: Stage):
    ask()
    _promote(rewarding, "1.1.0", "second")
    rewarding.runtime.answer = lambda _: Told(json.dumps({**ANSWER, "value": -1.0}).encode())

    reply = ask()

    assert (reply.json["version"], reply.json["cached"]) == ("1.1.0", False)
    assert reply.json["value"] == -1.0


def _promote(stage: Stage, version: str, endpoint: str) -> None:
    tenant, name, now = stage.world.tenant, stage.world.model, utc_now()
    live = Live(version=version, endpoint=endpoint, hosting="serverless")
    model = Model(name=name, champion=live, created_at=now, updated_at=now)
    tables.commit([store.put_model(tenant, store.read_model(tenant, name), model)])
    serving.forget_routes()


def test_each_arm_has_its_own_answers(rewarding: Stage, arms: Stage):
    units = [unit_in(arm, make_route()) for arm in ("control", "treatment")]

    cached = [ask(Sommelier_Unit=unit).json["cached"] for unit in units * 2]

    assert cached == [False, False, True, True]
    assert [asked.endpoint for asked in rewarding.runtime.asked] == ["first", "second"]


def test_an_answer_from_before_is_exposed_and_not_measured(
    rewarding: Stage, arms: Stage, queue: Queue
):
    units = [f"unit-{number}" for number in range(8)]

    replies = [ask(Sommelier_Unit=unit).json for unit in units]

    assert [event.nonce for event in queue.of_kind("exposure")] == [
        receipts.verify(rewarding.world.tenant, reply["request_id"]).nonce for reply in replies
    ]
    measured = sum(MEASURED in event.ticks for event in queue.of_kind("measurement"))
    assert measured == len(rewarding.runtime.asked) == 2


def test_a_copy_of_an_answer_from_before_tells_how_long_the_endpoint_took_then(
    rewarding: Stage, arms: Stage, queue: Queue
):
    route = make_route(mode="shadow")
    arms.run(route)
    unit = unit_in("control", route)

    for _ in range(2):
        ask(Sommelier_Unit=unit)

    first, second = queue.copies
    assert len(rewarding.runtime.asked) == 1
    assert first["nonce"] != second["nonce"]
    assert first["reply"] == second["reply"]


def test_a_failure_is_not_kept(rewarding: Stage):
    rewarding.runtime.fail(503, "ServiceUnavailable")
    assert ask().status == 503
    rewarding.runtime.answer = answered

    reply = ask()

    assert (reply.status, reply.json["cached"]) == (200, False)


def test_an_answer_that_is_none_about_rewards_is_not_kept(rewarding: Stage):
    rewarding.runtime.answer = lambda _: Told(b'{"detail": "warming up"}')
    assert ask().status == 502
    rewarding.runtime.answer = answered

    reply = ask()

    assert (reply.status, reply.json.get("cached")) == (200, False)


def test_the_door_of_predictions_keeps_nothing(rewarding: Stage):
    content = json.dumps(QUESTION).encode()

    for _ in range(2):
        rewarding.ask(content)

    assert len(rewarding.runtime.asked) == 2
