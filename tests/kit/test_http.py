"""The way from an API Gateway event to a view and back, on an app of its own.
Called as Lambda calls it: a test client would decode, default and hide too much."""

import base64
import json
from typing import Annotated, Any

import pytest
from chalice.app import Blueprint, Chalice
from pydantic import BaseModel, ConfigDict, Field

from chalicelib.kit import http
from chalicelib.kit.errors import Busy, NotFound
from chalicelib.kit.http import Answer, Call, Raw, Role, endpoint
from tests.builders.http import JSON, REQUEST_ID, Context, Reply, rest_event

pytestmark = pytest.mark.usefixtures("app_environment")

api = Chalice(app_name="under-test")
api.api.binary_types = ["*/*"]
api.register_middleware(http.accept_anything, event_type="http")
bp = Blueprint(__name__)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    memory_mb: int = 1


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = ""
    inner: Inner = Inner()


class Query(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: Annotated[int, Field(ge=1)] = 5


class Seen(BaseModel):
    name: str
    value: str


class Headers(BaseModel):
    model_config = ConfigDict(extra="ignore")
    unit: Annotated[str | None, Field(alias="sommelier-unit", max_length=5)] = None


@endpoint(bp, "GET /things/{name}", role=Role.VIEWER, summary="Read")
def read(call: Call, name: str, query: Query, headers: Headers) -> Seen:
    return Seen(name=headers.unit or name, value=f"{query.limit} {call.accept} {call.request_id}")


@endpoint(bp, "PUT /things/{name}", role=Role.OPERATOR, summary="Write", status=202)
def write(name: Annotated[str, Field(max_length=9)], body: Body) -> Answer[Seen]:
    return Answer(Seen(name=name, value=body.text), headers={"Location": "/things/1"})


@endpoint(bp, "POST /things/{name}", role=Role.VIEWER, summary="Echo", any_content=True)
def echo(call: Call, name: str) -> Raw:
    return Raw(call.raw, call.content_type, headers={"Name": name})


@endpoint(bp, "DELETE /things/{name}", role=Role.VIEWER, summary="Fail")
def fail(name: str) -> Seen:
    failures: dict[str, Exception] = {
        "busy": Busy("not now", retry_after_s=7),
        "missing": NotFound("there is no thing"),
    }
    raise failures.get(name, RuntimeError("canary"))


api.register_blueprint(bp)


def ask(
    method: str,
    name: str = "a",
    content: bytes = b"",
    *,
    headers: dict[str, str] | None = None,
    query: dict[str, list[str]] | None = None,
    **changes: Any,
) -> Reply:
    event = rest_event(method, "/docs", content, headers=headers, query=query)
    event["pathParameters"] = {"name": name}
    event["path"] = f"/things/{name}"
    event["requestContext"] |= {"resourcePath": "/things/{name}", "path": f"/v1/things/{name}"}
    answer = api({**event, **changes}, Context())
    assert answer["isBase64Encoded"] is True
    return Reply(answer["statusCode"], answer["headers"], base64.b64decode(answer["body"]))


def ask_json(document: object, name: str = "a") -> Reply:
    return ask("PUT", name, json.dumps(document).encode(), headers=JSON)


@pytest.mark.parametrize(
    ("sent", "seen"), [("a%2Fb", "a/b"), ("%C3%A9", "é"), ("a+b", "a+b"), ("%2525", "%25")]
)
def test_path_parameters_are_decoded_once(sent: str, seen: str):
    assert ask("GET", sent).json["name"] == seen


def test_a_path_that_is_not_utf8_is_malformed():
    assert (ask("GET", "%FF").status, ask("GET", "%FF").code) == (400, "malformed-body")


def test_without_headers_query_or_accept_the_view_still_answers():
    reply = ask("GET")

    assert reply.json == {"name": "a", "value": f"5 */* {REQUEST_ID}"}


def test_an_accept_header_reaches_the_view_and_stops_nothing():
    reply = ask("GET", headers={"Accept": "text/csv"})

    assert reply.json["value"] == f"5 text/csv {REQUEST_ID}"


def test_a_query_parameter_becomes_its_type():
    assert ask("GET", query={"limit": ["7"]}).json["value"][0] == "7"


def test_a_query_parameter_given_twice_is_refused():
    reply = ask("GET", query={"limit": ["1", "2"]})

    assert (reply.status, reply.json["detail"]) == (
        422,
        "query parameter 'limit' is given more than once",
    )


def test_an_unknown_query_parameter_is_refused_by_name():
    reply = ask("GET", query={"limt": ["1"]})

    assert reply.json["errors"] == [
        {"at": "query.limt", "because": "Extra inputs are not permitted"}
    ]


def test_wrong_members_are_named_where_they_stand():
    reply = ask_json({"text": 1, "inner": {"memory_mb": "2", "x": 0}, "y": 0}, name="0123456789")

    assert reply.status == 422
    assert {flaw["at"] for flaw in reply.json["errors"]} == {
        "path.name",
        "body.text",
        "body.inner.memory_mb",
        "body.inner.x",
        "body.y",
    }


def test_a_body_and_headers_come_through():
    reply = ask_json({"text": "é"})

    assert (reply.status, reply.json["value"]) == (202, "é")
    assert reply.headers["Location"] == "/things/1"


@pytest.mark.parametrize("content_type", ["text/plain", "application/jsonx", "", "é", "json"])
def test_a_typed_body_wants_json(content_type: str):
    reply = ask("PUT", "a", b"{}", headers={"Content-Type": content_type})

    assert (reply.status, reply.code) == (415, "unsupported-media-type")


def test_a_typed_body_without_a_content_type_is_refused():
    assert ask("PUT", "a", b"{}").status == 415


def test_binary_bodies_pass_both_ways():
    everything = bytes(range(256))

    reply = ask("POST", "a", everything, headers={"Content-Type": "application/x-npy"})

    assert (reply.content, reply.headers["Content-Type"]) == (everything, "application/x-npy")


def test_text_without_a_utf8_form_is_malformed():
    assert ask("POST", isBase64Encoded=False, body="\ud800").status == 400


def test_a_body_that_came_as_text_is_utf8():
    assert ask("POST", isBase64Encoded=False, body="é").content == "é".encode()


@pytest.mark.parametrize("sent", ["YQ", "a", "é"])
def test_base64_that_is_none_is_malformed(sent: str):
    assert ask("POST", isBase64Encoded=True, body=sent).status == 400


def test_a_failure_becomes_its_problem():
    reply = ask("DELETE", "missing")

    assert reply.json == {
        "type": "/problems/not-found",
        "title": "Not found",
        "status": 404,
        "detail": "there is no thing",
        "instance": "/things/missing",
        "request_id": REQUEST_ID,
    }


def test_busy_sends_retry_after():
    assert ask("DELETE", "busy").headers["Retry-After"] == "7"


def test_an_unexpected_error_tells_its_request_id_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
):
    reply = ask("DELETE", "anything")

    assert (reply.status, reply.code, reply.json["request_id"]) == (
        500,
        "internal-error",
        REQUEST_ID,
    )
    assert b"canary" not in reply.content


