"""Schedules and owners at once: one of them decides, and the others find it decided.
Races that chance would seldom bring are brought about by a hook on our own client."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chalicelib.experiments.deciding import service as deciding
from chalicelib.experiments.model import ExperimentNotRunning, NamespaceFull
from chalicelib.experiments.running import service as running
from chalicelib.kit import aws
from chalicelib.registry import service as registry
from tests.builders.crashes import together
from tests.experiments.conftest import Trial

BETTER = {"control": 3.0, "treatment": 4.0}
WORSE = {"control": 4.0, "treatment": 2.0}
PROMISING = {"control": 3.0, "treatment": 3.175}


def advance(trial: Trial) -> object:
    return deciding.advance(trial.tenant, trial.get().id)


def stop(trial: Trial) -> object:
    return running.stop(trial.tenant, trial.get().id, actor="test", reason="")


def promote(trial: Trial) -> object:
    return running.promote(trial.tenant, trial.get().id, arm=None, actor="test", reason="")


def promote_if_it_runs(trial: Trial) -> None:
    with contextlib.suppress(ExperimentNotRunning):
        promote(trial)


def start(trial: Trial, name: str) -> None:
    with contextlib.suppress(NamespaceFull):
        running.start(trial.tenant, trial.get(name).id, actor="test")


def meanwhile(act: Callable[[], object], *, when: str) -> list[bool]:
    """Let somebody act just before our next such write goes out, once; true when it happened."""
    happened: list[bool] = []

    def hook(params: Any, **_: Any) -> None:
        if not happened and when in str(params):
            happened.append(True)
            act()

    aws.dynamodb().meta.events.register("before-parameter-build.dynamodb.TransactWriteItems", hook)
    return happened


@pytest.mark.parametrize(
    ("means", "told"),
    [
        (BETTER, ("experiment.promoted",)),
        (WORSE, ("experiment.decided",)),
    ],
    ids=["promote", "roll back"],
)
def test_eight_schedules_at_once_decide_once(
    trial: Trial, means: dict[str, float], told: tuple[str, ...]
):
    trial.begin()
    trial.tell(means)

    together([partial(advance, trial)] * 8)

    ending = trial.ending()
    assert ending.told_of_experiment == (*told, "experiment.started", "experiment.created")
    assert ending.told_of_model == (("model.promoted",) if means is BETTER else ())
    assert (ending.routes, ending.ranges) == (0, 0)


def test_eight_schedules_at_once_take_one_look(trial: Trial):
    trial.begin(looks=2)
    trial.tell(PROMISING, each=30)

    together([partial(advance, trial)] * 8)

    assert trial.ending().looks == 1
    assert len(trial.entries()) == 3


def test_eight_promotions_by_hand_at_once_are_one(trial: Trial):
    trial.begin()

    together([partial(promote, trial)] * 8)

    ending = trial.ending()
    assert (ending.champion, ending.told_of_model) == ("1.1.0", ("model.promoted",))
    assert ending.told_of_experiment[:2] == ("experiment.promoted", "experiment.started")


def test_of_stops_and_promotions_at_once_one_holds(trial: Trial):
    trial.begin()

    together([partial(act, trial) for act in (stop, promote_if_it_runs) * 4])

    ending = trial.ending()
    assert (ending.state, ending.champion) in {("stopped", "1.0.0"), ("promoted", "1.1.0")}
    assert (ending.routes, ending.ranges, len(ending.told_of_experiment)) == (0, 0, 3)


def test_starts_at_once_share_the_namespace_without_overlap(trial: Trial):
    names = [f"n{number}" for number in range(4)]
    for name in names:
        trial.draft(name, traffic=0.5)

    together([partial(start, trial, name) for name in names])

    assert sorted(trial.namespace().ranges.values()) == [(0.0, 0.5), (0.5, 1.0)]
    assert sorted(trial.routed()) == sorted(trial.namespace().ranges)


def test_starts_at_once_in_two_namespaces_leave_one(trial: Trial):
    for name in ("one", "two"):
        trial.draft(name, namespace=name, traffic=0.5)

    together([partial(start, trial, name) for name in ("one", "two") * 2])

    assert len(trial.routed()) == 1
    assert len(trial.namespace("one").ranges) + len(trial.namespace("two").ranges) == 1


def test_eight_creations_at_once_are_one(trial: Trial):
    together([trial.draft] * 8)

    assert [one.action for one in trial.entries()] == ["experiment.created"]


def test_what_was_stopped_while_it_was_judged_is_not_promoted(trial: Trial):
    trial.begin()
    trial.tell(BETTER)
    happened = meanwhile(partial(stop, trial), when="experiment.promoted")

    verdict = advance(trial)

    assert (happened, verdict) == ([True], None)
    assert (trial.ending().state, trial.champion()) == ("stopped", "1.0.0")


def test_a_champion_that_came_while_it_was_judged_stays(trial: Trial):
    trial.put_live("1.2.0")
    trial.begin()
    trial.tell(BETTER)
    crown = partial(registry.promote, trial.tenant, trial.model, "1.2.0", actor="owner", reason="")
    happened = meanwhile(crown, when="experiment.promoted")

    verdict = advance(trial)

    assert happened
    assert verdict.reasons == ["champion-changed"]
    assert (trial.ending().state, trial.champion()) == ("stopped", "1.2.0")


def test_shares_that_changed_while_it_was_judged_are_kept(trial: Trial):
    trial.put_live("1.2.0")
    several = [{"name": "a", "version": "1.1.0"}, {"name": "b", "version": "1.2.0"}]
    trial.begin(challengers=several)
    trial.tell({"control": 4.0, "a": 2.0, "b": 4.0}, each=30)
    new = {"control": 0.6, "a": 0.2, "b": 0.2}
    move = partial(
        running.reshare, trial.tenant, trial.get().id, new, actor="owner", reason="because"
    )
    happened = meanwhile(move, when="experiment.decided")

    advance(trial)

    assert happened
    shares = [phase.shares() for phase in trial.get().phases]
    assert shares[1:] == [pytest.approx(new), pytest.approx({"control": 0.75, "b": 0.25})]
