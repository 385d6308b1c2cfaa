"""The receipts' signing keys, from Secrets Manager, kept in the function for a while.
Knows the secret's shape; what the keys sign is in `receipts`."""

import json
import time
from dataclasses import dataclass

from botocore.exceptions import ClientError

from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from chalicelib.serving.receipts import KeyRing

_LEAST_SECRET_BYTES = 32


class BadKeyRing(ValueError):
    """The secret does not have the shape `{"current": "k1", "k1": "<at least 32 letters>"}`."""


@dataclass(frozen=True)
class _Cached:
    ring: KeyRing
    read_at: float


_cache: dict[str, _Cached] = {}


def key_ring() -> KeyRing:
    """At most `receipt_keys_ttl_s` old; older only while Secrets Manager does not answer."""
    secret_id = settings().receipt_keys_secret
    cached = _cache.get(secret_id)
    if cached and time.monotonic() - cached.read_at < settings().receipt_keys_ttl_s:
        return cached.ring
    try:
        text = aws.secrets().get_secret_value(SecretId=secret_id)["SecretString"]
    except (ClientError, *aws.NO_ANSWER):
        if cached is None:
            raise
        return cached.ring
    _cache[secret_id] = _Cached(parse(text), time.monotonic())
    return _cache[secret_id].ring


def forget() -> None:
    _cache.clear()


def parse(text: str) -> KeyRing:
    """Raises BadKeyRing."""
    try:
        document: dict[str, str] = json.loads(text)
        current = document.pop("current")
        secret_by_id = {key_id: secret.encode() for key_id, secret in document.items()}
    except (ValueError, KeyError, AttributeError) as error:
        raise BadKeyRing("the secret is not an object of key ids and texts") from error
    if current not in secret_by_id:
        raise BadKeyRing(f"the secret has no key {current!r}, which it calls current")
    if any(len(secret) < _LEAST_SECRET_BYTES for secret in secret_by_id.values()):
        raise BadKeyRing(f"a key in the secret is shorter than {_LEAST_SECRET_BYTES} bytes")
    return KeyRing(current=current, secret_by_id=secret_by_id)
