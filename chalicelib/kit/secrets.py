"""Texts from Secrets Manager, parsed, and kept in the function for a while.
Knows no secret's shape: the feature that owns it parses it."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

from botocore.exceptions import ClientError

from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from chalicelib.kit.telemetry import logger

T = TypeVar("T")


class BadSecret(ValueError):
    """The secret does not have the shape it must have; the message tells nothing of its text."""


class _Kept(NamedTuple):
    parsed: Any
    read_at: float


_kept: dict[str, _Kept] = {}


def kept(secret_id: str, parse: Callable[[str], T]) -> T:
    """At most `secrets_ttl_s` old; older only while no good secret can be read.

    parse: raises BadSecret for a text that is none.
    """
    found = _kept.get(secret_id)
    if found and time.monotonic() - found.read_at < settings().secrets_ttl_s:
        return cast(T, found.parsed)
    try:
        parsed = parse(aws.secrets().get_secret_value(SecretId=secret_id)["SecretString"])
    except (ClientError, BadSecret, *aws.NO_ANSWER) as error:
        if found is None:
            raise
        logger.error("old_secret_kept", error=type(error).__name__)
        return cast(T, found.parsed)
    _kept[secret_id] = _Kept(parsed, time.monotonic())
    return parsed


def forget() -> None:
    _kept.clear()
