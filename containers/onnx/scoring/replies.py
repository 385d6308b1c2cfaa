"""Frames answers as HTTP/1.1 bytes, problems as application/problem+json.
Knows no connection and no model."""

from http import HTTPStatus

import msgspec
from scoring.problems import MethodNotAllowed, Problem
from scoring.scorer import Format

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
MEDIA_BY_FORMAT: dict[Format, bytes] = {
    "json": b"application/json",
    "csv": b"text/csv; charset=utf-8",
}
MAX_TEXT = 300
HIDDEN_DETAIL = "The model could not answer; the scorer's log has the reason."


def frame(
    status: int,
    body: bytes,
    *,
    media: bytes,
    keep: bool,
    with_body: bool = True,
    extra: bytes = b"",
) -> bytes:
    """keep: whether the connection takes another request; with_body is false for HEAD."""
    return b"%b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
        STATUS_LINES[status],
        media,
        len(body),
        extra,
        b"" if keep else b"Connection: close\r\n",
        body if with_body else b"",
    )


def frame_problem(problem: Problem, *, keep: bool, with_body: bool = True) -> bytes:
    """A 500 hides its detail: what the graph says is for the log, not for the caller."""
    document = {
        "type": f"/problems/{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": HIDDEN_DETAIL if problem.status == 500 else _clean(problem.detail),
    }
    if problem.flaws:
        document["errors"] = [
            {"at": _clean(flaw.at), "because": _clean(flaw.because)} for flaw in problem.flaws
        ]
    extra = b""
    if isinstance(problem, MethodNotAllowed):
        extra = b"Allow: %b\r\n" % problem.allowed.encode()
    elif problem.status == 503:
        extra = b"Retry-After: 1\r\n"
    return frame(
        problem.status,
        msgspec.json.encode(document),
        media=b"application/problem+json",
        keep=keep,
        with_body=with_body,
        extra=extra,
    )


def _clean(text: str) -> str:
    """Cut what a caller made long, and spell out lone surrogates, which have no UTF-8."""
    return text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()


STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus
}
