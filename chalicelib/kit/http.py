"""HTTP only: turns a function with typed arguments into a Chalice view, and errors into problems.
No feature's rules; the one place that knows status codes (RFC 9457 problem details)."""

import functools
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar, cast, get_args, get_origin, get_type_hints
from urllib.parse import unquote

from chalice.app import Blueprint, CaseInsensitiveMapping, Request, Response
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from chalicelib.kit import aws, media, strictjson
from chalicelib.kit.errors import (
    DependencyUnavailable,
    Flaw,
    Forbidden,
    Invalid,
    Malformed,
    UnsupportedMedia,
)
from chalicelib.kit.problems import problem_of_failure, problem_of_status
from chalicelib.kit.settings import settings
from chalicelib.kit.telemetry import logger

T = TypeVar("T")
View = Callable[..., Any]

_ANONYMOUS = "anonymous"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
OPERATION = "operation"
"""Attribute of a registered view that holds its Operation."""


class Role(IntEnum):
    """Least right that a route asks for; a higher role includes the lower ones."""

    VIEWER = 1
    OPERATOR = 2
    SCHEDULER = 3
    ADMIN = 4


class Call(NamedTuple):
    """What a view may know of the request besides its typed arguments."""

    tenant: str
    caller: str
    role: Role
    request_id: str
    content_type: str
    accept: str
    raw: bytes


class Answer(NamedTuple, Generic[T]):
    """A typed body with further headers, or another status than the route's own."""

    body: T
    status: int | None = None
    headers: Mapping[str, str] = NO_HEADERS


class Raw(NamedTuple):
    """A body that is sent as it is."""

    content: bytes
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = NO_HEADERS


@dataclass(frozen=True)
class Operation:
    """A route as documentation and tests see it; the types are resolved on first use."""

    method: str
    path: str
    role: Role
    summary: str
    view: View
    status: int
    any_content: bool
    answers: Any

    @functools.cached_property
    def hints(self) -> dict[str, Any]:
        return get_type_hints(self.view, include_extras=True)

    @functools.cached_property
    def adapters(self) -> dict[str, TypeAdapter[Any]]:
        """One adapter per argument: `body`, `query`, `headers`, and the path parameters by name."""
        names = inspect.signature(self.view).parameters
        return {name: TypeAdapter(self.hints[name]) for name in names if name != "call"}

    @property
    def answer_type(self) -> Any:
        """The type of a success, None when the view answers bytes of its own."""
        if self.answers is not None:
            return self.answers() if inspect.isfunction(self.answers) else self.answers
        returned = self.hints["return"]
        if returned is Raw:
            return None
        return get_args(returned)[0] if get_origin(returned) is Answer else returned


def endpoint(
    blueprint: Blueprint,
    route: str,
    *,
    role: Role,
    summary: str,
    status: int = 200,
    any_content: bool = False,
    answers: Any = None,
) -> Callable[[View], View]:
    """Register a view under "METHOD /path/{name}".

    The view's arguments are filled by name: `call` the Call, `body` the JSON body, `query` the
    query string, `headers` the headers by their names in lower case, any other the path parameter
    of that name; each is checked against its annotation.
    status: what the view answers when it succeeds, for the documentation.
    any_content: the body stays bytes, in whatever content type it came.
    answers: the documented type, for a view that writes its own bytes; or a function that gives it,
    where importing it is worth putting off.
    """
    method, path = route.split(" ")

    def register(view: View) -> View:
        operation = Operation(method, path, role, summary, view, status, any_content, answers)

        @functools.wraps(view)
        def run(**path_parameters: str) -> Response:
            return _run(operation, blueprint.current_request, path_parameters)

        setattr(run, OPERATION, operation)
        blueprint.route(path, methods=[method], content_types=["*/*"], name=view.__name__)(run)
        return run

    return register


def accept_anything(request: Request, get_response: Callable[[Any], Response]) -> Response:
    """Middleware: every answer is bytes to Chalice, which wants an Accept header for that; and
    what Chalice answers by itself becomes a problem like any other."""
    if request is not None and "accept" not in request.headers:  # pyright: ignore[reportUnnecessaryComparison]
        request.headers = CaseInsensitiveMapping({**dict(request.headers), "accept": "*/*"})
    response = get_response(request)
    if not isinstance(response.body, bytes):
        response.body = problem_of_status(
            response.status_code, instance=_instance(request), request_id=_request_id(request)
        ).content()
        response.headers = {**response.headers, "Content-Type": "application/problem+json"}
    return response


def _run(operation: Operation, request: Request, path_parameters: dict[str, str]) -> Response:
    started_at = time.perf_counter()
    request_id = _request_id(request)
    try:
        call = _call(operation, request, request_id)
        arguments = _arguments(operation, request, call, path_parameters)
        response = _response(operation.view(**arguments), operation)
    except Exception as error:
        response = _problem_response(error, request, request_id)
    logger.info(
        "request_answered",
        route=f"{operation.method} {operation.path}",
        status=response.status_code,
        request_id=request_id,
        latency_ms=round((time.perf_counter() - started_at) * 1000, 1),
    )
    return response


