"""Everything that is answered instead of a prediction: code, title and status, each named once.
Nothing here speaks HTTP or knows a model."""

from typing import ClassVar

import msgspec
from reward.problems import Flaw

MOST_FLAWS = 10
LONGEST_TEXT = 300


class Problem(Exception):
    """detail is fact plus value; a 500 hides it, because it is for the log."""

    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "The container failed"
    status: ClassVar[int] = 500
    headers: ClassVar[tuple[tuple[bytes, bytes], ...]] = ()

    def __init__(self, detail: str, flaws: tuple[Flaw, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.flaws = flaws[:MOST_FLAWS]

    def body(self) -> bytes:
        """Return the document of RFC 9457."""
        hidden = "The model could not answer; the container's log has the reason."
        document: dict[str, object] = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": hidden if self.status == 500 else _clean(self.detail),
        }
        if self.flaws:
            document["errors"] = [
                {"at": _clean(flaw.at), "because": _clean(flaw.because)} for flaw in self.flaws
            ]
        return msgspec.json.encode(document)


class InvalidHttp(Problem):
    """The bytes are no HTTP/1.1."""

    code, title, status = "invalid-http", "Request is not valid HTTP", 400


class InvalidText(Problem):
    """The body is not UTF-8."""

    code, title, status = "invalid-utf8", "Body is not UTF-8", 400


class InvalidJson(Problem):
    """The body does not parse as JSON."""

    code, title, status = "invalid-json", "Body is not JSON", 400


class DuplicateKey(Problem):
    """An object names one key twice; guessing which one is meant would be silent."""

    code, title, status = "duplicate-key", "A key appears twice", 400


class QuestionRefused(Problem):
    """The body parses, but is no question."""

    code, title, status = "invalid-question", "Question is not valid", 422


class ActionUnknown(Problem):
    """The catalogue has no such action, so nothing is known of its reward."""

    code, title, status = "unknown-action", "Action is not in the catalogue", 422


class NoSuchPath(Problem):
    """Only /ping, /invocations and /execution-parameters exist."""

    code, title, status = "no-such-path", "Path does not exist", 404


class GetOnly(Problem):
    """The path exists, the method does not."""

    code, title, status = "method-not-allowed", "Method is not allowed here", 405
    headers = ((b"allow", b"GET"),)


class PostOnly(Problem):
    """The path exists, the method does not."""

    code, title, status = "method-not-allowed", "Method is not allowed here", 405
    headers = ((b"allow", b"POST"),)


class NotAcceptable(Problem):
    """Accept rules out both application/json and application/jsonlines."""

    code, title, status = "not-acceptable", "No acceptable answer type", 406


class TooSlow(Problem):
    """The head or the body did not arrive in time."""

    code, title, status = "request-timeout", "Request took too long to arrive", 408


class TooLarge(Problem):
    """The body is above the limit, or asks for more answers than one request may have."""

    code, title, status = "too-large", "Request is too large", 413


class UnsupportedMedia(Problem):
    """Content-Type is neither JSON nor JSON Lines in UTF-8, or the body is compressed."""

    code, title, status = "unsupported-media-type", "Content-Type is not supported", 415


class HeadTooLarge(Problem):
    """The request line and the header fields are above the limit."""

    code, title, status = "headers-too-large", "Header section is too large", 431


class Failed(Problem):
    """The model raised, or its numbers are not finite."""

    code, title, status = "model-failed", "The model gave no valid answer", 500


class NotReady(Problem):
    """The artifact was refused; the detail says why, on every call."""

    code, title, status = "artifact-refused", "The model cannot be served", 503


class Busy(Problem):
    """Too many requests wait for a thread, or the process is draining."""

    code, title, status = "busy", "The container is busy", 503
    headers = ((b"retry-after", b"1"),)


def _clean(text: str) -> str:
    """Cut what a caller made long, and spell out lone surrogates, which have no UTF-8."""
    return text[:LONGEST_TEXT].encode("utf-8", "backslashreplace").decode()
