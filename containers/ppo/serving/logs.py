"""Log lines: one JSON object a line on stdout, a constant past-tense fact plus fields.
Never bodies, never values of states or parameters."""

import logging
import os
import sys
from datetime import UTC, datetime

import msgspec

_threshold = logging.INFO


def set_level(level: str) -> None:
    """Drop lines below it from now on: DEBUG, INFO, WARNING, ERROR or CRITICAL."""
    global _threshold  # noqa: PLW0603 - one process has one log
    _threshold = logging.getLevelNamesMapping()[level]


def log(level: str, message: str, **fields: str | int | float) -> None:
    """Write one line at once, so that lines of several workers do not mix."""
    if logging.getLevelNamesMapping()[level] < _threshold:
        return
    line = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": level,
        "message": message,
        "worker": os.getpid(),
        **fields,
    }
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


class ServerLog(logging.Handler):
    """Turns what the HTTP server has to say into such lines."""

    def emit(self, record: logging.LogRecord) -> None:
        reason = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            reason += f": {record.exc_info[1]!r}"
        log(record.levelname, "server_warned", reason=reason[:400])


def hear_server() -> None:
    """Hear warnings of uvicorn; its other lines say nothing that ours do not."""
    heard = logging.getLogger("uvicorn")
    heard.handlers = [ServerLog()]
    heard.setLevel(logging.WARNING)
    heard.propagate = False
