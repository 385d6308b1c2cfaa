"""What must hold before an experiment takes its first unit, and which units it takes."""

from collections.abc import Callable

import pytest

from chalicelib.experiments.events import subject_of_version
from chalicelib.experiments.model import (
    ArmNotLive,
    ExperimentNotRunning,
    NamespaceFull,
    State,
)
from chalicelib.experiments.running import service as running
from chalicelib.registry import service as registry
from tests.builders.outcomes import outcome
from tests.experiments.conftest import Trial


def test_a_start_takes_units_and_is_told(trial: Trial):
    found = trial.begin()

    assert found.state is State.RUNNING
    assert trial.get() == found
    assert trial.routed() == [found.id]
    assert trial.namespace().ranges == {found.id: (0.0, 1.0)}
    assert [one.action for one in trial.entries()] == ["experiment.started", "experiment.created"]


def test_the_metrics_of_the_settings_are_frozen(make_trial: Callable[..., Trial]):
    declared = {"name": "bought", "kind": "binary", "lag_h": 24.0}
    trial = make_trial(metrics=[declared])
    trial.begin(primary="bought")

    trial.put_model()

    assert next(one for one in trial.get().metrics if one.name == "bought").lag_h == 24.0


@pytest.mark.parametrize("stage", ["deploying", "failed", "registered", "retired"])
def test_every_arm_must_be_in_service(trial: Trial, stage: str):
    trial.put_live("1.1.0", stage=stage)
    trial.draft()

    with pytest.raises(ArmNotLive, match=r"'1\.1\.0' of arm 'treatment'"):
        running.start(trial.tenant, trial.get().id, actor="test")

    assert trial.get().state is State.DRAFT
    assert trial.routed() == []


def test_the_control_must_be_the_champion(trial: Trial):
    trial.put_live("1.2.0")

    with pytest.raises(ArmNotLive, match=r"'1\.2\.0' is not the champion"):
        trial.begin(control_version="1.2.0")


def test_a_control_that_nobody_named_is_the_champion_at_the_start(trial: Trial):
    trial.put_live("1.2.0")
    trial.draft()
    registry.promote(trial.tenant, trial.model, "1.2.0", actor="test", reason="")

    running.start(trial.tenant, trial.get().id, actor="test")

    assert trial.get().versions == {"control": "1.2.0", "treatment": "1.1.0"}


def test_a_named_control_that_is_champion_no_more_is_refused(trial: Trial):
    trial.put_live("1.2.0")
    trial.draft(control_version="1.0.0")
    registry.promote(trial.tenant, trial.model, "1.2.0", actor="test", reason="")

    with pytest.raises(ArmNotLive, match="is not the champion"):
        running.start(trial.tenant, trial.get().id, actor="test")


def test_a_second_experiment_gets_the_rest_of_the_units(trial: Trial):
    first = trial.begin("first", traffic=0.3)

    second = trial.begin("second", traffic=0.7)

    assert trial.routed() == [first.id, second.id]
    assert trial.namespace().ranges == {first.id: (0.0, 0.3), second.id: (0.3, 1.0)}


def test_more_units_than_are_left_are_refused(trial: Trial):
    first = trial.begin("first", traffic=0.6)

    with pytest.raises(NamespaceFull, match=first.id):
        trial.begin("second", traffic=0.5)

    assert trial.get("second").state is State.DRAFT
    assert trial.namespace().ranges == {first.id: (0.0, 0.6)}


def test_what_an_experiment_had_is_free_when_it_is_over(trial: Trial):
    first = trial.begin("first")
    running.stop(trial.tenant, first.id, actor="test", reason="")

    second = trial.begin("second")

    assert trial.namespace().ranges == {second.id: (0.0, 1.0)}


def test_a_namespace_has_one_holdout(trial: Trial):
    trial.begin("first", traffic=0.3, holdout=0.1)

    with pytest.raises(NamespaceFull, match=r"holds out 0\.1 of its units, not 0\.2"):
        trial.begin("second", traffic=0.3, holdout=0.2)


def test_an_empty_namespace_takes_the_next_holdout(trial: Trial):
    first = trial.begin("first", holdout=0.1)
    running.stop(trial.tenant, first.id, actor="test", reason="")

    trial.begin("second", holdout=0.2)

    assert trial.namespace().holdout == 0.2


def test_a_prediction_is_in_one_namespace_alone(trial: Trial):
    first = trial.begin("first", traffic=0.1)

    with pytest.raises(NamespaceFull, match=first.id):
        trial.begin("second", traffic=0.1, namespace="checkout")


def test_models_can_share_the_units_of_a_namespace(make_trial: Callable[..., Trial]):
    one, other = make_trial(1), make_trial(2)
    first = one.begin(namespace="checkout", traffic=0.5)

    second = other.begin(namespace="checkout", traffic=0.5)

    assert one.namespace("checkout").ranges == {first.id: (0.0, 0.5), second.id: (0.5, 1.0)}


def test_units_are_planned_from_what_the_control_brought_before(trial: Trial):
    at = {"subject": subject_of_version(trial.model, "1.0.0"), "arm": "1.0.0"}
    trial.count(
        [
            outcome(f"u{number}", values={"quality_score": 3.0 + number % 2}, **at)
            for number in range(40)
        ]
    )

    found = trial.begin(planned_units=None, minimal_effect=0.1)

    assert found.planned_units is not None
    assert found.planned_units > 40


def test_without_a_past_nothing_is_planned_yet(trial: Trial):
    assert trial.begin(planned_units=None).planned_units is None


def test_what_is_over_does_not_start_again(trial: Trial):
    found = trial.begin()
    running.stop(trial.tenant, found.id, actor="test", reason="")
    trial.put_live("1.1.0", stage="retired")

    with pytest.raises(ExperimentNotRunning, match="'stopped'"):
        running.start(trial.tenant, found.id, actor="test")
