"""Experiments over HTTP: their life, analysis and replay, and a problem for each refusal."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.builders.http import JSON, Reply, post_json, put_json, send
from tests.experiments.conftest import Trial

PATH = "/api/experiments"


def body(trial: Trial, **fields: Any) -> dict[str, Any]:
    """Of the experiment that a trial looks for by default."""
    definition = trial.define().model_dump(mode="json", exclude_unset=True)
    return {**definition, **fields}


def create(trial: Trial, **fields: Any) -> Reply:
    return post_json(PATH, body(trial, **fields))


def path(trial: Trial, what: str = "") -> str:
    return f"{PATH}/{trial.model}-trial{what}"


def post(trial: Trial, action: str, **given: Any) -> Reply:
    return post_json(path(trial, f"/{action}"), given)


def start(trial: Trial) -> Reply:
    return send("POST", path(trial, "/start"))


def flaws(reply: Reply) -> list[str]:
    assert (reply.status, reply.code) == (422, "invalid-request")
    return [flaw["at"] for flaw in reply.json["errors"]]


def test_a_new_experiment_is_a_draft_and_says_where_it_is(trial: Trial):
    reply = create(trial)

    assert (reply.status, reply.json["state"]) == (201, "draft")
    assert reply.headers["Location"] == path(trial)
    assert send("GET", reply.headers["Location"]).json == reply.json


def test_an_experiment_can_start_at_once_under_its_own_id(trial: Trial):
    reply = create(trial, id="ab_20260207_150000", start=True)

    assert (reply.status, reply.json["state"]) == (201, "running")
    assert reply.headers["Location"] == f"{PATH}/ab_20260207_150000"
    assert trial.routed() == ["ab_20260207_150000"]


def test_what_cannot_start_at_once_is_not_created(trial: Trial):
    trial.put_live("1.1.0", stage="failed")

    reply = create(trial, start=True)

    assert (reply.status, reply.code) == (409, "arm-not-live")
    assert send("GET", path(trial)).status == 404


@pytest.mark.parametrize("fields", [{}, {"start": True}], ids=["draft", "started"])
def test_the_same_experiment_again_is_the_same(trial: Trial, fields: dict[str, Any]):
    first = create(trial, **fields)

    again = create(trial, **fields)

    assert (again.status, again.json) == (201, first.json)


def test_an_experiment_is_led_from_start_to_stop(trial: Trial):
    create(trial)

    states = [
        start(trial).json["state"],
        post(trial, "pause", reason="a holiday").json["state"],
        start(trial).json["state"],
        post(trial, "stop", reason="seen enough").json["state"],
    ]

    assert states == ["running", "paused", "running", "stopped"]
    assert send("GET", path(trial)).json["conclusion"] == "seen enough"


def test_a_challenger_is_promoted_by_hand(trial: Trial):
    create(trial, start=True)

    reply = post(trial, "promote", arm="treatment", reason="the board wants it")

    assert (reply.status, reply.json["winner"]) == (200, "treatment")
    assert trial.champion() == "1.1.0"


def test_other_shares_are_put(trial: Trial):
    create(trial, start=True)

    reply = put_json(path(trial, "/shares"), {"shares": {"control": 0.75, "treatment": 0.25}})

    assert reply.status == 200
    assert trial.get().phases[-1].shares() == pytest.approx({"control": 0.75, "treatment": 0.25})


def test_an_analysis_tells_numbers_and_verdict(trial: Trial):
    trial.begin()
    trial.tell({"control": 3.0, "treatment": 4.0})

    reply = send("GET", path(trial, "/analysis"))

    assert reply.status == 200
    assert reply.json["recommendation"] == "promote_to_production"
    assert reply.json["verdict"]["action"] == "promote"
    primary = reply.json["analysis"]["comparisons"][0]
    assert (primary["control_mean"], primary["mean"]) == (3.0, 4.0)
    assert trial.get().state == "running"


def test_an_analysis_without_units_is_json_without_numbers(trial: Trial):
    trial.begin()

    reply = send("GET", path(trial, "/analysis"))

    assert reply.status == 200
    assert reply.json["analysis"]["comparisons"][0]["inconclusive"]
    assert reply.json["recommendation"] == "continue_testing"


def test_decisions_are_made_again(trial: Trial):
    trial.begin()
    trial.tell({"control": 3.0, "treatment": 4.0})
    trial.advance()

    reply = send("GET", path(trial, "/replay"))

    assert [(one["action"], one["is_same"]) for one in reply.json["items"]] == [("promote", True)]


def test_experiments_are_listed_by_pages_model_and_state(
    trial: Trial, make_trial: Callable[..., Trial]
):
    create(trial, start=True)
    create(make_trial(1))

    def listed(**query: str) -> list[str]:
        asked = {name: [value] for name, value in query.items()}
        return [one["definition"]["model"] for one in send("GET", PATH, query=asked).json["items"]]

    first = send("GET", PATH, query={"limit": ["1"]}).json

    assert listed(limit="1") == [trial.model]
    assert listed(limit="1", cursor=first["cursor"]) == [f"{trial.model[:-1]}1"]
    assert listed(model=trial.model) == listed(state="running") == [trial.model]
    assert listed(state="promoted") == []


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ({"limit": ["0"]}, "query.limit"),
        ({"state": ["lost"]}, "query.state"),
        ({"model": ["../etc"]}, "query.model"),
        ({"colour": ["red"]}, "query.colour"),
    ],
    ids=str,
)
def test_a_list_that_cannot_be_is_refused(tenant: str, query: dict[str, list[str]], at: str):
    assert flaws(send("GET", PATH, query=query)) == [at]


@pytest.mark.parametrize("what", ["", "/analysis", "/replay"])
def test_an_unknown_experiment_is_not_seen(trial: Trial, what: str):
    reply = send("GET", path(trial, what))

    assert (reply.status, reply.code) == (404, "experiment-not-found")


@pytest.mark.parametrize("action", ["pause", "promote", "start", "stop"])
def test_an_unknown_experiment_is_not_led(trial: Trial, action: str):
    reply = start(trial) if action == "start" else post(trial, action)

    assert (reply.status, reply.code) == (404, "experiment-not-found")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "nobody"}, 404, "model-not-found"),
        ({"challengers": [{"version": "9.9.9"}]}, 404, "version-not-found"),
        ({"control_version": "1.1.0", "start": True}, 409, "arm-not-live"),
        ({"id": "taken"}, 409, "experiment-exists"),
        ({"traffic": 0.6, "start": True}, 409, "namespace-full"),
    ],
    ids=str,
)
def test_what_cannot_be_created_has_its_code(
    trial: Trial, fields: dict[str, Any], status: int, code: str
):
    assert create(trial, id="taken", name="another", traffic=0.5, start=True).status == 201

    reply = create(trial, **fields)

    assert (reply.status, reply.code) == (status, code)


def test_what_is_over_has_its_code(trial: Trial):
    create(trial, start=True)
    post(trial, "stop")

    replies = [
        start(trial),
        post(trial, "pause"),
        post(trial, "promote"),
        put_json(path(trial, "/shares"), {"shares": {"control": 0.5, "treatment": 0.5}}),
    ]

    assert {(reply.status, reply.code) for reply in replies} == {(409, "experiment-not-running")}


def test_shares_that_do_not_add_up_have_their_code(trial: Trial):
    create(trial, start=True)

    reply = put_json(path(trial, "/shares"), {"shares": {"control": 0.5, "treatment": 0.2}})

    assert (reply.status, reply.code) == (422, "shares-refused")


@pytest.mark.parametrize(
    ("shares", "at"),
    [
        ({"control": -0.5, "treatment": 1}, "body.shares.control"),
        ({"control": 1e308, "treatment": 1}, "body.shares.control"),
        ({"control": "half"}, "body.shares.control"),
        ([0.5, 0.5], "body.shares"),
    ],
    ids=str,
)
def test_shares_of_another_shape_are_refused(trial: Trial, shares: Any, at: str):
    assert flaws(put_json(path(trial, "/shares"), {"shares": shares})) == [at]


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"alpha": -0.05}, "body.alpha"),
        ({"alpha": 1e308}, "body.alpha"),
        ({"alpha": "small"}, "body.alpha"),
        ({"challengers": []}, "body.challengers"),
        ({"challengers": [{"version": "1.1"}]}, "body.challengers.0.version"),
        ({"challengers": [{"version": "1.1.0", "share": 1e308}]}, "body.challengers.0.share"),
        ({"challengers": [{"version": "1.1.0", "share": 0}]}, "body.challengers.0.share"),
        ({"challengers": [{"version": "1.1.0", "name": "Über"}]}, "body.challengers.0.name"),
        ({"challengers": [{"version": "1.1.0", "name": "control"}]}, "body"),
        ({"challengers": [{"version": "1.1.0", "share": 1.0}]}, "body"),
        ({"duration_days": 1e308}, "body.duration_days"),
        ({"guardrails": [{"metric": "error_rate", "margin": -1}]}, "body.guardrails.0.margin"),
        ({"id": "../x"}, "body.id"),
        ({"least_units_per_arm": 1}, "body.least_units_per_arm"),
        ({"looks": 1e308}, "body.looks"),
        ({"metrics": [{"name": "m", "kind": "median"}]}, "body.metrics.0.kind"),
        ({"metrics": [{"name": "m", "maximum": 1e308}]}, "body.metrics.0.maximum"),
        ({"minimal_effect": 0}, "body.minimal_effect"),
        ({"mode": "guess"}, "body.mode"),
        ({"mode": "shadow", "allocation": "bandit"}, "body"),
        ({"name": ""}, "body.name"),
        ({"planned_units": -1}, "body.planned_units"),
        ({"ramp": [0.5, 0.1]}, "body"),
        ({"ramp": [0.1, -0.5]}, "body.ramp.1"),
        ({"segments": ["a b"]}, "body.segments.0"),
        ({"start": "yes!"}, "body.start"),
        ({"traffic": 0}, "body.traffic"),
        ({"winner": "treatment"}, "body.winner"),
    ],
    ids=str,
)
def test_a_definition_that_cannot_be_is_refused_where_it_is_wrong(
    trial: Trial, fields: dict[str, Any], at: str
):
    assert flaws(create(trial, **fields)) == [at]


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e309"])
def test_numbers_that_json_does_not_know_are_refused(trial: Trial, text: str):
    document = json.dumps(body(trial, alpha="?")).replace('"?"', text)

    reply = send("POST", PATH, document.encode(), headers=JSON)

    assert (reply.status, reply.code) == (400, "malformed-body")


@pytest.mark.parametrize("given", [{"reason": "x" * 501}, {"because": "x"}, {"reason": 1}])
def test_a_justification_of_another_shape_is_refused(trial: Trial, given: dict[str, Any]):
    create(trial, start=True)

    assert flaws(post(trial, "stop", **given)) == [f"body.{next(iter(given))}"]
    assert trial.get().state == "running"
