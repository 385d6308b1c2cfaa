"""What the queue brings is counted once, whoever brings it, in whatever order, however often."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from chalicelib.experiments import triggers
from chalicelib.experiments.counting import service as counting
from chalicelib.experiments.counting.fold import fold
from chalicelib.experiments.counting.service import counting_of, read_sums, rules_of
from chalicelib.experiments.events import Event
from chalicelib.experiments.model import State
from chalicelib.kit import aws, tables
from chalicelib.kit.clock import Deadline
from chalicelib.kit.settings import settings
from tests.builders.crashes import together
from tests.builders.outcomes import (
    event,
    exact_recount,
    exposure,
    history,
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


def count(tenant: str, events: list[Event]) -> None:
    assert deliver(messages(tenant, events, size=100)) == []


def counted(tenant: str, subject: str = "exp_1") -> dict[tuple[str, int], dict[str, Any]]:
    return seen(read_sums(tenant, subject))


def test_what_the_queue_brings_is_counted(tenant: str):
    start_experiment(tenant)
    events = history(1, units=40)

    count(tenant, events)

    assert counted(tenant) == exact_recount(events)


def test_messages_come_again_and_out_of_order(tenant: str):
    start_experiment(tenant)
    events = history(2, units=40)
    bodies = list(messages(tenant, events, size=6).values())
    dice = random.Random(2)
    arrivals = [body for body in bodies for _ in range(dice.randrange(1, 4))]
    dice.shuffle(arrivals)

    for start in range(0, len(arrivals), 9):
        deliver({f"m{n}": body for n, body in enumerate(arrivals[start : start + 9])})

    assert counted(tenant) == exact_recount(events)


def test_sixteen_who_count_at_once_lose_nothing(tenant: str):
    start_experiment(tenant)
    events = history(3, units=60)
    dice = random.Random(3)

    def consume(number: int) -> Callable[[], object]:
        own = events[number * len(events) // 20 :][: len(events) // 4]  # three more have each
        dice.shuffle(own)
        return partial(until_taken, messages(tenant, own, size=10))

    together([consume(number) for number in range(16)])

    heard = events[: 15 * len(events) // 20 + len(events) // 4]
    assert counted(tenant) == exact_recount(heard)


def until_taken(bodies: dict[str, str]) -> None:
    """As the queue does: what fails comes again."""
    while bodies:
        failed = deliver(bodies)
        bodies = {message: bodies[message] for message in failed}


def test_an_exposure_that_comes_after_its_outcomes_moves_the_unit(tenant: str):
    start_experiment(tenant)
    later = outcome("u", 5, values={"clicks": 3.0}, arm="treatment")
    count(tenant, [later])

    count(tenant, [exposure("u", 0, arm="control", segment="mobile")])

    assert counted(tenant) == exact_recount([later, exposure("u", 0, segment="mobile")])


def test_more_than_one_write_takes_a_batch(tenant: str):
    start_experiment(tenant)
    events = [exposure(f"u{n}") for n in range(400)]

    count(tenant, events)

    assert counted(tenant)["control", 0]["units"] == 400


def test_a_unit_may_have_any_number_of_outcomes(tenant: str):
    start_experiment(tenant)
    events = [outcome("u", values={"clicks": 1.0}, id=f"{n}") for n in range(1_500)]

    count(tenant, events)

    assert counted(tenant) == exact_recount(events)


def test_a_write_that_changes_many_cells_is_parted(tenant: str):
    start_experiment(tenant)
    shard = [f"u{n}" for n in range(2_000) if counting.outcome_store.shard_of(f"u{n}") == 0]
    events = [exposure(unit, phase=phase) for phase, unit in enumerate(shard[:80])]

    count(tenant, events)

    assert counted(tenant) == exact_recount(events)


def test_of_two_different_things_in_one_message_the_first_stays(tenant: str):
    start_experiment(tenant)
    first, second = (outcome("u", values={"clicks": n}, id="same") for n in (1.0, 2.0))

    count(tenant, [first, second])

    assert counted(tenant) == exact_recount([first])


def test_tenants_are_counted_apart(tenant: str):
    for name in (tenant, f"{tenant}-b"):
        start_experiment(name)

    deliver(
        messages(tenant, [exposure("u")])
        | messages(f"{tenant}-b", [exposure("u"), exposure("v")], start=1)
    )

    assert [counted(name)["control", 0]["units"] for name in (tenant, f"{tenant}-b")] == [1, 2]


def test_predictions_outside_of_experiments_are_counted_by_version(tenant: str):
    subject = "recommendation@1.0.0"
    told = [
        outcome("u", n, values={"quality_score": n}, subject=subject, arm="1.0.0") for n in (3, 5)
    ]

    count(tenant, told)

    assert read_sums(tenant, subject)["1.0.0", 0].metrics["quality_score"][:2] == [1, 4 * 10**9]


def test_answers_that_differ_decide_who_counts_in_a_disagreement(tenant: str):
    start_experiment(tenant, mode="disagreement", segments=[])
    pair = {"pairs": 1.0, "agreements": 0.0}
    events = [exposure("u"), exposure("v"), event("pair", "u", 0, values=pair, differs=True)]

    count(tenant, events)

    cell = read_sums(tenant, "exp_1")["control", 0]
    assert (cell.units, cell.differing, cell.metrics["agreement"][0]) == (2, 1, 1)


def test_a_draft_counts_nothing(tenant: str):
    experiment = start_experiment(tenant).model_copy(update={"state": State.DRAFT, "id": "exp_2"})
    counting.tables.commit([counting.store.put_experiment(tenant, None, experiment)])

    assert rules_of(tenant, "exp_2") is None


def test_past_the_deadline_no_write_is_begun(tenant: str):
    start_experiment(tenant)
    events = [exposure("u")]

    left = counting.count(tenant, events, rules_of=partial(rules_of, tenant), deadline=Deadline(0))

    assert [(one.event, one.reason, one.may_pass) for one in left] == [
        (events[0], "out-of-time", True)
    ]
    assert counted(tenant) == {}


def test_what_was_seen_is_forgotten_long_after_its_window(tenant: str):
    start_experiment(tenant)
    told = exposure("u")
    count(tenant, [told])

    item = aws.dynamodb().get_item(
        TableName=settings().outcomes_table,
        Key={"pk": {"S": f"{tenant}#exp_1#unit#u"}, "sk": {"S": f"seen#{told.id}"}},
    )["Item"]

    assert int(item["expires_at"]["N"]) >= told.predicted_at_ms // 1_000 + 120 * 86_400


def _remembered(tenant: str, unit: str) -> Iterator[Event]:
    pk = f"{tenant}#exp_1#unit#{unit}"
    for row in tables.scan_partition(settings().outcomes_table, pk, after="seen#"):
        if row.key.sk.startswith("seen#"):
            yield Event.model_validate_json(row.doc)


def test_the_sums_can_be_made_anew_from_what_is_remembered(tenant: str):
    experiment = start_experiment(tenant)
    events = history(5, units=20)
    count(tenant, events)

    units = {one.unit for one in events}
    remembered = [event for unit in units for event in _remembered(tenant, unit)]

    assert fold(remembered, counting_of(experiment)) == read_sums(tenant, "exp_1")


def test_reading_sums_takes_one_query(tenant: str):
    start_experiment(tenant)
    count(tenant, history(6, units=60))
    asked: list[str] = []
    aws.dynamodb().meta.events.register("before-call", lambda model, **_: asked.append(model.name))

    read_sums(tenant, "exp_1")

    assert asked == ["Query"]
