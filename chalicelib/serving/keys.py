"""The receipts' signing keys, from Secrets Manager, kept in the function for a while.
Knows the secret's shape; what the keys sign is in `receipts`."""

import json
import re
import time
from typing import NamedTuple, cast

from botocore.exceptions import ClientError

from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from chalicelib.kit.telemetry import logger
from chalicelib.serving.receipts import KeyRing

_LEAST_SECRET_BYTES = 32
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")


class BadKeyRing(ValueError):
    """The secret does not have the shape `{"current": "k1", "k1": "<at least 32 letters>"}`."""


class _Cached(NamedTuple):
    ring: KeyRing
    read_at: float


_cache: dict[str, _Cached] = {}


def key_ring() -> KeyRing:
    """At most `receipt_keys_ttl_s` old; older only while no good secret can be read."""
    secret_id = settings().receipt_keys_secret
    cached = _cache.get(secret_id)
    if cached and time.monotonic() - cached.read_at < settings().receipt_keys_ttl_s:
        return cached.ring
    try:
        ring = parse(aws.secrets().get_secret_value(SecretId=secret_id)["SecretString"])
    except (ClientError, BadKeyRing, *aws.NO_ANSWER) as error:
        if cached is None:
            raise
        logger.error("receipt_keys_kept", error=type(error).__name__)
        return cached.ring
    _cache[secret_id] = _Cached(ring, time.monotonic())
    return ring


def forget() -> None:
    _cache.clear()


def parse(text: str) -> KeyRing:
    """Raises BadKeyRing, which tells nothing of the keys themselves."""
    try:
        found: object = json.loads(text)
    except ValueError:
        raise BadKeyRing("the secret is not JSON") from None
    document = cast(dict[str, object], found) if isinstance(found, dict) else {}
    texts = {name: value for name, value in document.items() if isinstance(value, str)}
    current = texts.pop("current", None)
    if len(texts) + 1 != len(document) or current not in texts:
        raise BadKeyRing("the secret is not an object of keys by id, one of which is current")
    if not all(_KEY_ID.fullmatch(key_id) for key_id in texts):
        raise BadKeyRing(f"a key id in the secret is not {_KEY_ID.pattern}")
    secret_by_id = {key_id: secret.encode() for key_id, secret in texts.items()}
    if any(len(secret) < _LEAST_SECRET_BYTES for secret in secret_by_id.values()):
        raise BadKeyRing(f"a key in the secret is shorter than {_LEAST_SECRET_BYTES} bytes")
    return KeyRing(current=current, secret_by_id=secret_by_id)
