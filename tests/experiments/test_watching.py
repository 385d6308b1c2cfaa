"""What the schedule does: it advances what runs, begins what uploads ask for, and tidies up."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.deployments import triggers as deployments
from chalicelib.experiments import store, triggers, watching
from chalicelib.experiments.model import Experiment, State
from chalicelib.experiments.running import service as running
from chalicelib.kit.clock import Deadline
from chalicelib.registry import service as registry
from chalicelib.registry.model import Stage
from tests.builders import events
from tests.builders.models import linear_archive
from tests.conftest import World
from tests.experiments.conftest import Trial

BETTER = {"control": 3.0, "treatment": 4.0}
WORSE = {"control": 4.0, "treatment": 2.0}
ASKS = {"on_upload": "experiment", "metrics": [{"name": "clicks"}, {"name": "sales"}]}


def run_schedule() -> dict[str, Any]:
    return triggers.advance_experiments(events.scheduled(), None)


def begun(trial: Trial, version: str = "1.1.0") -> Experiment | None:
    read = store.read_experiment(trial.tenant, f"upload-{trial.model}-{version}")
    return read.experiment if read else None


def stop(trial: Trial, version: str = "1.1.0") -> None:
    name = f"upload-{trial.model}-{version}"
    running.stop(trial.tenant, name, actor="test", reason="")


def stage_of(trial: Trial, version: str) -> Stage:
    return registry.get_version(trial.tenant, trial.model, version).stage


def test_every_running_experiment_is_advanced(make_trial: Callable[..., Trial]):
    trials = [make_trial(number) for number in range(2)]
    for trial in trials:
        trial.begin()
        trial.tell(BETTER)

    assert run_schedule() == {"failed": 0}
    assert [trial.champion() for trial in trials] == ["1.1.0", "1.1.0"]


def test_one_broken_experiment_does_not_stop_the_others(make_trial: Callable[..., Trial]):
    trials = [make_trial(number) for number in range(3)]
    for trial in trials:
        trial.begin()
        trial.tell(BETTER)
    trials[0].change(versions={"control": "1.0.0", "treatment": "9.9.9"})

    assert run_schedule() == {"failed": 1}
    assert [trial.champion() for trial in trials] == ["1.0.0", "1.1.0", "1.1.0"]


def test_after_the_deadline_nothing_is_begun(trial: Trial):
    trial.begin()
    trial.tell(BETTER)

    assert watching.advance_all(trial.tenant, deadline=Deadline(0)) == 0
    assert trial.champion() == "1.0.0"


def test_a_new_candidate_gets_an_experiment_against_the_champion(
    make_trial: Callable[..., Trial],
):
    trial = make_trial(**ASKS)

    run_schedule()

    found = begun(trial)
    assert found is not None
    assert (found.state, found.versions) == (
        State.RUNNING,
        {"control": "1.0.0", "treatment": "1.1.0"},
    )
    assert (found.definition.primary, found.definition.secondary) == ("clicks", ["sales"])


def test_a_new_candidate_gets_one_experiment_only(make_trial: Callable[..., Trial]):
    trial = make_trial(**ASKS)
    run_schedule()
    before = begun(trial)

    run_schedule()

    assert begun(trial) == before
    assert trial.routed() == [before.id]


def test_a_candidate_whose_experiment_is_over_gets_no_other(make_trial: Callable[..., Trial]):
    trial = make_trial(**ASKS)
    run_schedule()
    stop(trial)

    run_schedule()

    assert begun(trial).state is State.STOPPED
    assert trial.routed() == []


@pytest.mark.parametrize("version", ["0.9.0", "1.0.0-rc.1"])
def test_what_is_below_the_champion_gets_none(make_trial: Callable[..., Trial], version: str):
    trial = make_trial(**ASKS)
    trial.put_live(version)

    run_schedule()

    assert begun(trial, version) is None


def test_a_former_champion_gets_none(make_trial: Callable[..., Trial]):
    trial = make_trial(**ASKS)
    registry.promote(trial.tenant, trial.model, "1.1.0", actor="test", reason="")
    trial.put_live("1.2.0")
    registry.promote(trial.tenant, trial.model, "1.2.0", actor="test", reason="")
    registry.roll_back(trial.tenant, trial.model, to="1.1.0", actor="test", reason="")
    registry.roll_back(trial.tenant, trial.model, to="1.0.0", actor="test", reason="")
    registry.promote(trial.tenant, trial.model, "1.2.0", actor="test", reason="")
    registry.promote(trial.tenant, trial.model, "1.0.0", actor="test", reason="")

    run_schedule()

    assert begun(trial, "1.2.0") is None


@pytest.mark.parametrize("on_upload", ["candidate", "promote"])
def test_models_that_do_not_ask_get_none(make_trial: Callable[..., Trial], on_upload: str):
    trial = make_trial(on_upload=on_upload)

    run_schedule()

    assert begun(trial) is None


def test_the_next_candidate_waits_for_the_units(make_trial: Callable[..., Trial]):
    trial = make_trial(**ASKS)
    run_schedule()
    trial.put_live("1.2.0")

    assert run_schedule() == {"failed": 0}
    assert begun(trial, "1.2.0").state is State.DRAFT
    stop(trial)
    run_schedule()

    assert begun(trial, "1.2.0").state is State.RUNNING


def test_the_next_candidate_meets_the_champion_of_its_day(make_trial: Callable[..., Trial]):
    trial = make_trial(**ASKS)
    run_schedule()
    trial.put_live("1.2.0")
    run_schedule()
    name = f"upload-{trial.model}-1.1.0"
    running.promote(trial.tenant, name, arm=None, actor="test", reason="")

    run_schedule()

    assert begun(trial, "1.2.0").versions == {"control": "1.1.0", "treatment": "1.2.0"}
    assert begun(trial, "1.2.0").state is State.RUNNING


def test_versions_with_long_names_get_experiments_of_their_own(
    make_trial: Callable[..., Trial],
):
    trial = make_trial(**ASKS)
    long = "1.1.1-" + "a" * 50
    for version in (f"{long}.1", f"{long}.2"):
        trial.put_live(version)

    assert run_schedule() == {"failed": 0}
    page = running.list_all(trial.tenant, model=None, state=None, limit=10, cursor=None)
    assert len(page.items) == 3


def test_a_loser_is_taken_out_of_service(trial: Trial):
    trial.begin(retires_losers=True)
    trial.tell(WORSE)
    run_schedule()

    assert run_schedule() == {"failed": 0}
    assert stage_of(trial, "1.1.0") is Stage.RETIRED
    assert trial.champion() == "1.0.0"


def test_a_winner_and_the_champion_before_it_stay(trial: Trial):
    trial.begin(retires_losers=True)
    trial.tell(BETTER)
    run_schedule()

    run_schedule()

    assert stage_of(trial, "1.0.0") is Stage.CANDIDATE
    assert stage_of(trial, "1.1.0") is Stage.CHAMPION
    assert trial.get().retired_losers


def test_losers_stay_unless_their_owner_said_so(trial: Trial):
    trial.begin()
    trial.tell(WORSE)
    run_schedule()

    run_schedule()

    assert stage_of(trial, "1.1.0") is Stage.CANDIDATE


def test_losers_are_retired_once(trial: Trial):
    trial.begin(retires_losers=True)
    trial.tell(WORSE)
    run_schedule()
    run_schedule()
    before = trial.ending()

    run_schedule()

    assert trial.ending() == before


def test_a_loser_that_became_champion_otherwise_stays(trial: Trial):
    trial.begin(retires_losers=True)
    registry.promote(trial.tenant, trial.model, "1.1.0", actor="owner", reason="")
    run_schedule()

    assert run_schedule() == {"failed": 0}
    assert trial.get().conclusion == "champion-changed (rule r1)"
    assert trial.champion() == "1.1.0"


def test_a_loser_that_another_experiment_needs_stays(trial: Trial):
    trial.begin(retires_losers=True, traffic=0.5)
    trial.begin("other", traffic=0.5)
    trial.tell(WORSE)
    run_schedule()

    run_schedule()

    assert stage_of(trial, "1.1.0") is Stage.CANDIDATE
    assert trial.get("other").state is State.RUNNING


def test_from_an_upload_to_the_end_of_the_losers_endpoint(world: World):
    """With real deployments: only the function that may take endpoints down does it."""
    deployments.on_upload(world.put_settings(on_upload="experiment"), None)
    world.live("1.0.0", linear_archive(2.0))
    world.live("1.1.0", linear_archive(3.0))
    trial = Trial(world.tenant, world.model)
    run_schedule()
    assert begun(trial).state is State.RUNNING
    stop(trial)

    run_schedule()
    told = {"action": "advance_version", "model_name": world.model, "version": "1.1.0"}
    deployments.model_version_manager(told, None)
    world.settle("1.1.0")

    assert len(world.names_in_sagemaker()["endpoints"]) == 1
    assert trial.champion() == "1.0.0"
