"""What the service says of itself: health, OpenAPI and the page."""

import json
import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from app import app
from chalicelib.kit import aws
from chalicelib.kit.http import OPERATION
from chalicelib.kit.settings import settings
from tests.builders.http import send

DEPENDENCIES = {
    "bucket",
    "control-table",
    "ledger-table",
    "outcomes-queue",
    "outcomes-table",
    "receipt-keys",
    "sagemaker",
    "shadow-queue",
    "unit-key",
}


@pytest.fixture
def document(app_environment: object) -> dict:
    return send("GET", "/openapi.json").json


def _documented(document: dict) -> dict[tuple[str, str], dict]:
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_document_is_valid_openapi(document: dict):
    OpenAPIV31SpecValidator(document).validate()


def test_the_document_names_every_route_and_its_role(document: dict):
    routes = {
        (method, path): getattr(entry.view_function, OPERATION).role.name.lower()
        for path, methods in app.routes.items()
        for method, entry in methods.items()
    }

    documented = _documented(document)

    assert {at: found["x-role"] for at, found in documented.items()} == routes


def test_every_operation_has_an_id_of_its_own_and_says_what_it_answers(document: dict):
    operations = list(_documented(document).values())

    assert len({found["operationId"] for found in operations}) == len(operations)
    assert all(found["summary"] for found in operations)
    assert all({"4XX", "5XX"} < found["responses"].keys() for found in operations)


def test_every_path_parameter_is_described(document: dict):
    for (_, path), operation in _documented(document).items():
        in_path = [p["name"] for p in operation["parameters"] if p["in"] == "path"]
        assert sorted(in_path) == sorted(re.findall(r"{(\w+)}", path))


def test_every_reference_leads_somewhere(document: dict):
    references = re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document))

    assert references
    assert set(references) <= document["components"]["schemas"].keys()


def test_long_work_is_documented_as_accepted(document: dict):
    deploy = document["paths"]["/api/models/{model}/versions/{version}/deploy"]["post"]

    assert "202" in deploy["responses"]


@pytest.mark.usefixtures("app_environment")
def test_the_page_needs_nothing_from_elsewhere():
    reply = send("GET", "/docs", headers={"Accept": "text/html"})

    page = reply.content.decode()
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert not re.search(r"https?://|<script|<link|<img|@import|url\(", page)
    assert all(f"{path}</code>" in page for path in app.routes)


def test_everything_there_is_healthy(tenant: str):
    reply = send("GET", "/health")

    assert (reply.status, reply.json["status"]) == (200, "healthy")
    dependencies = {found["name"]: found["status"] for found in reply.json["dependencies"]}
    assert dependencies == dict.fromkeys(DEPENDENCIES, "up")


def test_open_access_is_warned_of(tenant: str):
    assert "ACCESS_MODE=open" in send("GET", "/health").json["warnings"][0]


@pytest.mark.parametrize(
    ("variable", "value", "down"),
    [
        ("CONTROL_TABLE", "no-such-table", "control-table"),
        ("LEDGER_TABLE", "no-such-table", "ledger-table"),
        ("BUCKET", "no-such-bucket", "bucket"),
        ("OUTCOMES_TABLE", "no-such-table", "outcomes-table"),
        ("OUTCOMES_QUEUE_URL", "http://localhost:4566/123456789012/none", "outcomes-queue"),
        ("SHADOW_QUEUE_URL", "http://localhost:4566/123456789012/none", "shadow-queue"),
        ("RECEIPT_KEYS_SECRET", "no-such-secret", "receipt-keys"),
        ("UNIT_KEY_SECRET", "no-such-secret", "unit-key"),
        ("AWS_ENDPOINT_URL_SAGEMAKER", "http://127.0.0.1:9", "sagemaker"),
    ],
)
def test_one_dependency_that_is_down_makes_it_unhealthy(tenant, monkeypatch, variable, value, down):
    monkeypatch.setenv(variable, value)
    settings.cache_clear()
    aws.sagemaker.cache_clear()

    reply = send("GET", "/health")

    assert (reply.status, reply.json["status"]) == (503, "unhealthy")
    found = {one["name"] for one in reply.json["dependencies"] if one["status"] == "down"}
    assert found == {down}
    assert b"no-such" not in reply.content
