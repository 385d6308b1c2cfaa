"""Checks parsed instances against the columns, one value at a time, and names every flaw.
Parses no bytes; the fast way past this module is in codecs."""

import math
from collections.abc import Callable
from typing import Any, assert_never

from scoring.inputs import FLOATS, Column, Row, Value, is_in_range
from scoring.problems import MOST_FLAWS, Flaw, InvalidInstances, TooLarge
from scoring.schema import FeatureType

MAX_ROWS = 100_000


def refuse_row_count(count: int) -> None:
    """Refuse none, and more rows than an answer of about 6 MiB can hold."""
    if count == 0:
        raise InvalidInstances(
            "instances is empty", (Flaw("instances", "must hold at least one row"),)
        )
    if count > MAX_ROWS:
        raise TooLarge(f"{count} instances in one request; at most {MAX_ROWS} are taken")


def check_rows(instances: list[Any], columns: tuple[Column, ...]) -> list[Row]:
    """Return the rows in column order, or raise InvalidInstances with at most ten flaws."""
    rows: list[Row] = []
    flaws: list[Flaw] = []
    for number, instance in enumerate(instances):
        cells = _cells(f"instances[{number}]", instance, columns, flaws)
        if cells is not None:
            rows.append(_check_row(number, cells, columns, flaws))
        if len(flaws) >= MOST_FLAWS:
            break
    if flaws:
        raise InvalidInstances(f"{flaws[0].at} {flaws[0].because}", tuple(flaws))
    return rows


def _cells(
    at: str, instance: Any, columns: tuple[Column, ...], flaws: list[Flaw]
) -> list[Any] | None:
    """Line one instance up with the columns; None where its shape is wrong."""
    if isinstance(instance, dict):
        missing = [column.name for column in columns if column.name not in instance]
        unknown = instance.keys() - {column.name for column in columns}
        flaws.extend(Flaw(f"{at}.{name}", "is missing") for name in missing)
        flaws.extend(
            Flaw(f"{at}.{name}", "is no feature of this model") for name in sorted(unknown)
        )
        return None if missing or unknown else [instance[column.name] for column in columns]
    if not isinstance(instance, list):
        flaws.append(Flaw(at, f"must be an array or an object, is {describe(instance)}"))
        return None
    if len(instance) != len(columns):
        flaws.append(Flaw(at, f"must hold {len(columns)} values, holds {len(instance)}"))
        return None
    return instance


def _check_row(
    number: int, cells: list[Any], columns: tuple[Column, ...], flaws: list[Flaw]
) -> Row:
    for cell, column in zip(cells, columns, strict=True):
        because = find_fault(cell, column)
        if because is not None:
            flaws.append(Flaw(f"instances[{number}].{column.name}", because))
    return tuple(cells)


def find_fault(value: Any, column: Column) -> str | None:
    """Say why a value does not fit its column, or None."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None if column.feature.nullable else "must not be null"
    if not IS_TYPE[column.feature.type](value):
        return f"must be {NOUN_BY_TYPE[column.feature.type]}, is {describe(value)}"
    return _find_range_fault(value, column)


def _find_range_fault(value: Value, column: Column) -> str | None:
    match value:
        case str():
            return None if _is_text(value) else "is not valid Unicode"
        case bool() | None:
            return None
        case int() | float():
            if isinstance(value, float) and not math.isfinite(value):
                return "must be finite"
            if is_in_range(value, column.dtype):
                return None
            width = "overflows" if column.dtype in FLOATS else "is out of range of"
            return f"{width} {column.dtype.__name__}"
        case _:
            assert_never(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


def _is_text(value: str) -> bool:
    """Lone surrogates (JSON escapes can spell them) have no UTF-8; NUL would cut the string."""
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


IS_TYPE: dict[FeatureType, Callable[[Any], bool]] = {
    "float": _is_number,
    "int": _is_integer,
    "bool": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
}
NOUN_BY_TYPE: dict[FeatureType, str] = {
    "float": "a number",
    "int": "an integer",
    "bool": "true or false",
    "string": "a string",
}
NOUN_BY_PYTHON: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    list: "an array",
    dict: "an object",
}


def describe(value: Any) -> str:
    """Name a JSON value for a message, without repeating a large one."""
    if isinstance(value, str):
        return f"the string {value[:40]!r}"
    if isinstance(value, float):
        return f"the number {value!r}"
    return NOUN_BY_PYTHON[type(value)]
