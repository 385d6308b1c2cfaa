"""Receipts: only what we signed, for this tenant, with a key that still counts, is believed."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.receipts.model import KeyRing, Receipt, ReceiptRefused, issue, verify

OLD, NEW = b"o" * 32, b"n" * 32
RING = KeyRing(current="k1", secret_by_id={"k1": OLD})
RECEIPT = Receipt(
    tenant="acme", model="eta", version="1.2.0", issued_at_ms=1_770_000_000_000, nonce="n0nce"
)
TEXT = issue(RECEIPT, RING)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n"


def _is_refused(text: str, ring: KeyRing = RING, tenant: str = "acme") -> bool:
    with pytest.raises(ReceiptRefused):
        verify(text, ring, tenant=tenant)
    return True


def test_a_receipt_says_what_was_signed():
    assert verify(TEXT, RING, tenant="acme") == RECEIPT


@given(
    st.builds(
        Receipt,
        tenant=st.just("acme"),
        model=st.text(max_size=40),
        version=st.text(max_size=64),
        issued_at_ms=st.integers(0, 2**53),
        nonce=st.text(max_size=20),
        experiment=st.none() | st.text(max_size=20),
        propensity=st.none() | st.floats(0, 1),
        unit_hash=st.none() | st.text(max_size=40),
    )
)
def test_any_receipt_that_is_not_too_long_comes_back_whole(receipt: Receipt):
    text = issue(receipt, RING)

    if len(text) <= 1_000:
        assert verify(text, RING, tenant="acme") == receipt


def test_a_receipt_fits_into_a_url_and_a_header():
    assert set(TEXT) <= set(LETTERS[:65])
    assert len(TEXT) < 200


@pytest.mark.parametrize("at", range(len(TEXT)))
def test_no_letter_can_be_altered(at: int):
    for letter in LETTERS + "é\0":
        if letter != TEXT[at]:
            assert _is_refused(TEXT[:at] + letter + TEXT[at + 1 :])


def test_no_letter_can_be_dropped_or_added():
    for at in range(len(TEXT)):
        assert _is_refused(TEXT[:at] + TEXT[at + 1 :])
        assert _is_refused(TEXT[:at] + "A" + TEXT[at:])


def test_a_truncated_receipt_is_refused():
    assert all(_is_refused(TEXT[:length]) for length in range(len(TEXT)))


def test_a_longer_receipt_is_refused():
    assert all(_is_refused(TEXT + more) for more in ("=", "==", ".", "\n", " ", "A", ".AAAA"))


def test_the_same_bytes_spelt_otherwise_are_refused():
    head, _, mac = TEXT.rpartition(".")
    raw = base64.urlsafe_b64decode(mac + "==")
    # 16 bytes leave four unused bits in the last letter: each spelling decodes to the same bytes.
    spellings = {
        mac[:-1] + letter
        for letter in LETTERS[:64]
        if base64.urlsafe_b64decode(mac[:-1] + letter + "==") == raw
    }

    assert len(spellings) == 16
    assert all(_is_refused(f"{head}.{spelling}") for spelling in spellings - {mac})


def test_a_very_long_text_is_refused():
    assert _is_refused("r1.k1." + "A" * 1_000_000 + ".AAAA")


@pytest.mark.parametrize(
    "text",
    ["", ".", "...", "r1...", "r1.k1..", "r2.k1.W10.AAAA", "r1.k1.W10.AAAA", "é.é.é.é", "\0" * 9],
)
def test_a_forged_text_is_refused(text: str):
    assert _is_refused(text)


def _signed(payload: object, *, secret: bytes = OLD, key_id: str = "k1") -> str:
    """A receipt with any payload, under a mac that fits."""
    ring = KeyRing(current=key_id, secret_by_id={key_id: secret})
    fields = Receipt.model_construct(**{"payload": payload})
    return issue(fields, ring)


@pytest.mark.parametrize("payload", [[], {}, "text", None, 1, ["acme"] * 9, ["acme"] * 10])
def test_a_genuine_mac_over_another_shape_is_refused(payload: object):
    assert _is_refused(_signed(payload))


def test_a_forger_without_the_key_is_refused():
    assert _is_refused(issue(RECEIPT, KeyRing("k1", {"k1": b"x" * 32})))


def test_a_receipt_of_another_tenant_is_refused():
    assert _is_refused(TEXT, tenant="other")


def test_the_payload_of_another_tenant_cannot_be_put_in():
    other = issue(RECEIPT.model_copy(update={"tenant": "other"}), RING)
    form, key_id, _, mac = TEXT.split(".")

    assert _is_refused(".".join([form, key_id, other.split(".")[2], mac]), tenant="other")


def test_after_a_rotation_old_and_new_receipts_are_believed():
    both = KeyRing(current="k2", secret_by_id={"k1": OLD, "k2": NEW})
    newer = issue(RECEIPT, both)

    assert newer.split(".")[1] == "k2"
    assert verify(TEXT, both, tenant="acme") == verify(newer, both, tenant="acme") == RECEIPT


def test_a_key_that_was_taken_out_counts_no_more():
    assert _is_refused(TEXT, KeyRing(current="k2", secret_by_id={"k2": NEW}))


def test_a_receipt_cannot_be_moved_to_another_key():
    both = KeyRing(current="k2", secret_by_id={"k1": OLD, "k2": NEW})

    assert _is_refused(TEXT.replace(".k1.", ".k2."), both)


def test_two_keys_of_the_same_bytes_still_do_not_share_receipts():
    both = KeyRing(current="k2", secret_by_id={"k1": OLD, "k2": OLD})

    assert _is_refused(TEXT.replace(".k1.", ".k2."), both)


def test_every_forgery_is_refused_in_the_same_words():
    with pytest.raises(ReceiptRefused) as altered:
        verify(TEXT[:-1] + ("A" if TEXT[-1] != "A" else "B"), RING, tenant="acme")
    with pytest.raises(ReceiptRefused) as foreign:
        verify(TEXT, RING, tenant="other")

    assert altered.value.detail == foreign.value.detail


def test_the_payload_is_plain_to_read():
    payload = TEXT.split(".")[2]

    assert json.loads(base64.urlsafe_b64decode(payload + "=="))[:3] == ["acme", "eta", "1.2.0"]
