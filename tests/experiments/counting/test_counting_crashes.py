"""A process dies before and after each write that it makes; then its messages come again.
The sums are those of a run without a crash, which are those of an exact recount."""

import random
from collections.abc import Callable
from functools import partial

import pytest

from chalicelib.experiments import triggers
from chalicelib.experiments.counting.service import read_sums
from chalicelib.experiments.events import Event
from tests.builders.crashes import die_at, moments, mutating_calls
from tests.builders.outcomes import (
    exact_recount,
    history,
    messages,
    seen,
    sqs_event,
    start_experiment,
)

WRITE, LEAST_WRITES = "TransactWriteItems", 8


def deliver(tenant: str, events: list[Event]) -> None:
    triggers.fold_outcomes(sqs_event(messages(tenant, events, size=7)), None)


@pytest.mark.parametrize("seed", [11, 12])
def test_a_crash_anywhere_loses_and_doubles_nothing(tenant: str, seed: int):
    events = history(seed, units=16)
    random.Random(seed).shuffle(events)
    before, batch = events[: len(events) // 3], events[len(events) // 3 :]
    calls = mutating_calls(prepared(f"{tenant}-whole", before, batch))
    assert calls.count(WRITE) >= LEAST_WRITES, calls

    at_writes = [one for one in moments(calls) if calls[one.call - 1] == WRITE or one.call == 1]
    for number, moment in enumerate(at_writes):
        name = f"{tenant}-{number}"
        died = die_at(moment, prepared(name, before, batch))
        deliver(name, before + batch)

        assert died, f"{moment} of {calls}"
        assert seen(read_sums(name, "exp_1")) == exact_recount(events), f"{moment} of {calls}"


def prepared(tenant: str, before: list[Event], batch: list[Event]) -> Callable[[], object]:
    """What counts the batch, for a tenant that has counted what came before it."""
    start_experiment(tenant)
    deliver(tenant, before)
    return partial(deliver, tenant, batch)
