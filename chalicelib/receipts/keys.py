"""The receipts' signing keys as their secret holds them.
Pure: reading the secret is the service's part; what the keys sign is in `model`."""

import json
import re
from typing import cast

from chalicelib.kit.secrets import BadSecret
from chalicelib.receipts.model import KeyRing

_LEAST_SECRET_BYTES = 32
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")


def parse(text: str) -> KeyRing:
    """Of `{"current": "k1", "k1": "<at least 32 letters>"}`. Raises BadSecret."""
    try:
        found: object = json.loads(text)
    except ValueError:
        raise BadSecret("the secret is not JSON") from None
    document = cast(dict[str, object], found) if isinstance(found, dict) else {}
    texts = {name: value for name, value in document.items() if isinstance(value, str)}
    current = texts.pop("current", None)
    if len(texts) + 1 != len(document) or current not in texts:
        raise BadSecret("the secret is not an object of keys by id, one of which is current")
    if not all(_KEY_ID.fullmatch(key_id) for key_id in texts):
        raise BadSecret(f"a key id in the secret is not {_KEY_ID.pattern}")
    secret_by_id = {key_id: secret.encode() for key_id, secret in texts.items()}
    if any(len(secret) < _LEAST_SECRET_BYTES for secret in secret_by_id.values()):
        raise BadSecret(f"a key in the secret is shorter than {_LEAST_SECRET_BYTES} bytes")
    return KeyRing(current=current, secret_by_id=secret_by_id)
