"""What the rule does about counted outcomes, in the tables, the registry and the ledger.
Which verdict numbers deserve is tested where the rule is: here it is what becomes of one."""

from typing import Any

import pytest

from chalicelib.experiments import store
from chalicelib.experiments.deciding import service as deciding
from chalicelib.experiments.model import State
from chalicelib.experiments.running import service as running
from chalicelib.registry import service as registry
from tests.experiments.conftest import Trial

BETTER = {"control": 3.0, "treatment": 4.0}
WORSE = {"control": 4.0, "treatment": 2.0}
SAME = {"control": 3.0, "treatment": 3.0}
PROMISING = {"control": 3.0, "treatment": 3.175}
"""z = 0.175 / (0.5 * sqrt(2 / 60) * sqrt(60 / 59)) = 1.90: below the boundary of one look, and
over it soon if it goes on like that."""
THREE = [{"name": "first", "version": "1.1.0"}, {"name": "second", "version": "1.2.0"}]


def test_a_better_challenger_becomes_champion_when_its_look_is_due(trial: Trial):
    trial.begin()
    trial.count(trial.scores(BETTER))

    verdict = trial.advance()

    assert (verdict.action, verdict.arm) == ("promote", "treatment")
    ending = trial.ending()
    assert (ending.state, ending.winner, ending.champion) == ("promoted", "treatment", "1.1.0")
    assert (ending.routes, ending.ranges) == (0, 0)


def test_a_promotion_is_told_of_the_experiment_and_of_the_model(trial: Trial):
    trial.begin()
    trial.tell(BETTER)

    trial.advance()

    mine, models = trial.entries()[0], trial.told_of_model()[0]
    assert (mine.action, mine.actor) == ("experiment.promoted", deciding.RULE_ACTOR)
    assert mine.after["state"] == "promoted"
    assert (models.action, models.actor) == ("model.promoted", deciding.RULE_ACTOR)
    assert trial.get().id in models.facts["reason"]


def test_the_look_that_promotes_is_kept(trial: Trial):
    trial.begin()
    trial.tell(BETTER)

    verdict = trial.advance()

    assert trial.get().looks == [verdict.look]


def test_before_its_look_nothing_is_promoted_and_nothing_written(trial: Trial):
    trial.begin()
    trial.tell(BETTER, each=30)

    verdict = trial.advance()

    assert (verdict.action, verdict.reasons) == ("continue", ["before-next-look"])
    assert trial.ending().told_of_experiment == ("experiment.started", "experiment.created")


def test_a_look_that_shows_nothing_yet_is_taken_once(trial: Trial):
    trial.begin(looks=2)
    trial.tell(PROMISING, each=30)

    first, second = trial.advance(), trial.advance()

    assert (first.action, first.look.number) == ("continue", 1)
    assert (second.action, second.look) == ("continue", None)
    assert trial.ending().told_of_experiment[0] == "experiment.decided"
    assert len(trial.get().looks) == 1


def test_harm_rolls_back_before_any_look(trial: Trial):
    trial.begin()
    trial.count(trial.scores(WORSE, each=40))

    verdict = trial.advance()

    assert (verdict.action, verdict.look) == ("roll_back", None)
    ending = trial.ending()
    assert (ending.state, ending.champion) == ("rolled_back", "1.0.0")
    assert (ending.routes, ending.ranges) == (0, 0)
    assert trial.get().conclusion == f"harm:quality_score (rule {deciding.RULE})"


def test_of_several_challengers_the_harmful_one_alone_is_dropped(trial: Trial):
    trial.put_live("1.2.0")
    trial.begin(challengers=THREE)
    trial.tell({"control": 4.0, "first": 2.0, "second": 4.0}, each=30)

    verdict = trial.advance()

    assert (verdict.action, verdict.arm) == ("roll_back", "first")
    found = trial.get()
    assert found.state is State.RUNNING
    assert found.phases[-1].shares() == pytest.approx({"control": 0.5, "second": 0.5})
    assert trial.routed() == [found.id]


def test_without_a_difference_the_end_is_a_stop(trial: Trial):
    trial.begin()
    trial.tell(SAME)

    verdict = trial.advance()

    assert (verdict.action, verdict.reasons[0]) == ("stop", "no-difference-shown")
    ending = trial.ending()
    assert (ending.state, ending.champion, ending.routes, ending.ranges) == (
        "stopped",
        "1.0.0",
        0,
        0,
    )


def test_a_promising_end_is_put_off_once(trial: Trial):
    trial.begin(may_extend=True)
    trial.tell(PROMISING)
    before = trial.get().ends_at

    verdict = trial.advance()

    found = trial.get()
    assert (verdict.action, found.state, found.is_extended) == ("extend", State.RUNNING, True)
    assert (found.ends_at - before).days == 7
    assert trial.advance().action == "continue"


def test_an_experiment_without_a_plan_gets_one_from_its_own_spread(trial: Trial):
    trial.begin(planned_units=None, minimal_effect=0.1)
    trial.tell(SAME, each=30)

    trial.advance()

    entry = next(one for one in trial.entries() if one.action == "experiment.planned")
    assert trial.get().planned_units == entry.facts["planned_units"] > 0


