"""How experiments are created, found and listed; none of these takes a unit."""

from collections.abc import Callable

import pytest
from pydantic import TypeAdapter, ValidationError

from chalicelib.experiments.model import (
    ArmNotLive,
    ExperimentExists,
    ExperimentId,
    ExperimentNotFound,
    State,
)
from chalicelib.experiments.running import service as running
from chalicelib.registry import service as registry
from chalicelib.registry.model import ModelNotFound, VersionNotFound
from tests.experiments.conftest import Trial


def test_a_new_experiment_is_a_draft_that_takes_no_units(trial: Trial):
    found = trial.draft()

    assert (found.state, found.versions) == (
        State.DRAFT,
        {"control": "1.0.0", "treatment": "1.1.0"},
    )
    assert trial.routed() == []


def test_the_same_experiment_asked_for_again_is_the_one_that_is_there(trial: Trial):
    begun = trial.begin()

    assert trial.draft() == begun
    assert len(trial.entries()) == 2


@pytest.mark.parametrize("fields", [{"alpha": 0.01}, {"traffic": 0.5}], ids=["alpha", "traffic"])
def test_another_experiment_under_the_same_name_is_refused(trial: Trial, fields: dict[str, float]):
    trial.draft()

    with pytest.raises(ExperimentExists):
        trial.draft(**fields)


def test_an_id_as_the_guides_print_them_is_taken(trial: Trial):
    name = "ab_20260207_150000"
    definition = trial.define()
    made = running.create(trial.tenant, definition, experiment=name, actor="owner")

    again = running.create(trial.tenant, definition, experiment=name, actor="owner")

    assert (made.id, again) == (name, made)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("recommendation_v1_vs_v2", "recommendation_v1_vs_v2"),
        ("New model, 2nd try!", "New-model-2nd-try"),
        ("-.x.-", "x"),
    ],
)
def test_an_id_is_made_of_the_name(name: str, expected: str):
    assert running.id_of(name) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [("餐厅推荐", "情感分析"), ("a" * 100 + "1", "a" * 100 + "2")],
    ids=["no letter of an id", "too long"],
)
def test_names_that_make_no_id_have_ids_of_their_own(one: str, other: str):
    assert running.id_of(one) == running.id_of(one)
    assert running.id_of(one) != running.id_of(other)
    assert len(running.id_of(one)) <= 64


def test_an_experiment_needs_a_model_and_versions_that_are_there(trial: Trial):
    with pytest.raises(ModelNotFound):
        trial.draft(model="nobody")
    with pytest.raises(VersionNotFound):
        trial.draft(challengers=[{"version": "9.9.9"}])


def test_without_a_champion_nothing_can_be_compared(trial: Trial):
    registry.put_settings(
        trial.tenant, "fresh", registry.get_model(trial.tenant, trial.model).settings, actor="x"
    )

    with pytest.raises(ArmNotLive, match="no champion"):
        trial.draft(model="fresh")


def test_an_unknown_experiment_is_not_found(trial: Trial):
    with pytest.raises(ExperimentNotFound):
        running.get(trial.tenant, "nobody")


def test_experiments_are_listed_by_id_page_by_page(trial: Trial):
    for name in ("b", "a", "c"):
        trial.draft(name)

    first = running.list_all(trial.tenant, model=None, state=None, limit=2, cursor=None)
    rest = running.list_all(trial.tenant, model=None, state=None, limit=2, cursor=first.cursor)

    ids = [one.id.removeprefix(f"{trial.model}-") for one in [*first.items, *rest.items]]
    assert (ids, rest.cursor) == (["a", "b", "c"], None)


def test_experiments_are_listed_of_a_model_and_a_state(make_trial: Callable[..., Trial]):
    one, other = make_trial(1), make_trial(2)
    one.draft("waits")
    runs = one.begin("runs")
    other.begin("runs")

    found = running.list_all(
        one.tenant, model=one.model, state=State.RUNNING, limit=10, cursor=None
    )

    assert [found.items, found.cursor] == [[runs], None]


def test_no_experiment_has_the_address_of_plans():
    assert running.id_of("plan") != "plan"
    with pytest.raises(ValidationError):
        TypeAdapter(ExperimentId).validate_python("plan")
