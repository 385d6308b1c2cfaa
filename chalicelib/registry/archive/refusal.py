"""Why an archive is refused: the reasons, the exception, and how values are shown in its message.
Nothing here reads bytes of an archive."""

from enum import StrEnum

MESSAGE_LIMIT = 200
VALUE_LIMIT = 100


class RefusalReason(StrEnum):
    """One reason per rule; the value is the code that callers and users see."""

    EMPTY = "empty"
    NOT_GZIP = "not-gzip"
    SEVERAL_GZIP_MEMBERS = "several-gzip-members"
    TRAILING_BYTES = "trailing-bytes"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    NOT_TAR = "not-tar"
    ABSOLUTE_NAME = "absolute-name"
    CLIMBING_NAME = "climbing-name"
    BAD_NAME = "bad-name"
    DUPLICATE_NAME = "duplicate-name"
    LINK = "link"
    DEVICE = "device"
    SETUID = "setuid"
    UNSUPPORTED_MEMBER = "unsupported-member"
    TOO_MANY_MEMBERS = "too-many-members"
    TOO_LARGE_MEMBER = "too-large-member"
    TOO_LARGE = "too-large"
    RATIO = "ratio"
    PICKLE = "pickle"
    WRONG_MODEL_FILE = "wrong-model-file"
    MODEL_FILE_INVALID = "model-file-invalid"


class ArchiveRefused(ValueError):
    """The archive breaks a rule; `reason` names the rule, the message holds the fact."""

    def __init__(self, reason: RefusalReason, fact: str) -> None:
        super().__init__(fact[:MESSAGE_LIMIT])
        self.reason = reason


def shown(value: object) -> str:
    """The repr of a value, cut to a length that leaves room for the sentence around it.

    repr escapes control and format characters, so a name cannot break a line or hide itself.
    """
    text = repr(value)
    return text if len(text) <= VALUE_LIMIT else text[: VALUE_LIMIT - 3] + "..."
