"""A process dies before and after each call that changes something while it logs; then what it was
to log comes again, in one way or another. Every step is written once."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.kit.clock import Deadline
from chalicelib.rewards import service, store
from chalicelib.rewards.batches import Step
from tests.builders.crashes import Moment, die_at, moments, mutating_calls
from tests.builders.episodes import make_step
from tests.builders.logged import lines, objects

CALLS = ["TransactWriteItems", "PutObject", "TransactWriteItems"]
Act = Callable[[str], object]


def _steps(first: int, last: int) -> list[Step]:
    return [Step.model_validate(make_step(step=n, done=n == 5)) for n in range(first, last)]


def _whole(tenant: str) -> object:
    return service.log_episode(tenant, _steps(0, 6))


def _otherwise(tenant: str) -> object:
    return [service.log_episode(tenant, _steps(n, n + 3)) for n in (3, 0)]


def _schedule(tenant: str) -> object:
    return service.write_unwritten(tenant, deadline=Deadline(3_600))


REPAIRS: dict[str, tuple[Act, ...]] = {
    "the same again": (_whole,),
    "batched otherwise": (_otherwise,),
    "the schedule, then the same again": (_schedule, _whole),
}


def test_logging_makes_three_calls_that_change_something(tenant: str):
    assert mutating_calls(lambda: _whole(tenant)) == CALLS


@pytest.mark.parametrize("moment", moments(CALLS), ids=str)
@pytest.mark.parametrize("repair", sorted(REPAIRS))
def test_no_step_is_lost_or_doubled(tenant: str, moment: Moment, repair: str):
    assert die_at(moment, lambda: _whole(tenant))

    for act in REPAIRS[repair]:
        act(tenant)

    assert [line["step"] for line in lines(tenant)] == list(range(6))
    assert list(store.all_outboxes(tenant)) == []
    _assert_listed(tenant)


@pytest.mark.parametrize("moment", moments(CALLS[1:]), ids=str)
def test_the_schedule_may_die_as_well(tenant: str, moment: Moment):
    assert die_at(Moment(1, after=True), lambda: _whole(tenant))
    assert die_at(moment, lambda: _schedule(tenant))

    _schedule(tenant)

    assert [line["step"] for line in lines(tenant)] == list(range(6))
    assert list(store.all_outboxes(tenant)) == []


def test_a_step_that_a_dead_process_claimed_is_kept_for_the_schedule(tenant: str):
    assert die_at(Moment(1, after=True), lambda: _whole(tenant))
    assert objects(tenant) == {}

    _schedule(tenant)

    assert len(lines(tenant)) == 6


def _assert_listed(tenant: str) -> None:
    listed: list[Any] = service.list_batches(tenant, limit=50, cursor=None).items
    assert {batch.object for batch in listed} == set(objects(tenant))
    assert all(batch.written for batch in listed)
