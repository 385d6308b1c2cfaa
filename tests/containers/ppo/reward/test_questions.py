"""Questions: what is taken, and where a fault is said to be."""

import json

import pytest
from builders import GUIDE
from reward.problems import InvalidQuestion
from reward.questions import Action, TakenAction, read_question, read_questions


def change(path, value):
    """The guide's question with one member replaced; `...` removes it."""
    document = json.loads(json.dumps(GUIDE))
    *way, last = path.split(".")
    place = document
    for name in way:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


def test_the_guides_question_is_read():
    question = read_question(GUIDE)

    assert question.actions == (Action("SCALE_K8S", {"replicas": 3}),)
    assert question.state.incident == "Database latency spike"


def test_taken_actions_come_as_types_or_with_their_results():
    taken = ["DIAGNOSE", {"type": "CLEAR_CACHE", "result": "failed"}]

    state = read_question(change("state.actions_taken", taken)).state

    assert state.actions_taken == (
        TakenAction("DIAGNOSE"),
        TakenAction("CLEAR_CACHE", {}, "failed"),
    )


def test_members_that_only_this_log_has_become_details():
    state = read_question(change("state.region", ["eu", "us"])).state

    assert state.details == {"region": ["eu", "us"]}


@pytest.mark.parametrize(
    ("path", "value", "at"),
    [
        ("state", [], "state"),
        ("state", ..., "body"),
        ("state.incident", ..., "state"),
        ("state.incident", "", "state.incident"),
        ("state.incident", "x" * 1001, "state.incident"),
        ("state.severity", 2, "state.severity"),
        ("state.symptoms", "db", "state.symptoms"),
        ("state.symptoms", ["x"] * 33, "state.symptoms"),
        ("state.symptoms", [None], "state.symptoms[0]"),
        ("state.actions_taken", ["x"] * 65, "state.actions_taken"),
        ("state.actions_taken", [{"typ": "x"}], "state.actions_taken[0]"),
        ("state.region", None, "state.[...]"),
        ("state.region", {"a": 1}, "state.[...]"),
        ("proposedAction", "SCALE_K8S", "proposedAction"),
        ("proposedAction.type", 5, "proposedAction.type"),
        ("proposedAction.params", [3], "proposedAction.params"),
        ("proposedAction.params.replicas", float("nan"), "proposedAction.params[...]"),
        ("proposedAction.params.replicas", float("inf"), "proposedAction.params[...]"),
        ("proposedAction.params.replicas", 1e13, "proposedAction.params[...]"),
        ("proposedAction.params.replicas", 10**400, "proposedAction.params[...]"),
        ("proposedAction.params.replicas", None, "proposedAction.params[...]"),
        ("proposedActions", [], "proposedActions"),
        ("proposedActions", [{"type": "X"}], "proposedActions"),
        ("extra", 1, "body"),
    ],
)
def test_a_fault_is_named_by_its_place(path, value, at):
    with pytest.raises(InvalidQuestion) as caught:
        read_question(change(path, value))

    assert caught.value.flaws[0].at == at


@pytest.mark.parametrize(
    ("document", "at"),
    [
        ({"instances": []}, "instances"),
        ({"instances": {}}, "instances"),
        ({"instances": [GUIDE], "more": 1}, "more"),
        ({"instances": [GUIDE, {"state": 1}]}, "instances[1].state"),
        ({"instances": [GUIDE] * 10_001}, "instances"),
    ],
)
def test_a_fault_of_a_batch_is_named_by_its_place(document, at):
    with pytest.raises(InvalidQuestion) as caught:
        read_questions(document)

    assert caught.value.flaws[0].at == at