def _call(operation: Operation, request: Request, request_id: str) -> Call:
    caller, role = _ANONYMOUS, Role.ADMIN  # ACCESS_MODE=open is the only mode yet
    if role < operation.role:
        raise Forbidden(f"this needs the role {operation.role.name.lower()!r}")
    headers: Any = request.headers
    return Call(
        tenant=settings().tenant_id,
        caller=caller,
        role=role,
        request_id=request_id,
        content_type=headers.get("content-type", "") or "",
        accept=headers.get("accept", "*/*") or "*/*",
        raw=_raw(request),
    )


def _raw(request: Request) -> bytes:
    """The body's bytes; API Gateway sends them in base64, a test from the console as text."""
    try:
        raw = request.raw_body
    except ValueError as error:
        raise Malformed("the body is neither base64 nor text") from error
    return raw.encode() if isinstance(raw, str) else raw


def _arguments(
    operation: Operation, request: Request, call: Call, path_parameters: dict[str, str]
) -> dict[str, Any]:
    """Every argument of the view, checked; all flaws of one request are reported together."""
    arguments: dict[str, Any] = {}
    flaws: list[Flaw] = []
    for name, adapter in operation.adapters.items():
        try:
            if name == "body":
                arguments[name] = _body(adapter, call)
            elif name == "query":
                arguments[name] = adapter.validate_python(_query(request))
            elif name == "headers":
                arguments[name] = adapter.validate_python(_headers(request))
            else:
                value = unquote(path_parameters[name], errors="strict")
                arguments[name] = adapter.validate_python(value)
        except UnicodeDecodeError as error:
            raise Malformed(f"the path is not UTF-8 at {name!r}") from error
        except ValidationError as error:
            at = name if name in ("body", "query", "headers") else f"path.{name}"
            flaws += [_flaw(at, found) for found in error.errors(include_url=False)]
    if flaws:
        raise Invalid(f"the request has {len(flaws)} flaw(s)", flaws=tuple(flaws))
    if "call" in operation.hints:
        arguments["call"] = call
    return arguments


def _body(adapter: TypeAdapter[Any], call: Call) -> Any:
    if media.media_type_of(call.content_type) != media.JSON:
        raise UnsupportedMedia(f"the content type is {call.content_type!r}, expected {media.JSON}")
    strictjson.check(call.raw)
    return adapter.validate_json(call.raw, strict=True)


def _query(request: Request) -> dict[str, str]:
    given: Any = request.query_params
    if given is None:
        return {}
    for name in given:
        if len(given.getlist(name)) > 1:
            raise Invalid(f"query parameter {name!r} is given more than once")
    return {name: given[name] for name in given}


def _headers(request: Request) -> dict[str, str]:
    given: Any = request.headers
    return {name.lower(): given[name] for name in given}


def _flaw(at: str, found: ErrorDetails) -> Flaw:
    return Flaw(at=".".join([at, *(str(part) for part in found["loc"])]), because=found["msg"])


def _response(result: Any, operation: Operation) -> Response:
    if isinstance(result, Raw):
        return _sent(result.content, result.content_type, result.status, result.headers)
    answer: Answer[BaseModel] = cast(Any, result) if isinstance(result, Answer) else Answer(result)
    status = operation.status if answer.status is None else answer.status
    content = answer.body.model_dump_json().encode()
    return _sent(content, "application/json", status, answer.headers)


def _sent(content: bytes, content_type: str, status: int, headers: Mapping[str, str]) -> Response:
    sent: dict[str, str | list[str]] = {**headers, "Content-Type": content_type}
    return Response(content, headers=sent, status_code=status)


def _request_id(request: Request | None) -> str:
    """Lambda's id of the run, under which its log lines stand."""
    return getattr(getattr(request, "lambda_context", None), "aws_request_id", "")


def _instance(request: Request | None) -> str | None:
    """The path that was asked for; `Request.path` is the route's pattern."""
    return request.to_original_event().get("path") if request is not None else None


def _problem_response(error: Exception, request: Request, request_id: str) -> Response:
    told = (
        DependencyUnavailable("an AWS service did not answer; asking again is safe")
        if aws.may_pass(error)
        else error
    )
    problem = problem_of_failure(told, instance=_instance(request), request_id=request_id)
    if problem.status >= 500:
        logger.error(
            "request_failed", trace=True, request_id=request_id, error=type(error).__name__
        )
    retry = {} if problem.retry_after_s is None else {"Retry-After": str(problem.retry_after_s)}
    return _sent(problem.content(), "application/problem+json", problem.status, retry)
