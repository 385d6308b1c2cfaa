"""Settings of the serving process, by SageMaker's names and two of our own.
The only place of serving that reads the environment."""

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

MOST_WORKERS = 64
MEBIBYTE = 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


class InvalidSetting(ValueError):
    """A variable is set to something that cannot be meant."""


class Settings(NamedTuple):
    """What serving needs to know."""

    model_dir: Path
    """SAGEMAKER_BASE_DIR/model; read-only on SageMaker."""
    host: str
    """SCORER_BIND_HOST; the image sets 0.0.0.0, outside of it the default is this machine only."""
    port: int
    """SAGEMAKER_BIND_TO_PORT, 8080 by default."""
    workers: int
    """SAGEMAKER_MODEL_SERVER_WORKERS: processes."""
    payload_bytes: int
    """SAGEMAKER_MAX_PAYLOAD_IN_MB; the largest body, 6 MiB by default."""
    request_s: int
    """SAGEMAKER_MODEL_SERVER_TIMEOUT: the longest that a body may take to arrive."""
    log_level: str
    """SAGEMAKER_CONTAINER_LOG_LEVEL, as a name or as Python's number."""
    manifest_sha256: str | None
    """SOMMELIER_MANIFEST_SHA256; a model with any other manifest is refused."""


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and check; raises InvalidSetting naming variable and value."""
    payload_mb = _read_int(environ, "SAGEMAKER_MAX_PAYLOAD_IN_MB", default=6, most=100)
    return Settings(
        model_dir=Path(environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "model",
        host=environ.get("SCORER_BIND_HOST", "127.0.0.1"),
        port=_read_int(environ, "SAGEMAKER_BIND_TO_PORT", default=8080, most=65_535),
        workers=_read_int(environ, "SAGEMAKER_MODEL_SERVER_WORKERS", default=1, most=MOST_WORKERS),
        payload_bytes=payload_mb * MEBIBYTE,
        request_s=_read_int(environ, "SAGEMAKER_MODEL_SERVER_TIMEOUT", default=60, most=3600),
        log_level=_read_level(environ, "SAGEMAKER_CONTAINER_LOG_LEVEL"),
        manifest_sha256=_read_sha256(environ, "SOMMELIER_MANIFEST_SHA256"),
    )


def _read_int(environ: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
        raise InvalidSetting(f"{name} is {text[:100]!r}; it must be a number from 1 to {most}")
    return int(text)


def _read_level(environ: Mapping[str, str], name: str) -> str:
    text = environ.get(name, "").strip().upper() or "INFO"
    known = logging.getLevelNamesMapping()
    by_number = {str(number): level for level, number in known.items() if number}
    if text not in known or text == "NOTSET":
        if text not in by_number:
            raise InvalidSetting(f"{name} is {text[:100]!r}; it must be one like INFO or 20")
        return by_number[text]
    return text


def _read_sha256(environ: Mapping[str, str], name: str) -> str | None:
    text = environ.get(name, "").strip().lower().removeprefix("sha256:")
    if text and not _SHA256.fullmatch(text):
        raise InvalidSetting(f"{name} is {text[:100]!r}; it must be 64 hexadecimal digits")
    return text or None
