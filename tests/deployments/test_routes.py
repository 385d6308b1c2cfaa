"""Deployments over HTTP: deploy, promote, roll back and retire, with their codes."""

import pytest

from tests.builders.http import Reply, post_json, send
from tests.builders.models import linear_archive
from tests.conftest import World


def _post(world: World, version: str, action: str, **body: str) -> Reply:
    return post_json(f"/api/models/{world.model}/versions/{version}/{action}", body)


def _roll_back(world: World, **body: str) -> Reply:
    return post_json(f"/api/models/{world.model}/rollback", body)


@pytest.fixture
def two(world: World) -> World:
    """Champion 1.0.0 and candidate 1.1.0."""
    world.live("1.0.0", linear_archive(2.0))
    world.live("1.1.0", linear_archive(3.0))
    return world


def test_a_deployment_shows_how_it_stands(two: World):
    deployment = send("GET", f"/api/models/{two.model}/versions/1.0.0/deployment").json

    assert (deployment["state"], deployment["attempt"]) == ("live", 1)


def test_deploying_is_accepted_and_says_where_to_look(two: World):
    reply = _post(two, "1.0.0", "deploy")

    assert reply.status == 202
    assert send("GET", reply.headers["Location"]).json["version"] == "1.0.0"


def test_a_candidate_is_promoted_and_rolled_back(two: World):
    promoted = _post(two, "1.1.0", "promote", reason="better")
    back = _roll_back(two, reason="worse after all")

    assert (promoted.status, promoted.json["stage"]) == (200, "champion")
    assert (back.status, back.json["version"], back.json["stage"]) == (200, "1.0.0", "champion")


def test_a_rollback_can_name_its_target(two: World):
    _post(two, "1.1.0", "promote")

    assert _roll_back(two, to="1.0.0").json["version"] == "1.0.0"


def test_promoting_the_champion_again_changes_nothing(two: World):
    before = send("GET", f"/api/models/{two.model}").json["number"]

    assert _post(two, "1.0.0", "promote").status == 200
    assert send("GET", f"/api/models/{two.model}").json["number"] == before


def test_without_a_former_champion_there_is_nothing_to_roll_back_to(two: World):
    reply = _roll_back(two)

    assert (reply.status, reply.code) == (409, "nothing-to-roll-back-to")


def test_a_version_that_never_was_champion_is_no_target(two: World):
    assert _roll_back(two, to="1.1.0").code == "nothing-to-roll-back-to"


def test_the_champion_is_not_retired(two: World):
    reply = _post(two, "1.0.0", "retire")

    assert (reply.status, reply.code) == (409, "version-is-champion")


def test_retiring_is_accepted_and_takes_the_endpoint_down(two: World):
    reply = _post(two, "1.1.0", "retire", reason="no longer needed")

    assert (reply.status, reply.json["stage"]) == (202, "retired")
    two.settle("1.1.0")
    assert len(two.names_in_sagemaker()["endpoints"]) == 1


def test_a_retired_version_is_not_promoted(two: World):
    _post(two, "1.1.0", "retire")

    reply = _post(two, "1.1.0", "promote")

    assert (reply.status, reply.code) == (409, "version-not-live")


@pytest.mark.parametrize("action", ["deploy", "promote", "retire"])
def test_an_unknown_version_is_not_found(two: World, action: str):
    reply = _post(two, "9.9.9", action)

    assert (reply.status, reply.code) == (404, "version-not-found")


def test_an_unknown_model_is_not_found(world: World):
    assert _post(world, "1.0.0", "deploy").code == "model-not-found"
    assert _roll_back(world).code == "model-not-found"


@pytest.mark.parametrize("body", [{"reason": "x" * 501}, {"because": "x"}, {"reason": 1}])
def test_a_justification_of_another_shape_is_refused(world: World, body: dict):
    reply = post_json(f"/api/models/{world.model}/versions/1.0.0/promote", body)

    assert (reply.status, reply.code) == (422, "invalid-request")
