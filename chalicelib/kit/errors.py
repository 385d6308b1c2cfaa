"""The kinds of failure that the product knows; a feature subclasses one kind and names its case.
No HTTP status, AWS call or message catalogue lives here: kit.http maps kinds to statuses.

    Failure
    |-- NotFound              the thing asked for does not exist
    |-- Conflict              the thing exists, but not in a state that allows this
    |-- Invalid               the caller sent something that can never be right
    |   |-- Malformed         the bytes cannot be read at all
    |   |-- TooLarge          more bytes than are taken
    |   `-- UnsupportedMedia  a content type that is not taken
    |-- Forbidden             the caller may not
    |-- Busy                  right now is not possible, later is
    |   `-- DependencyUnavailable
    `-- Upstream              something we depend on failed
        `-- UpstreamTimeout   something we depend on did not answer in time
"""

from typing import ClassVar, NamedTuple


class Flaw(NamedTuple):
    """One fault of an input: where it is (`body.hosting.memory_mb`) and why it is refused."""

    at: str
    because: str


class Failure(Exception):
    """Base of every error that a caller may see; the message is one fact with its values by %r."""

    code: ClassVar[str] = "failure"

    def __init__(self, detail: str, *, flaws: tuple[Flaw, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.flaws = flaws

    @classmethod
    def title(cls) -> str:
        return cls.code.replace("-", " ").capitalize()


class NotFound(Failure):
    code = "not-found"


class Conflict(Failure):
    code = "conflict"


class Invalid(Failure):
    code = "invalid-request"


class Malformed(Invalid):
    code = "malformed-body"


class TooLarge(Invalid):
    code = "body-too-large"


class UnsupportedMedia(Invalid):
    code = "unsupported-media-type"


class Forbidden(Failure):
    code = "forbidden"


class Busy(Failure):
    """Nothing was changed; the same call may succeed after `retry_after_s` seconds."""

    code = "busy"

    def __init__(self, detail: str, *, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class DependencyUnavailable(Busy):
    """An AWS service did not answer; asking again is safe, a change is made at most once."""

    code = "dependency-unavailable"


class Upstream(Failure):
    code = "upstream-failed"


class UpstreamTimeout(Upstream):
    code = "upstream-timeout"
