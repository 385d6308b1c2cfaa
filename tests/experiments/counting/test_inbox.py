"""A message that cannot be counted fails alone, and by its name; its neighbours are counted."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib.experiments import triggers
from chalicelib.experiments.counting import store as outcome_store
from chalicelib.experiments.counting.service import read_sums
from chalicelib.kit import aws, telemetry
from tests.builders.outcomes import (
    exact_recount,
    exposure,
    messages,
    outcome,
    seen,
    sqs_event,
    start_experiment,
)


def deliver(bodies: dict[str, str]) -> list[str]:
    """The ids of the messages that are to come again."""
    answer: dict[str, Any] = triggers.fold_outcomes(sqs_event(bodies), None)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def units(tenant: str) -> int:
    return sum(cell.units for cell in read_sums(tenant, "exp_1").values())


Logged = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Logged]:
    """The lines of one fact, from here on."""
    telemetry._stdlib_logger.cache_clear()  # it keeps the output that it found first

    def lines(fact: str) -> list[dict[str, Any]]:
        every = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [line for line in every if line["message"] == fact]

    yield lines
    telemetry._stdlib_logger.cache_clear()


def test_poison_fails_alone_and_is_named(tenant: str, logged: Logged):
    start_experiment(tenant)
    good = messages(tenant, [exposure(f"u{n}") for n in range(20)])
    huge = {**exposure("u").model_dump(exclude_defaults=True), "ticks": {"clicks": 10**22}}
    poison = {
        "not-json": "{",
        "no-events": json.dumps({"tenant": tenant, "events": []}),
        "huge": json.dumps({"tenant": tenant, "events": [huge]}),
        "unknown": messages(tenant, [exposure("u", subject="exp_2")])["message-0"],
    }

    failed = deliver({**poison, **good})

    assert sorted(failed) == sorted(poison)
    assert units(tenant) == 20
    named = {line["key"]: line["reason"] for line in logged("message_refused")}
    assert sorted(named) == sorted(poison)
    assert named["unknown"] == "unknown-subject"


def test_a_message_with_one_bad_event_is_counted_but_for_that(tenant: str):
    start_experiment(tenant)
    mixed = [exposure("u"), exposure("v", subject="nobody@1.0")]

    failed = deliver(messages(tenant, mixed))

    assert failed == ["message-0"]
    assert units(tenant) == 1


def test_rows_that_outgrow_the_table_fail_alone(tenant: str):
    start_experiment(tenant)
    names = [f"{'x' * 90}_{number}" for number in range(3_800)]
    shard = [f"u{n}" for n in range(100) if outcome_store.shard_of(f"u{n}") == 0]
    large = [
        outcome(shard[0], values=dict.fromkeys(half, 1.0), id=f"large-{half[0][-5:]}")
        for half in (names[:1_900], names[1_900:])
    ]
    for number, one in enumerate(large):
        last = deliver(
            messages(tenant, [one, exposure(shard[1], number), exposure(shard[2], number)])
            | messages(tenant, [exposure(shard[3], number)], start=1)
        )

    assert last == ["message-0"]
    assert read_sums(tenant, "exp_1")["control", 0].metrics["error_rate"][3] == 6 * 10**9


def test_a_table_that_does_not_answer_brings_everything_back(
    tenant: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
):
    start_experiment(tenant)
    bodies = messages(tenant, [exposure("u")])
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    aws.dynamodb.cache_clear()

    failed = deliver(bodies)

    assert failed == list(bodies)
    assert [line["key"] for line in logged("message_postponed")] == failed


def test_of_two_different_things_under_one_id_the_first_stays(tenant: str, logged: Logged):
    start_experiment(tenant)
    first, second = (outcome("u", values={"clicks": n}, id="same") for n in (1.0, 2.0))
    deliver(messages(tenant, [first]))

    failed = deliver(messages(tenant, [second]))

    assert failed == []
    assert seen(read_sums(tenant, "exp_1")) == exact_recount([first])
    assert [line["key"] for line in logged("outcome_conflicted")] == ["same"]
