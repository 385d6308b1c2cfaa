"""Log lines: one JSON object a line on stderr, a constant past-tense fact plus fields.
Never bodies, never values of features."""

import os
import sys
from datetime import UTC, datetime

import msgspec


def log(level: str, message: str, **fields: str | int | float | list[str]) -> None:
    """Write one line at once, so that lines of several workers do not mix."""
    line = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": level,
        "message": message,
        "worker": os.getpid(),
        **fields,
    }
    sys.stderr.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stderr.buffer.flush()
