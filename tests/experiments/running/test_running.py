"""An experiment's life as its owner leads it: create, start, pause, stop, promote, other shares."""

from collections.abc import Callable

import pytest

from chalicelib.experiments import service as experiments
from chalicelib.experiments.assignment import SharesRefused
from chalicelib.experiments.deciding import service as deciding
from chalicelib.experiments.model import (
    ArmNotLive,
    Experiment,
    ExperimentNotRunning,
    NamespaceFull,
    State,
)
from chalicelib.experiments.running import service as running
from chalicelib.registry import service as registry
from tests.experiments.conftest import Trial

THREE = [{"name": "first", "version": "1.1.0"}, {"name": "second", "version": "1.2.0"}]


def act(trial: Trial, use_case: Callable[..., Experiment], **given: object) -> Experiment:
    return use_case(trial.tenant, trial.get().id, actor="owner", reason="because", **given)


def stop(trial: Trial) -> Experiment:
    return act(trial, running.stop)


def promote(trial: Trial, arm: str | None = None) -> Experiment:
    return act(trial, running.promote, arm=arm)


def reshare(trial: Trial, **shares: float) -> Experiment:
    return act(trial, running.reshare, shares=shares)


def start(trial: Trial) -> Experiment:
    return running.start(trial.tenant, trial.get().id, actor="owner")


def test_a_started_experiment_started_again_is_the_same(trial: Trial):
    begun = trial.begin()

    assert start(trial) == begun
    assert len(trial.entries()) == 2


def test_a_pause_takes_no_units_and_keeps_their_place(trial: Trial):
    found = trial.begin()

    paused = act(trial, running.pause)

    assert paused.state is State.PAUSED
    assert trial.routed() == []
    assert list(trial.namespace().ranges) == [found.id]


def test_a_pause_again_changes_nothing(trial: Trial):
    trial.begin()
    paused = act(trial, running.pause)

    assert act(trial, running.pause) == paused
    assert trial.entries()[0].facts == {"reason": "because"}


def test_after_a_pause_the_same_units_get_the_same_arms(trial: Trial):
    trial.begin()
    before = experiments.routes_of(trial.tenant, trial.model)
    act(trial, running.pause)

    start(trial)

    assert experiments.routes_of(trial.tenant, trial.model) == before
    assert trial.entries()[0].action == "experiment.resumed"


def test_an_arm_that_went_during_a_pause_is_missed(trial: Trial):
    trial.begin()
    act(trial, running.pause)
    trial.put_live("1.1.0", stage="retired")

    with pytest.raises(ArmNotLive):
        start(trial)


def test_an_arm_that_was_dropped_is_not_missed_after_a_pause(trial: Trial):
    trial.put_live("1.2.0")
    trial.begin(challengers=THREE)
    reshare(trial, control=0.5, first=0.0, second=0.5)
    act(trial, running.pause)
    trial.put_live("1.1.0", stage="retired")

    assert start(trial).state is State.RUNNING


def test_a_champion_that_changed_during_a_pause_is_no_control(trial: Trial):
    trial.put_live("1.2.0")
    trial.begin()
    act(trial, running.pause)
    registry.promote(trial.tenant, trial.model, "1.2.0", actor="owner", reason="")

    with pytest.raises(ArmNotLive, match="is not the champion"):
        start(trial)


def test_a_paused_experiment_finds_another_namespace_in_its_place(trial: Trial):
    trial.begin("trial", namespace="one")
    act(trial, running.pause)
    other = trial.begin("other", namespace="two")

    with pytest.raises(NamespaceFull, match=other.id):
        start(trial)

    assert trial.routed() == [other.id]


def test_a_stop_leaves_the_champion_and_frees_the_units(trial: Trial):
    trial.begin()

    stopped = stop(trial)

    assert (stopped.state, stopped.conclusion) == (State.STOPPED, "because")
    ending = trial.ending()
    assert (ending.champion, ending.routes, ending.ranges) == ("1.0.0", 0, 0)


def test_a_stop_again_changes_nothing(trial: Trial):
    trial.begin()
    stopped = stop(trial)

    assert stop(trial) == stopped
    assert len(trial.entries()) == 3


@pytest.mark.parametrize("state", ["draft", "paused"])
def test_what_does_not_run_can_be_stopped(trial: Trial, state: str):
    trial.draft() if state == "draft" else trial.begin()
    if state == "paused":
        act(trial, running.pause)

    assert stop(trial).state is State.STOPPED
    assert trial.namespace().ranges == {}


