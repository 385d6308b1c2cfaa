"""Requests, answers and errors as they cross the wire, in AWS's JSON 1.1 and REST JSON forms.
Nothing here opens a socket or knows an operation."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Parameters and answers stay the plain JSON that botocore's own service model describes and
# validates; typing each of its hundreds of shapes again would only add a second truth.
JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One HTTP request; header names are lower case, body is empty when it was too large."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    is_too_large: bool = False


@dataclass(frozen=True)
class Response:
    """One HTTP answer, sent in a single write."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """The call is refused; the code is AWS's error code, extra fields join the JSON body."""

    def __init__(
        self, code: str, message: str, *, status: int = 400, extra: JsonObject | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.extra = extra or {}


class ValidationException(ApiError):
    """The control plane refuses the parameters, or the state does not allow the call."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


class DropConnection(Exception):
    """The fault injector wants the connection closed without an answer."""


def json_response(body: JsonObject, *, status: int = 200) -> Response:
    return Response(
        status, json.dumps(body).encode(), {"Content-Type": "application/x-amz-json-1.1"} | _ids()
    )


def error_response(error: ApiError) -> Response:
    """The error for both protocols: JSON 1.1 reads __type, REST JSON the header."""
    body = {"__type": error.code, "message": error.message, "Message": error.message} | error.extra
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": error.code} | _ids()
    return Response(error.status, json.dumps(body).encode(), headers)


def parse_object(body: bytes) -> JsonObject:
    """The JSON object in a body; an empty body is an empty object."""
    try:
        parsed = json.loads(body or b"{}")
    except ValueError as error:
        raise ApiError("SerializationException", f"the body is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ApiError("SerializationException", "the body is not a JSON object")
    return parsed


def _ids() -> dict[str, str]:
    return {"x-amzn-RequestId": str(uuid.uuid4())}
