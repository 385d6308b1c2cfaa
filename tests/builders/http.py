"""Requests as API Gateway (REST, payload v1) hands them to the function, and what it gives back.
The app is called as Lambda calls it: no client of Chalice's between, which would hide a lot."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from app import app

REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


@dataclass(frozen=True)
class Context:
    """The part of Lambda's context that is used."""

    aws_request_id: str = REQUEST_ID
    left_ms: int = 29_000

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """The problem's code; only problems have one."""
        assert self.headers["Content-Type"] == "application/problem+json"
        return self.json["type"].removeprefix("/problems/")


def send(
    method: str,
    path: str,
    content: bytes = b"",
    *,
    headers: dict[str, str] | None = None,
    query: dict[str, list[str]] | None = None,
    **event: Any,
) -> Reply:
    """event: members that replace those which API Gateway would have made."""
    return deliver({**rest_event(method, path, content, headers=headers, query=query), **event})


def put_json(path: str, document: Any) -> Reply:
    return send("PUT", path, json.dumps(document).encode(), headers=JSON)


def post_json(path: str, document: Any, **more: Any) -> Reply:
    return send("POST", path, json.dumps(document).encode(), headers=JSON, **more)


JSON = {"Content-Type": "application/json"}


def deliver(event: dict[str, Any]) -> Reply:
    answer = app(event, Context())
    assert json.dumps(answer), "Lambda answers JSON"
    assert answer["isBase64Encoded"] is True, "every body leaves as bytes"
    return Reply(answer["statusCode"], answer["headers"], base64.b64decode(answer["body"]))


def rest_event(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    headers: dict[str, str] | None = None,
    query: dict[str, list[str]] | None = None,
) -> dict[str, Any]:
    """Binary media types are `*/*`, so that a body always comes in base64."""
    resource, parameters = _resource(path)
    sent = headers or {}
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": sent or None,
        "multiValueHeaders": {name: [value] for name, value in sent.items()} or None,
        "queryStringParameters": {name: values[-1] for name, values in (query or {}).items()}
        or None,
        "multiValueQueryStringParameters": query,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": method,
            "path": f"/v1{path}",
            "requestId": "9f1c2b1e",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "body": base64.b64encode(body).decode() if body else None,
        "isBase64Encoded": bool(body),
    }


def _resource(path: str) -> tuple[str, dict[str, str]]:
    """The route that API Gateway would choose: fixed parts win; parameters stay undecoded."""
    asked = path.split("/")
    for resource in sorted(app.routes, key=lambda route: route.count("{")):
        parts = resource.split("/")
        pairs = list(zip(parts, asked, strict=False))
        if len(parts) == len(asked) and all(p == a or p.startswith("{") for p, a in pairs):
            return resource, {p[1:-1]: a for p, a in pairs if p.startswith("{")}
    raise LookupError(f"no route takes {path}")