def test_a_promotion_by_hand_goes_through_the_gate(trial: Trial):
    trial.begin()

    promoted = promote(trial)

    assert (promoted.state, promoted.winner) == (State.PROMOTED, "treatment")
    ending = trial.ending()
    assert (ending.champion, ending.routes, ending.ranges) == ("1.1.0", 0, 0)
    assert {move[0] for move in ending.moves} == {"1.0.0", "1.1.0"}
    assert (ending.told_of_model, ending.told_of_experiment[0]) == (
        ("model.promoted",),
        "experiment.promoted",
    )
    assert trial.entries()[0].facts == {"reason": "because"}


def test_a_promotion_again_changes_nothing(trial: Trial):
    trial.begin()
    promoted = promote(trial)
    before = trial.ending()

    assert promote(trial) == promoted
    assert trial.ending() == before


def test_a_paused_experiment_can_be_promoted_from(trial: Trial):
    trial.begin()
    act(trial, running.pause)

    assert promote(trial).state is State.PROMOTED
    assert trial.namespace().ranges == {}


def test_what_was_promoted_in_the_registry_already_ends_the_experiment(trial: Trial):
    trial.begin()
    registry.promote(trial.tenant, trial.model, "1.1.0", actor="owner", reason="")

    promote(trial)

    ending = trial.ending()
    assert (ending.state, ending.champion, ending.routes) == ("promoted", "1.1.0", 0)
    assert ending.told_of_model == ("model.promoted",)


def test_a_promotion_names_the_arm_when_there_are_several(trial: Trial):
    trial.put_live("1.2.0")
    trial.begin(challengers=THREE)

    with pytest.raises(ArmNotLive, match="first, second"):
        promote(trial)
    promote(trial, "second")

    assert trial.champion() == "1.2.0"


@pytest.mark.parametrize("arm", ["control", "nobody"])
def test_only_a_challenger_is_promoted(trial: Trial, arm: str):
    trial.begin()

    with pytest.raises(ArmNotLive, match="treatment"):
        promote(trial, arm)


def test_a_draft_is_not_promoted_from(trial: Trial):
    trial.draft()

    with pytest.raises(ExperimentNotRunning):
        promote(trial)

    assert trial.champion() == "1.0.0"


def test_other_shares_begin_a_phase_and_reach_the_route(trial: Trial):
    trial.begin()

    reshare(trial, control=0.8, treatment=0.2)

    route = experiments.routes_of(trial.tenant, trial.model).routes[0]
    assert trial.get().phases[-1].shares() == pytest.approx({"control": 0.8, "treatment": 0.2})
    assert (route.phase, len(trial.get().phases)) == (2, 2)
    assert trial.entries()[0].after["shares"] == pytest.approx({"control": 0.8, "treatment": 0.2})


def test_the_same_shares_again_begin_no_phase(trial: Trial):
    trial.begin()
    changed = reshare(trial, control=0.8, treatment=0.2)

    assert reshare(trial, control=0.8, treatment=0.2) == changed


@pytest.mark.parametrize(
    "shares",
    [
        {"control": 0.5, "treatment": 0.2},
        {"control": 1.0, "treatment": 0.0},
        {"control": 0.0, "treatment": 1.0},
        {"control": 0.5, "nobody": 0.5},
        {"treatment": 1.0},
        {},
    ],
    ids=str,
)
def test_shares_that_leave_nothing_to_compare_are_refused(trial: Trial, shares: dict[str, float]):
    trial.begin()

    with pytest.raises(SharesRefused):
        reshare(trial, **shares)


@pytest.mark.parametrize("end", ["promote", "roll_back", "stop"])
def test_what_is_over_moves_no_more(trial: Trial, end: str):
    trial.begin()
    if end == "roll_back":
        trial.tell({"control": 4.0, "treatment": 2.0})
        deciding.advance(trial.tenant, trial.get().id)
    else:
        stop(trial) if end == "stop" else promote(trial)
    before = trial.ending()

    for move in (
        lambda: act(trial, running.pause),
        lambda: start(trial),
        lambda: reshare(trial, control=0.8, treatment=0.2),
        *([lambda: promote(trial)] if end != "promote" else []),
    ):
        with pytest.raises(ExperimentNotRunning):
            move()

    assert trial.ending() == before