def test_a_method_that_no_view_takes_is_a_problem_too():
    reply = ask("PATCH")

    assert (reply.status, reply.code) == (405, "method-not-allowed")
    assert (reply.json["instance"], reply.json["request_id"]) == ("/things/a", REQUEST_ID)
    assert reply.headers["Allow"] == "GET, PUT, POST, DELETE"


def test_an_event_that_is_no_request_is_a_problem_too():
    answer = api({}, Context())

    assert answer["statusCode"] == 500
    assert json.loads(base64.b64decode(answer["body"]))["type"] == "/problems/internal-error"


def test_each_route_declares_its_role():
    views = [entry.view_function for entry in api.routes["/things/{name}"].values()]

    assert [getattr(view, http.OPERATION).role.name for view in views] == [
        "VIEWER",
        "OPERATOR",
        "VIEWER",
        "VIEWER",
    ]


@pytest.mark.parametrize("spelling", ["Sommelier-Unit", "SOMMELIER-UNIT", "sommelier-unit"])
def test_headers_are_arguments_in_any_spelling(spelling: str):
    reply = ask("GET", headers={spelling: "u-1"})

    assert reply.json["name"] == "u-1"


def test_a_header_that_is_wrong_is_named():
    reply = ask("GET", headers={"Sommelier-Unit": "too long"})

    assert reply.status == 422
    assert reply.json["errors"][0]["at"] == "headers.sommelier-unit"
