"""When two answers agree: by table, and for any JSON."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.experiments.model import Comparing
from chalicelib.serving.comparing import agree
from chalicelib.serving.model import Output

JSON = "application/json"


def _agree(one: str | bytes, other: str | bytes, field: str = "", tolerance: float = 0.0) -> bool:
    outputs = [
        Output(content.encode() if isinstance(content, str) else content, JSON)
        for content in (one, other)
    ]
    return agree(*outputs, Comparing(field=field, tolerance=tolerance))


SAME = {
    "letters": ('{"a": 1}', '{"a": 1}'),
    "other spaces": ('{"a":[1,2]}', '{ "a": [1, 2] }'),
    "other order of members": ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),
    "whole number and fraction": ("1", "1.0"),
    "escaped letters": ('"\\u00e9"', '"é"'),
    "nothing": ("[]", "[]"),
    "null": ("null", "null"),
    "a number that no float holds": ("1" + "0" * 400, "1" + "0" * 400),
}
DIFFERENT = {
    "number": ("1", "2"),
    "least difference": ("0.1", "0.10000000000000002"),
    "text for number": ("1", '"1"'),
    "true for 1": ("true", "1"),
    "false for null": ("false", "null"),
    "empty list for empty object": ("[]", "{}"),
    "longer list": ("[1]", "[1, 1]"),
    "order of items": ("[1, 2]", "[2, 1]"),
    "further member": ('{"a": 1}', '{"a": 1, "b": null}'),
    "other name": ('{"a": 1}', '{"b": 1}'),
    "deep down": ('{"a": [{"b": 1}]}', '{"a": [{"b": 2}]}'),
    "text": ('"a"', '"A"'),
    "no JSON": ("{", "{"),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME.keys())
def test_json_that_says_the_same_agrees(one: str, other: str):
    assert _agree(one, other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_json_that_says_something_else_does_not(one: str, other: str):
    assert not _agree(one, other)


FIELDS = {
    "the named member": ("label", '{"label": 1, "time": 2}', '{"label": 1, "time": 3}', True),
    "the named member differs": ("label", '{"label": 1, "x": 2}', '{"label": 2, "x": 2}', False),
    "a member of a member": ("a/b", '{"a": {"b": 1, "c": 2}}', '{"a": {"b": 1}}', True),
    "all items": ("p/*/y", '{"p": [{"y": 1, "t": 2}]}', '{"p": [{"y": 1}]}', True),
    "one item differs": ("p/*/y", '{"p": [{"y": 1}, {"y": 2}]}', '{"p": [{"y": 1}, {"y": 3}]}', 0),
    "fewer items": ("p/*/y", '{"p": [{"y": 1}]}', '{"p": []}', False),
    "no items": ("p/*/y", '{"p": []}', '{"p": []}', True),
    "items of items": ("*/*", "[[1], [2, 3]]", "[[1], [2, 3]]", True),
    "items at the end": ("p/*", '{"p": [1, 2]}', '{"p": [1, 2]}', True),
    "absent in one": ("label", '{"label": 1}', "{}", False),
    "absent in both": ("lable", '{"label": 1}', '{"label": 1}', False),
    "absent in an item of both": ("*/y", '[{"y": 1}, {}]', '[{"y": 1}, {}]', False),
    "null is there": ("label", '{"label": null}', '{"label": null}', True),
    "a member of a list": ("0", "[1]", "[1]", False),
    "items of an object": ("*", '{"a": 1}', '{"a": 1}', False),
    "an object's member called *": ("*", '{"*": 1, "b": 2}', '{"*": 1, "b": 3}', True),
    "items of a text": ("*", '"ab"', '"ab"', False),
}


@pytest.mark.parametrize(("field", "one", "other", "same"), FIELDS.values(), ids=FIELDS.keys())
def test_only_the_part_that_is_named_counts(field: str, one: str, other: str, same: bool):
    assert _agree(one, other, field) == same


TOLERANCES = {
    "within": ("0.5", "0.75", 0.25, True),
    "beyond": ("0.5", "0.7500001", 0.25, False),
    "deep down": ('{"p": [[0.5]]}', '{"p": [[0.625]]}', 0.25, True),
    "a flag is no number": ("true", "1", 5.0, False),
    "a text is no number": ('"1"', '"2"', 5.0, False),
    "beyond all floats": ("1" + "0" * 400, "1.5", 5.0, False),
    "whole numbers beyond all floats": ("1" + "0" * 400, "1" + "0" * 399 + "1", 5.0, True),
}


@pytest.mark.parametrize(
    ("one", "other", "tolerance", "same"), TOLERANCES.values(), ids=TOLERANCES.keys()
)
def test_numbers_may_differ_by_the_tolerance(one: str, other: str, tolerance: float, same: bool):
    assert _agree(one, other, tolerance=tolerance) == same
    assert _agree(other, one, tolerance=tolerance) == same


OTHERS = {
    "same bytes": (Output(b"\0\xff", "application/x-npy"), Output(b"\0\xff", "x/y"), False),
    "same type": (Output(b"1\n", "text/csv; header=no"), Output(b"1\n", "text/CSV"), True),
    "other bytes": (Output(b"1\n", "text/csv"), Output(b"1.0\n", "text/csv"), False),
    "JSON beside CSV": (Output(b"1", JSON), Output(b"1", "text/csv"), False),
    "charset": (Output(b"[1]", f"{JSON}; charset=utf-8"), Output(b"[1.0]", JSON), True),
}


@pytest.mark.parametrize(("one", "other", "same"), OTHERS.values(), ids=OTHERS.keys())
def test_what_is_not_json_agrees_byte_for_byte_in_one_type(one: Output, other: Output, same: bool):
    assert agree(one, other, Comparing(field="", tolerance=1.0)) == same
    assert agree(other, one, Comparing(field="", tolerance=1.0)) == same


FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(VALUES)
def test_any_answer_agrees_with_itself_however_it_is_written(value):
    assert _agree(json.dumps(value), json.dumps(value, indent=2, ensure_ascii=False))


@given(VALUES, VALUES, st.floats(0, 10))
def test_agreement_knows_no_first_and_no_second(one, other, tolerance):
    texts = json.dumps(one), json.dumps(other)

    assert _agree(*texts, tolerance=tolerance) == _agree(*texts[::-1], tolerance=tolerance)


@given(FINITE, FINITE, st.floats(0, 1e12))
def test_a_larger_tolerance_loses_no_agreement(one: float, other: float, tolerance: float):
    agreed = _agree(json.dumps(one), json.dumps(other), tolerance=tolerance)
    wider = min(1e12, math.nextafter(tolerance, math.inf) * 2)

    assert not agreed or _agree(json.dumps(one), json.dumps(other), tolerance=wider)


@given(st.binary(), st.binary(), st.text(max_size=20))
def test_no_bytes_make_comparing_fail(one: bytes, other: bytes, field: str):
    assert _agree(one, other, field) in (True, False)
