"""The registry over HTTP: models, settings, versions and history, page by page."""

from datetime import UTC, datetime

import pytest
from chalice.test import Client, HTTPResponse

from app import app
from chalicelib.kit.clock import timestamp, utc_now
from tests.builders.http import post_json, put_json, send
from tests.builders.models import linear_archive
from tests.conftest import World


@pytest.fixture
def http(tmp_path, tenant: str):
    """Chalice's own client, away from the project's config with its unresolved values."""
    with Client(app, project_dir=str(tmp_path)) as client:
        yield client.http


def _codes(reply: HTTPResponse) -> tuple[int, str]:
    return reply.status_code, reply.json_body.get("type", "").removeprefix("/problems/")


def test_a_new_model_is_created_and_says_where_it_is(http):
    created = http.put("/api/models/eta", body=b"{}", headers={"Content-Type": "application/json"})
    again = http.put("/api/models/eta", body=b"{}", headers={"Content-Type": "application/json"})

    assert (created.status_code, created.headers["Location"]) == (201, "/api/models/eta")
    assert again.status_code == 200
    assert "Location" not in again.headers


def test_a_model_shows_its_settings_with_their_defaults(http):
    put_json("/api/models/eta", {"hosting": {"kind": "realtime", "instance_type": "ml.m5.large"}})

    model = http.get("/api/models/eta").json_body

    assert model["settings"]["hosting"]["instance_count"] == 1
    assert model["settings"]["on_upload"] == "candidate"
    assert (model["champion"], model["number"]) == (None, 0)


def test_what_is_not_there_is_not_found(http):
    put_json("/api/models/eta", {})

    assert _codes(http.get("/api/models/none")) == (404, "model-not-found")
    assert _codes(http.get("/api/models/none/versions")) == (404, "model-not-found")
    assert _codes(http.get("/api/models/none/history")) == (404, "model-not-found")
    assert _codes(http.get("/api/models/eta/versions/1.0.0")) == (404, "version-not-found")


@pytest.mark.parametrize(
    ("settings", "at"),
    [
        ({"on_upload": "experiment!"}, "body.on_upload"),
        (
            {"hosting": {"kind": "serverless", "memory_mb": 1000}},
            "body.hosting.serverless.memory_mb",
        ),
        ({"hosting": {"kind": "realtime"}}, "body.hosting.realtime.instance_type"),
        ({"hosting": {"kind": "none"}}, "body.hosting"),
        ({"image": "-rm -rf"}, "body.image"),
        ({"rollback_window_h": 0}, "body.rollback_window_h"),
        ({"environment": {"1BAD": "x"}}, "body.environment.1BAD.[key]"),
        ({"unknown": 1}, "body.unknown"),
    ],
)
def test_wrong_settings_are_refused_where_they_stand(tenant: str, settings: dict, at: str):
    reply = put_json("/api/models/eta", settings)

    assert reply.status == 422
    assert [flaw["at"] for flaw in reply.json["errors"]] == [at]


def test_models_are_listed_by_name_page_by_page(tenant: str):
    for name in ("b", "a", "c"):
        put_json(f"/api/models/{name}", {})

    first = send("GET", "/api/models", query={"limit": ["2"]}).json
    second = send("GET", "/api/models", query={"limit": ["2"], "cursor": [first["cursor"]]}).json

    assert [model["name"] for model in first["items"]] == ["a", "b"]
    assert [model["name"] for model in second["items"]] == ["c"]
    assert second["cursor"] is None


@pytest.mark.parametrize("query", [{"limit": ["0"]}, {"limit": ["201"]}, {"cursor": ["NOT"]}])
def test_a_wrong_page_is_refused(tenant: str, query: dict[str, list[str]]):
    assert send("GET", "/api/models", query=query).code == "invalid-request"


def test_versions_are_listed_highest_precedence_first(world: World):
    for version in ("1.9.0", "1.10.0", "1.10.0-rc.1"):
        world.upload(version, linear_archive(float(version.replace(".", "").split("-")[0])))
    path = f"/api/models/{world.model}/versions"

    first = send("GET", path, query={"limit": ["2"]}).json
    second = send("GET", path, query={"limit": ["2"], "cursor": [first["cursor"]]}).json

    names = [version["version"] for page in (first, second) for version in page["items"]]
    assert names == ["1.10.0", "1.10.0-rc.1", "1.9.0"]
    assert second["cursor"] is None


def test_a_version_shows_its_bytes_and_stage(world: World):
    world.live("1.0.0", linear_archive(2.0))

    version = send("GET", f"/api/models/{world.model}/versions/1.0.0").json

    assert version["stage"] == "champion"
    assert version["archive"]["files"] == ["model.onnx", "sample.json"]
    assert len(version["archive"]["sha256"]) == 64


@pytest.fixture
def promoted(world: World) -> World:
    """Champion 1.1.0 after 1.0.0."""
    world.live("1.0.0", linear_archive(2.0))
    world.live("1.1.0", linear_archive(3.0))
    path = f"/api/models/{world.model}/versions/1.1.0/promote"
    assert post_json(path, {"reason": "better"}).status == 200
    return world


def _history(world: World, **query: str) -> dict:
    asked = {name: [value] for name, value in query.items()}
    return send("GET", f"/api/models/{world.model}/history", query=asked).json


def test_the_history_comes_newest_first_page_by_page(promoted: World):
    whole = _history(promoted)
    pages, cursor = [], None
    while not pages or cursor:
        page = _history(promoted, limit="2", **({"cursor": cursor} if cursor else {}))
        pages += page["items"]
        cursor = page["cursor"]

    assert [move["number"] for move in whole["items"]] == list(range(len(whole["items"]), 0, -1))
    assert pages == whole["items"]
    assert whole["items"][0]["reason"] == "better"


def test_what_was_live_at_a_moment_can_be_asked(promoted: World):
    moves = _history(promoted)["items"]
    crowned = [move for move in moves if move["after"] == "champion"]
    assert [move["version"] for move in crowned] == ["1.1.0", "1.0.0"]

    assert _history(promoted, at=timestamp(utc_now()))["live"]["champion"] == "1.1.0"
    assert _history(promoted, at=crowned[1]["at"])["live"]["champion"] == "1.0.0"
    assert _history(promoted, at="2000-01-01T00:00:00Z")["live"]["champion"] is None


def test_the_champion_of_a_moment_says_since_when(promoted: World):
    live = _history(promoted, at=timestamp(datetime(2100, 1, 1, tzinfo=UTC)))["live"]

    crowned = next(move for move in _history(promoted)["items"] if move["after"] == "champion")
    assert live["since"] == crowned["at"]


@pytest.mark.parametrize("at", ["yesterday", "2026-01-01", "2026-01-01T00:00:00", "1e9"])
def test_a_moment_needs_a_zone(tenant: str, at: str):
    assert send("GET", "/api/models/eta/history", query={"at": [at]}).code == "invalid-request"
