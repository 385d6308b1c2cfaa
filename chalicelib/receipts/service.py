"""Issue and verify receipts with the keys of now.
Knows nothing of predictions or experiments: they say what a receipt holds."""

from chalicelib.kit import secrets
from chalicelib.kit.settings import settings
from chalicelib.receipts import model
from chalicelib.receipts.keys import parse
from chalicelib.receipts.model import KeyRing, Receipt


def issue(receipt: Receipt) -> str:
    return model.issue(receipt, key_ring())


def verify(tenant: str, request_id: str) -> Receipt:
    """What a receipt says, if it is one of ours. Raises ReceiptRefused."""
    return model.verify(request_id, key_ring(), tenant=tenant)


def key_ring() -> KeyRing:
    return secrets.kept(settings().receipt_keys_secret, parse)
