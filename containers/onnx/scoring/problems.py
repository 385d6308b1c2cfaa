"""What can be wrong with a request, each named once: code, title, status.
No HTTP framing, no tensors."""

from dataclasses import dataclass
from typing import ClassVar

MOST_FLAWS = 10


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong, and where: at="instances[3].distance_km"."""

    at: str
    because: str


class Problem(Exception):
    """Base of every answer that is not a prediction; detail is fact plus value."""

    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "The scorer failed"
    status: ClassVar[int] = 500

    def __init__(self, detail: str, flaws: tuple[Flaw, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.flaws = flaws[:MOST_FLAWS]


class BadRequest(Problem):
    """The bytes are not HTTP/1.1 as this server reads it."""

    code, title, status = "bad-request", "Request is not valid HTTP", 400


class InvalidText(Problem):
    """The body is not UTF-8."""

    code, title, status = "invalid-utf8", "Body is not UTF-8", 400


class InvalidJson(Problem):
    """The body does not parse as JSON."""

    code, title, status = "invalid-json", "Body is not JSON", 400


class InvalidCsv(Problem):
    """The body does not parse as CSV."""

    code, title, status = "invalid-csv", "Body is not CSV", 400


class DuplicateKey(Problem):
    """An object names one key twice; guessing which one is meant would be silent."""

    code, title, status = "duplicate-key", "A key appears twice", 400


class InvalidInstances(Problem):
    """The body parses, but its rows do not fit the model's features."""

    code, title, status = "invalid-instances", "Instances do not fit the model", 422


class UnknownCategory(Problem):
    """The graph itself refuses a string it was not trained on."""

    code, title, status = "unknown-category", "The model does not know a category", 422


class NoSuchPath(Problem):
    """Only /ping and /invocations exist."""

    code, title, status = "no-such-path", "Path does not exist", 404


class MethodNotAllowed(Problem):
    """The path exists, the method does not."""

    code, title, status = "method-not-allowed", "Method is not allowed here", 405

    def __init__(self, detail: str, *, allowed: str) -> None:
        super().__init__(detail)
        self.allowed = allowed


class NotAcceptable(Problem):
    """Accept rules out both application/json and text/csv."""

    code, title, status = "not-acceptable", "No acceptable answer type", 406


class RequestTimeout(Problem):
    """The head or the body did not arrive in time."""

    code, title, status = "request-timeout", "Request took too long to arrive", 408


class TooLarge(Problem):
    """The body is above SageMaker's own limit, or holds too many rows."""

    code, title, status = "too-large", "Request is too large", 413


class UriTooLong(Problem):
    """The request target is longer than any path of this server."""

    code, title, status = "uri-too-long", "Request target is too long", 414


class UnsupportedMedia(Problem):
    """Content-Type is neither JSON nor CSV in UTF-8."""

    code, title, status = "unsupported-media-type", "Content-Type is not supported", 415


class ExpectationFailed(Problem):
    """Expect asks for something else than 100-continue."""

    code, title, status = "expectation-failed", "Expectation is not supported", 417


class HeadersTooLarge(Problem):
    """The header section is above the limit."""

    code, title, status = "headers-too-large", "Header section is too large", 431


class ModelFailed(Problem):
    """The graph raised or answered NaN or infinity; the log has the reason."""

    code, title, status = "model-failed", "The model gave no valid answer", 500


class Busy(Problem):
    """Too many requests wait for a thread, or the process is draining."""

    code, title, status = "busy", "The scorer is busy", 503


class ModelRefused(Exception):
    """The archive cannot be served; raised at load only, and ends the process."""
