"""Receipts: signed, self-describing ids of predictions, so that feedback needs no lookup.
Pure bytes and HMAC-SHA256; where the keys come from is the service's part."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import ValidationError

from chalicelib.kit.errors import Invalid
from chalicelib.kit.values import Value

_FORMAT = "r1"
_MAC_BYTES = 16
_MAX_LETTERS = 1_000


class Receipt(Value):
    """What a prediction was: who answered, and in an experiment for whom and how likely."""

    tenant: str
    model: str
    version: str
    issued_at_ms: int
    """Unix time in milliseconds."""
    nonce: str
    experiment: str | None = None
    arm: str | None = None
    propensity: float | None = None
    """Probability with which a unit of the experiment is given this arm, in 0..1."""
    unit_hash: str | None = None
    phase: int | None = None
    """The period of unchanged shares in which the unit was given the arm."""
    is_forced: bool = False
    """A tester chose the arm: nothing of this prediction is ever counted."""


_FIELDS = tuple(Receipt.model_fields)


class KeyRing(NamedTuple):
    """Signing keys by id. New receipts use `current`; receipts of the other ids still verify."""

    current: str
    secret_by_id: Mapping[str, bytes]


class ReceiptRefused(Invalid):
    """Forged, altered, signed by a key that is no longer valid, or of another tenant."""

    code = "receipt-refused"


def issue(receipt: Receipt, ring: KeyRing) -> str:
    """`r1.<key id>.<payload>.<mac>`, URL-safe; the mac covers all that stands before it."""
    fields = list(receipt.__dict__.values())
    payload = _encode(json.dumps(fields, separators=(",", ":")).encode())
    signed = f"{_FORMAT}.{ring.current}.{payload}"
    return f"{signed}.{_encode(_mac(signed, ring.secret_by_id[ring.current]))}"


def verify(text: str, ring: KeyRing, *, tenant: str) -> Receipt:
    """Needs nothing but the keys. Raises ReceiptRefused, with the same words for every forgery."""
    refusal = ReceiptRefused("the receipt is not one of ours")
    parts = text.split(".")
    if len(text) > _MAX_LETTERS or len(parts) != 4 or parts[0] != _FORMAT or not text.isascii():
        raise refusal
    _, key_id, payload, mac = parts
    secret = ring.secret_by_id.get(key_id)
    if secret is None:
        raise ReceiptRefused("the receipt was signed by a key that is not valid")
    expected = _encode(_mac(f"{_FORMAT}.{key_id}.{payload}", secret))
    # The texts are compared, not the bytes: base64 has several spellings of the same bytes.
    if not hmac.compare_digest(expected, mac):
        raise refusal
    try:
        values = json.loads(_decode(payload))
        receipt = Receipt.model_validate(dict(zip(_FIELDS, values, strict=True)))
    except (ValueError, TypeError, binascii.Error, ValidationError) as error:
        raise refusal from error
    if receipt.tenant != tenant:
        raise refusal
    return receipt


def _mac(signed: str, secret: bytes) -> bytes:
    return hmac.digest(secret, signed.encode(), hashlib.sha256)[:_MAC_BYTES]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
