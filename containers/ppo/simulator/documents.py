"""Situations as the state documents of questions and logs, and back.
Draws nothing and knows no price."""

from typing import Any

from simulator.incidents import ACTIONS, CAUSES, PARAMS, SEVERITIES, SYMPTOMS, TITLES, Situation
from simulator.play import result_of


def action_document(action: int, **params: int) -> dict[str, Any]:
    """The action with its usual parameters, or the given ones."""
    name = ACTIONS[action]
    every = {**PARAMS.get(name, {}), **params}
    return {"type": name, "params": every} if every else {"type": name}


def state_document(
    situation: Situation, taken: list[dict[str, Any]], *, with_symptoms: bool = False
) -> dict[str, Any]:
    """taken: documents of the actions with their results, first to last."""
    symptoms = {"symptoms": list(SYMPTOMS[situation.title])} if with_symptoms else {}
    return {
        "incident": TITLES[situation.title],
        "severity": SEVERITIES[situation.severity],
        **symptoms,
        "actions_taken": taken,
    }


def document_of(situation: Situation, *, with_symptoms: bool = False) -> dict[str, Any]:
    """One history that leads to the situation: actions in their usual order, the repeat last."""
    order = [action for action in range(len(ACTIONS)) if situation.taken >> action & 1]
    order += [situation.again - 1] if situation.again else []
    taken = [
        {**action_document(action), "result": result_of(situation, action)} for action in order
    ]
    return state_document(situation, taken, with_symptoms=with_symptoms)


def situation_of(document: dict[str, Any]) -> Situation:
    """What the simulator's own state documents look like; KeyError or ValueError for others."""
    diagnosis = taken = again = 0
    for entry in document["actions_taken"]:
        action = ACTIONS.index(entry["type"])
        if taken >> action & 1:
            again = 1 + action
        elif entry["type"] == "DIAGNOSE":
            diagnosis = 1 + CAUSES.index(entry["result"])
        taken |= 1 << action
    title, severity = TITLES.index(document["incident"]), SEVERITIES.index(document["severity"])
    return Situation(title, severity, diagnosis, taken, again)