def test_a_ramp_goes_on_when_its_step_has_lasted(trial: Trial):
    trial.begin(ramp=[0.05, 0.5], ramp_step_h=24)
    trial.advance()
    assert trial.get().exposed == pytest.approx(0.1)
    trial.turn_back(hours=25)

    trial.advance()

    assert trial.get().exposed == 1.0
    assert trial.entries()[0].action == "experiment.ramped"


def test_a_ramp_shows_a_harmful_challenger_to_nobody_else(trial: Trial):
    trial.begin(ramp=[0.05, 0.5], ramp_step_h=24)
    trial.tell(WORSE, each=40)
    trial.turn_back(hours=25)

    trial.advance()

    assert trial.ending().told_of_experiment[:2] == ("experiment.decided", "experiment.started")
    assert trial.get().exposed == pytest.approx(0.1)


def test_a_bandit_gives_the_better_arm_more_after_each_batch(trial: Trial):
    trial.begin(allocation="bandit", planned_units=5_000)
    trial.tell(BETTER, each=100)

    trial.advance()

    shares = trial.get().phases[-1].shares()
    assert len(trial.get().phases) == 2
    assert shares["treatment"] == pytest.approx(0.95)
    assert trial.entries()[0].action == "experiment.reallocated"


def test_a_bandit_without_a_plan_begins_all_the_same(trial: Trial):
    trial.begin(allocation="bandit", planned_units=None)
    trial.tell(SAME, each=40)

    trial.advance()
    trial.advance()

    found = trial.get()
    assert len(found.phases) == 2
    assert found.planned_units is not None


def test_a_challenger_out_of_service_stops_the_experiment(trial: Trial):
    trial.begin()
    trial.put_live("1.1.0", stage="retired")

    verdict = trial.advance()

    assert verdict.reasons == ["arm-not-live:treatment"]
    assert trial.ending().state == "stopped"


def test_an_experiment_whose_champion_was_rolled_back_stops(trial: Trial):
    trial.put_live("1.2.0")
    registry.promote(trial.tenant, trial.model, "1.2.0", actor="owner", reason="")
    trial.begin()
    registry.roll_back(trial.tenant, trial.model, to=None, actor="owner", reason="")
    trial.tell(BETTER)

    verdict = trial.advance()

    assert (verdict.action, verdict.reasons) == ("stop", ["champion-changed"])
    assert trial.champion() == "1.0.0"


@pytest.mark.parametrize("means", [BETTER, WORSE, SAME], ids=["better", "worse", "same"])
def test_without_leave_to_act_the_verdict_is_only_told(trial: Trial, means: dict[str, float]):
    trial.begin(acts=False)
    trial.tell(means)
    before = trial.get()

    verdict = trial.advance()

    assert verdict.action != "continue"
    assert (trial.get().state, trial.get().phases) == (before.state, before.phases)
    assert trial.champion() == "1.0.0"


def test_a_look_that_was_only_told_is_not_taken_again(trial: Trial):
    trial.begin(acts=False, may_extend=False)
    trial.tell(SAME)

    first, second = trial.advance(), trial.advance()

    assert (first.action, trial.get().looks) == ("stop", [first.look])
    assert second.look is None


def test_without_leave_to_act_looks_are_taken(trial: Trial):
    trial.begin(acts=False, looks=2)
    trial.tell(PROMISING, each=30)

    verdict = trial.advance()

    assert (verdict.action, trial.get().looks) == ("continue", [verdict.look])


@pytest.mark.parametrize("state", ["draft", "paused", "stopped"])
def test_only_what_runs_is_advanced(trial: Trial, state: str):
    trial.draft() if state == "draft" else trial.begin()
    if state == "paused":
        running.pause(trial.tenant, trial.get().id, actor="test", reason="")
    if state == "stopped":
        running.stop(trial.tenant, trial.get().id, actor="test", reason="")
    before = len(trial.entries())

    assert trial.advance() is None
    assert len(trial.entries()) == before


def revisions(trial: Trial) -> list[Any]:
    read = store.read_experiment(trial.tenant, trial.get().id)
    routes = store.read_routes(trial.tenant, trial.model)
    return [read.row, routes.row if routes else None, trial.entries(), trial.told_of_model()]


def test_an_assessment_changes_nothing(trial: Trial):
    trial.begin()
    trial.tell(BETTER)
    before = revisions(trial)

    assessed = deciding.assess(trial.tenant, trial.get().id)

    assert assessed.recommendation == "promote_to_production"
    assert revisions(trial) == before


def test_a_draft_is_assessed_without_numbers(trial: Trial):
    trial.draft()

    assessed = deciding.assess(trial.tenant, trial.get().id)

    assert (assessed.analysis.units, assessed.verdict.reasons) == (0, ["draft"])
    assert assessed.recommendation == "continue_testing"


@pytest.mark.parametrize(
    ("means", "recommendation"),
    [(BETTER, "promote_to_production"), (WORSE, "archive_candidate"), (SAME, "archive_candidate")],
    ids=["promoted", "rolled back", "stopped"],
)
def test_what_is_over_says_how_it_ended(trial: Trial, means: dict[str, float], recommendation: str):
    trial.begin()
    trial.tell(means)
    trial.advance()

    assessed = deciding.assess(trial.tenant, trial.get().id)

    assert assessed.recommendation == recommendation
    assert assessed.verdict.action == "continue"
