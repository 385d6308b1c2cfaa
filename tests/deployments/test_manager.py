"""The Lambda function `model-version-manager`, with the payloads that teams send already."""

from typing import Any

import pytest

from chalicelib.deployments import triggers
from chalicelib.deployments.model import State
from tests.builders.archives import make_archive
from tests.builders.states import end_state, ledger_actions, settle

ARCHIVE = make_archive({"weights": b"v1"})


@pytest.fixture
def two_live(world):
    triggers.on_upload(world.put_settings(image="sommelier-echo:1"), None)
    for version in ("1.0.0", "1.1.0"):
        world.upload(version, ARCHIVE)
    settle([world])
    return world


def ask(world: Any, action: str, **fields: Any) -> dict[str, Any]:
    return triggers.model_version_manager(
        {"action": action, "model_name": world.model, **fields}, None
    )


def refusal(answer: dict[str, Any]) -> str:
    assert answer["status"] == "error"
    return answer["error"]["code"]


def test_a_live_version_is_deployed_without_another_endpoint(two_live):
    answer = ask(two_live, "deploy_model", version="1.1.0")

    assert answer["status"] == "ok"
    assert answer["result"]["state"] == "live"
    assert two_live.deployment("1.1.0").attempt == 1


def test_a_failed_version_is_deployed_again(two_live, control):
    control.add_faults({"kind": "fail_creation", "operation": "CreateEndpoint", "times": 1})
    two_live.upload("1.2.0", ARCHIVE)
    settle([two_live])

    answer = ask(two_live, "deploy_model", version="1.2.0")
    settle([two_live])

    assert answer["status"] == "ok"
    assert two_live.deployment("1.2.0").state is State.LIVE


@pytest.mark.parametrize("stage", ["Production", "production", "champion"])
def test_a_version_is_promoted_under_any_name_of_the_stage(two_live, stage: str):
    version = max(set(end_state(two_live).versions) - {end_state(two_live).champion})

    answer = ask(two_live, "promote_model", version=version, stage=stage)

    assert answer["result"]["stage"] == "champion"
    assert end_state(two_live).champion == version
    assert "model.promoted" in ledger_actions(two_live)


def test_a_promotion_to_archived_retires(two_live):
    version = max(set(end_state(two_live).versions) - {end_state(two_live).champion})

    answer = ask(two_live, "promote_model", version=version, stage="Archived")

    assert answer["result"]["stage"] == "retired"


def test_a_rollback_goes_back(two_live):
    before = end_state(two_live).champion
    version = max(set(end_state(two_live).versions) - {before})
    ask(two_live, "promote_model", version=version, stage="Production")

    answer = ask(two_live, "rollback")

    assert answer["result"]["version"] == before


def test_a_model_is_described_with_its_champion(two_live):
    answer = ask(two_live, "describe_model")

    assert answer["result"]["champion"]["version"] == end_state(two_live).champion


def test_versions_are_listed_highest_first(two_live):
    answer = ask(two_live, "list_versions")

    assert [one["version"] for one in answer["result"]["items"]] == ["1.1.0", "1.0.0"]


def test_a_version_is_retired(two_live):
    version = max(set(end_state(two_live).versions) - {end_state(two_live).champion})

    answer = ask(two_live, "retire_version", version=version)
    settle([two_live])

    assert answer["result"]["stage"] == "retired"
    assert end_state(two_live).stands_in_sagemaker == 1


def test_a_late_handover_wakes_nothing_up(two_live):
    version = max(set(end_state(two_live).versions) - {end_state(two_live).champion})
    ask(two_live, "retire_version", version=version)
    settle([two_live])

    answer = ask(two_live, "advance_version", version=version)

    assert answer["result"]["state"] == "retired"


def test_a_refused_action_answers_its_code(two_live):
    champion = end_state(two_live).champion

    assert refusal(ask(two_live, "retire_version", version=champion)) == "version-is-champion"
    assert refusal(ask(two_live, "rollback")) == "nothing-to-roll-back-to"
    assert refusal(ask(two_live, "deploy_model", version="9.9.9")) == "version-not-found"
    assert refusal(ask(two_live, "advance_version", version="9.9.9")) == "deployment-not-found"
    answer = ask(two_live, "promote_model", version=champion, stage="failed")
    assert refusal(answer) == "not-a-goal"
    answer = ask(two_live, "promote_model", version=champion, stage="Somewhere")
    assert refusal(answer) == "unknown-stage"


def test_an_unknown_model_is_refused(world):
    assert refusal(ask(world, "describe_model")) == "model-not-found"


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"action": "destroy_model", "model_name": "recommendation"},
        {"action": "deploy_model", "model_name": "recommendation"},
        {"action": "deploy_model", "model_name": "../etc", "version": "1.0.0"},
        {"action": "deploy_model", "model_name": "recommendation", "version": "1.0"},
        {"action": "deploy_model", "model_name": "recommendation", "version": 1},
        {"action": "describe_model", "model_name": "recommendation", "force": True},
        {"action": "list_versions", "model_name": "recommendation", "limit": 0},
        {"action": ["deploy_model"], "model_name": "recommendation"},
    ],
)
def test_a_payload_that_is_no_action_is_refused_with_its_flaws(tenant, payload: dict[str, Any]):
    answer = triggers.model_version_manager(payload, None)

    assert refusal(answer) == "invalid-action"
    assert answer["error"]["errors"]


@pytest.mark.parametrize("payload", [None, [], "deploy_model", 1])
def test_what_is_no_object_is_refused(tenant, payload: Any):
    assert refusal(triggers.model_version_manager(payload, None)) == "invalid-action"
