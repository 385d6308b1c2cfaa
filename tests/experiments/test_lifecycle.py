"""Every state and every move, the start, shares and routes; time is in test_lifecycle_time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.experiments import lifecycle
from chalicelib.experiments.assignment import WHOLE, SharesRefused
from chalicelib.experiments.model import (
    CONCLUDED,
    CONTROL,
    Experiment,
    ExperimentNotRunning,
    State,
)
from chalicelib.registry.metrics import Metric
from chalicelib.stats import sequences
from tests.builders.analyses import DAYS, STARTED, define, draft, running

HALVES = {CONTROL: 0.5, "treatment": 0.5}


def started(one: Experiment, **given_: Any) -> Experiment:
    default: dict[str, Any] = {
        "metrics": lifecycle.metrics_of(one.definition, []),
        "namespace_range": WHOLE,
        "planned_units": None,
        "now": STARTED,
    }
    return lifecycle.start(one, **{**default, **given_})


MOVES: dict[str, Callable[[Experiment], Experiment]] = {
    "conclude": lambda one: lifecycle.conclude(one, State.STOPPED, why="enough", now=STARTED),
    "pause": lambda one: lifecycle.pause(one, now=STARTED),
    "reshare": lambda one: lifecycle.reshare(one, HALVES, now=STARTED),
    "resume": lambda one: lifecycle.resume(one, now=STARTED),
    "start": started,
}
ALLOWED = {
    "conclude": {State.DRAFT: State.STOPPED, State.RUNNING: State.STOPPED}
    | {State.PAUSED: State.STOPPED},
    "pause": {State.RUNNING: State.PAUSED},
    "reshare": {State.RUNNING: State.RUNNING, State.PAUSED: State.PAUSED},
    "resume": {State.PAUSED: State.RUNNING},
    "start": {State.DRAFT: State.RUNNING},
}


def at(days: float) -> datetime:
    return STARTED + timedelta(days=days)


def shares_of(one: Experiment) -> dict[str, float]:
    return one.phases[-1].shares()


@pytest.mark.parametrize("move", sorted(MOVES))
@pytest.mark.parametrize("state", sorted(State))
def test_each_state_allows_its_moves_and_no_other(state: State, move: str):
    one = draft() if state is State.DRAFT else running(state=state)

    try:
        found = MOVES[move](one).state
    except ExperimentNotRunning:
        found = None

    assert found == ALLOWED[move].get(state)


@pytest.mark.parametrize("end", sorted(CONCLUDED))
def test_an_end_says_why_when_and_who_won(end: State):
    found = lifecycle.conclude(running(), end, why="w" * 600, winner="treatment", now=at(3))

    assert (found.state, found.winner, found.concluded_at) == (end, "treatment", at(3))
    assert found.conclusion == "w" * 500


def test_a_draft_knows_its_versions():
    assert draft(2).versions == {CONTROL: "1.0.0", "treatment": "1.1.0", "second": "1.2.0"}


# The start


def test_a_started_one_has_a_horizon_a_phase_and_a_place():
    found = running()

    assert (found.started_at, found.ramped_at, found.ends_at) == (STARTED, STARTED, at(DAYS))
    assert [(phase.number, phase.shares()) for phase in found.phases] == [(1, HALVES)]
    assert found.namespace_range == WHOLE


@pytest.mark.parametrize(
    ("defined", "from_history", "planned"),
    [(None, None, None), (None, 500, 500), (700, 500, 700)],
)
def test_the_owner_knows_the_planned_units_better_than_history(
    defined: int | None, from_history: int | None, planned: int | None
):
    found = started(draft(planned_units=defined), planned_units=from_history)

    assert found.planned_units == planned


def test_sequences_are_tuned_for_the_horizon():
    assert running(planned_units=4_000).tuned_for_units == sequences.effective_units(2_000, 2_000)


def test_sequences_are_tuned_for_anything_without_a_plan():
    assert running(planned_units=None).tuned_for_units > 0.0


@pytest.mark.parametrize(
    ("shares", "pair"),
    [([0.1], (900, 100)), ([0.5, 0.1], (400, 500)), ([0.25, 0.25, 0.25], (250, 250))],
)
def test_effective_units_are_those_of_the_largest_challenger(
    shares: list[float], pair: tuple[int, int]
):
    definition = define(shares)

    assert lifecycle.effective_units(definition, 1_000) == pytest.approx(
        sequences.effective_units(*pair)
    )


def test_a_tiny_share_has_effective_units_too():
    definition = define([1e-6])

    assert lifecycle.effective_units(definition, 20) == pytest.approx(2e-5, rel=1e-5)


def test_all_metrics_in_use_are_counted_and_declared_ones_are_known():
    declared = [Metric(name="score", kind="count"), Metric(name="unused")]

    found = lifecycle.metrics_of(define(secondary=["clicks", "score"]), declared)

    assert [(one.name, one.kind) for one in found] == [
        ("score", "count"),
        ("error_rate", "ratio"),
        ("clicks", "mean"),
        ("latency_ms", "ratio"),
    ]


@pytest.mark.parametrize(
    ("mode", "pairs"), [("split", False), ("shadow", True), ("disagreement", True)]
)
def test_pairs_are_counted_where_there_are_two_answers(mode: str, pairs: bool):
    names = {one.name for one in lifecycle.metrics_of(define(mode=mode), [])}

    assert ("agreement" in names) == pairs


# Shares


def test_shares_that_change_twice_make_a_phase_each():
    found = running()
    for day, share in enumerate((0.2, 0.7), 1):
        found = lifecycle.reshare(found, {CONTROL: 1 - share, "treatment": share}, now=at(day))

    assert [(one.number, one.since) for one in found.phases] == [
        (1, STARTED),
        (2, at(1)),
        (3, at(2)),
    ]
    assert [one.shares()["treatment"] for one in found.phases] == pytest.approx([0.5, 0.2, 0.7])


@pytest.mark.parametrize(
    "shares",
    [
        {CONTROL: 1.0},
        {"treatment": 1.0},
        {CONTROL: 0.5, "treatment": 0.0, "stranger": 0.5},
        {CONTROL: 0.5, "treatment": 0.6},
    ],
)
def test_shares_that_leave_nothing_to_compare_are_refused(shares: dict[str, float]):
    with pytest.raises(SharesRefused):
        lifecycle.reshare(running(), shares, now=STARTED)


def test_an_arm_taken_out_leaves_its_units_to_the_others_in_proportion():
    one = running([0.2, 0.3, 0.1])

    left = lifecycle.reshare(one, lifecycle.without(one, "second"), now=STARTED)

    assert shares_of(left) == pytest.approx(
        {CONTROL: 0.4 / 0.7, "treatment": 0.2 / 0.7, "third": 0.1 / 0.7}
    )
    assert lifecycle.challengers_left(left) == ["treatment", "third"]


@given(st.permutations(["treatment", "second", "third"]))
def test_arms_are_taken_out_in_any_order(order: list[str]):
    one = running(3)
    for arm in order[:2]:
        one = lifecycle.reshare(one, lifecycle.without(one, arm), now=STARTED)

    assert lifecycle.challengers_left(one) == [order[2]]
    assert shares_of(one) == pytest.approx({CONTROL: 0.5, order[2]: 0.5})


# The route


def test_the_route_is_that_of_the_last_phase():
    one = lifecycle.reshare(running(ramp=[0.1, 0.5]), {CONTROL: 0.8, "treatment": 0.2}, now=at(1))

    found = lifecycle.route_of(one, holdout=0.1)

    assert (found.experiment, found.phase, found.holdout) == ("exp_1", 2, 0.1)
    assert found.ranges == one.phases[-1].ranges
    assert found.exposed == pytest.approx(0.2)
    assert found.namespace == "model/eta"
    assert found.versions == {CONTROL: "1.0.0", "treatment": "1.1.0"}
