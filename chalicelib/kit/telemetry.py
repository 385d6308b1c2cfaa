"""Structured log lines: a constant fact as message, values as fields from one fixed list.
Never bodies, prompts, raw unit ids or secrets; a key outside the list is a programming error."""

import json
import logging
import sys
from functools import cache
from typing import Any

from chalicelib.kit.clock import timestamp, utc_now
from chalicelib.kit.settings import settings

ALLOWED_KEYS = frozenset(
    {
        "action",
        "attempt",
        "duration_ms",
        "endpoint",
        "error",
        "handler",
        "key",
        "latency_ms",
        "model",
        "provider",
        "reason",
        "request_id",
        "route",
        "size_bytes",
        "stage",
        "state",
        "status",
        "tenant",
        "version",
    }
)


class Logger:
    """Writes one JSON object per line to stdout, where Lambda picks it up."""

    def debug(self, fact: str, **fields: object) -> None:
        self._write(logging.DEBUG, fact, fields)

    def info(self, fact: str, **fields: object) -> None:
        self._write(logging.INFO, fact, fields)

    def warning(self, fact: str, **fields: object) -> None:
        self._write(logging.WARNING, fact, fields)

    def error(self, fact: str, *, trace: bool = False, **fields: object) -> None:
        """trace: add the exception that is being handled, with its stack."""
        self._write(logging.ERROR, fact, fields, trace=trace)

    def _write(
        self, level: int, fact: str, fields: dict[str, object], *, trace: bool = False
    ) -> None:
        unknown = fields.keys() - ALLOWED_KEYS
        if unknown:
            raise KeyError(f"log keys {sorted(unknown)!r} are not in telemetry.ALLOWED_KEYS")
        _stdlib_logger().log(level, fact, exc_info=trace, extra={"fields": fields})


logger = Logger()


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "level": record.levelname,
            "message": record.getMessage(),
            "timestamp": timestamp(utc_now()),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


@cache
def _stdlib_logger() -> logging.Logger:
    made = logging.getLogger("sommelier")
    made.setLevel(settings().log_level)
    made.propagate = False
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    made.handlers = [handler]
    return made
