"""Do two answers to one question agree? Parts of JSON within a tolerance, all else byte for byte.
Pure: who was asked, and what a disagreement means, is not known here."""

from typing import Any, TypeGuard, cast

from pydantic_core import from_json

from chalicelib.experiments.model import Comparing
from chalicelib.serving.model import Output


def agree(one: Output, other: Output, comparing: Comparing) -> bool:
    """JSON is compared by `comparing`; a part that an answer does not have agrees with nothing,
    not even with its absence in the other: a misspelt field would otherwise find no difference.

    Other answers agree when their bytes are the same, and so do their media types."""
    if one.media_type != other.media_type:
        return False
    if not one.is_json:
        return one.content == other.content
    try:
        read = [from_json(output.content, cache_strings="none") for output in (one, other)]
    except ValueError:
        return False
    path = comparing.field.split("/") if comparing.field else []
    return _same(_part(read[0], path), _part(read[1], path), comparing.tolerance)


_Object = dict[str, Any]
_ABSENT = object()


def _part(value: Any, path: list[str]) -> Any:
    """What lies at the path; a list of it for all items behind a `*`, which stands for those of a
    list only."""
    if not path:
        return value
    name, *rest = path
    if name == "*" and isinstance(value, list):
        return [_part(item, rest) for item in cast(list[Any], value)]
    if isinstance(value, dict) and name in value:
        return _part(cast(_Object, value)[name], rest)
    return _ABSENT


def _same(one: object, other: object, tolerance: float) -> bool:
    if one is _ABSENT or other is _ABSENT:
        return False
    if _is_number(one) and _is_number(other):
        return one == other or _is_near(one, other, tolerance)
    if isinstance(one, dict) and isinstance(other, dict):
        return _same_members(cast(_Object, one), cast(_Object, other), tolerance)
    if isinstance(one, list) and isinstance(other, list):
        return _same_items(cast(list[Any], one), cast(list[Any], other), tolerance)
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _same_members(one: _Object, other: _Object, tolerance: float) -> bool:
    same_names = one.keys() == other.keys()
    return same_names and all(_same(one[name], other[name], tolerance) for name in one)


def _same_items(one: list[Any], other: list[Any], tolerance: float) -> bool:
    pairs = zip(one, other, strict=False)
    return len(one) == len(other) and all(_same(*pair, tolerance) for pair in pairs)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_near(one: float, other: float, tolerance: float) -> bool:
    """one, other: any JSON numbers, also whole ones that no float can hold."""
    try:
        return abs(one - other) <= tolerance
    except OverflowError:
        return False
