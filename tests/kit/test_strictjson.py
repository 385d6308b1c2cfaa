"""JSON that strangers send: what is right comes through unchanged, all else is Malformed."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.kit.errors import Malformed
from chalicelib.kit.strictjson import check

HOSTILE = {
    "empty": b"",
    "white space": b" \t\r\n",
    "NaN": b'{"a": NaN}',
    "Infinity": b"[Infinity]",
    "minus Infinity": b"[-Infinity]",
    "infinite by exponent": b"[1e999]",
    "minus infinite by exponent": b"[-1E+400]",
    "infinite by digits": b"1" * 400 + b".0",
    "infinite by digits and exponent": b"1" * 250 + b"e99",
    "infinite by a padded exponent": b"1e+000309",
    "depth 1,000": b"[" * 1000 + b"]" * 1000,
    "depth 100,000": b'{"a":' * 100_000,
    "duplicate members": b'{"a": 1, "a": 2}',
    "duplicate members, escaped": b'{"a": 1, "\\u0061": 2}',
    "duplicate members, nested": b'[{"b": {"a": 1, "a": 1}}]',
    "integer of 5,000 digits": b"9" * 5000,
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16, no mark": '{"a": 1}'.encode("utf-16-le"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "latin-1": '{"a": "é"}'.encode("latin-1"),
    "overlong UTF-8": b'["\xc0\xaf"]',
    "lone surrogate, escaped": b'["\\ud800"]',
    "lone surrogate, reversed": b'["\\udc00\\ud800"]',
    "lone surrogate, raw": b'["\xed\xa0\x80"]',
    "control character": b'["\x01"]',
    "raw line break": b'["a\nb"]',
    "NUL behind": b"{}\0",
    "trailing comma": b"[1,]",
    "truncated": b'{"a":',
    "two documents": b"{}{}",
    "single quotes": b"{'a': 1}",
    "comment": b"[1 /* one */]",
    "leading zero": b"[01]",
    "plus sign": b"[+1]",
    "hexadecimal": b"[0x1]",
    "bare word": b"undefined",
    "no-break space": b"\xc2\xa0[]",
}

# 64-bit floats without the infinities, and text that has a UTF-8 form.
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # "Cs": the surrogates, which have no UTF-8 form
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_body_is_malformed(raw: bytes):
    with pytest.raises(Malformed):
        check(raw)


@given(JSON, st.booleans(), st.sampled_from([None, 2]))
@settings(max_examples=300, deadline=None)
def test_what_json_writes_is_read_back_equal(value: object, ascii_only: bool, indent: int | None):
    raw = json.dumps(value, allow_nan=False, ensure_ascii=ascii_only, indent=indent).encode()

    assert check(raw) == value


@given(st.binary() | st.text(alphabet='[]{}",:-+.eE0123456789\\u d', max_size=40).map(str.encode))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_read_or_malformed(raw: bytes):
    with suppress(Malformed):
        check(raw)


def test_the_largest_numbers_that_python_holds_are_taken():
    assert check(b"[1.7976931348623157e308, -5e-324, " + b"9" * 4300 + b"]")[0] > 1e308


def test_nesting_of_200_is_taken():
    assert check(b"[" * 200 + b"]" * 200) is not None
