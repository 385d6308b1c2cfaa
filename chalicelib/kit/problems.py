"""Problem details (RFC 9457): which status and which words a failure becomes over HTTP.
The truth about a 5xx stays in the log; its document carries a fixed sentence."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from chalicelib.kit import errors
from chalicelib.kit.errors import Failure, Flaw

# The most specific class wins: looked up along the failure's own ancestry.
STATUS_BY_KIND: dict[type[Failure], int] = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Invalid: 422,
    errors.Malformed: 400,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.Forbidden: 403,
    errors.Busy: 503,
    errors.Upstream: 502,
    errors.UpstreamTimeout: 504,
}
INTERNAL_CODE = "internal-error"
_SENTENCE_BY_STATUS = {
    500: "something failed on our side; the log has it under this request_id",
    502: "what we depend on failed; the log has it under this request_id",
    504: "what we depend on did not answer in time",
}
# What Chalice answers before a view runs.
_CODE_BY_STATUS = {400: "malformed-request", 404: "not-found", 405: "method-not-allowed"}
_MOST_FLAWS = 50
_LONGEST_DETAIL = 1_000


class Problem(NamedTuple):
    code: str
    title: str
    status: int
    detail: str
    instance: str | None
    request_id: str
    flaws: tuple[Flaw, ...] = ()
    retry_after_s: int | None = None

    def content(self) -> bytes:
        document: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail[:_LONGEST_DETAIL],
            "instance": self.instance,
            "request_id": self.request_id,
        }
        if self.flaws:
            document["errors"] = [flaw._asdict() for flaw in self.flaws[:_MOST_FLAWS]]
        return json.dumps(document, ensure_ascii=True).encode()


def status_of(kind: type[Failure]) -> int:
    return next(STATUS_BY_KIND[base] for base in kind.__mro__ if base in STATUS_BY_KIND)


def problem_of_failure(error: Exception, *, instance: str | None, request_id: str) -> Problem:
    """What the caller sees of an exception; anything but a Failure is an internal error."""
    if not isinstance(error, Failure):
        title, sentence = "Internal error", _SENTENCE_BY_STATUS[500]
        return Problem(INTERNAL_CODE, title, 500, sentence, instance, request_id)
    status = status_of(type(error))
    return Problem(
        code=error.code,
        title=error.title(),
        status=status,
        detail=_SENTENCE_BY_STATUS.get(status, error.detail),
        instance=instance,
        request_id=request_id,
        flaws=error.flaws,
        retry_after_s=error.retry_after_s if isinstance(error, errors.Busy) else None,
    )


def problem_of_status(status: int, *, instance: str | None, request_id: str) -> Problem:
    """The document for an answer that Chalice gave by itself, before or instead of a view."""
    code = _CODE_BY_STATUS.get(status, INTERNAL_CODE if status >= 500 else "bad-request")
    sentence = _SENTENCE_BY_STATUS.get(status, f"the request cannot be served: {code}")
    return Problem(
        code, code.replace("-", " ").capitalize(), status, sentence, instance, request_id
    )


def all_codes() -> Iterator[str]:
    """Every code that any imported module may answer with."""
    waiting: list[type[Failure]] = [Failure]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind is not Failure:
            yield kind.code
    yield from (INTERNAL_CODE, *_CODE_BY_STATUS.values())
