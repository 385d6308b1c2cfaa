"""Bodies to rows and predictions to bytes: JSON and CSV.
Two ways in for JSON: typed msgspec for what is right, a careful parser that says what is wrong."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
from scoring.inputs import Column, Row, Value
from scoring.problems import (
    DuplicateKey,
    Flaw,
    InvalidCsv,
    InvalidInstances,
    InvalidJson,
    InvalidText,
)
from scoring.rows import check_rows, refuse_row_count
from scoring.schema import FeatureType

PYTHON_BY_TYPE: dict[FeatureType, type] = {"float": float, "int": int, "bool": bool, "string": str}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
INTEGER = re.compile(r"[+-]?\d{1,40}", re.ASCII)
INFINITY = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
TRUTH_BY_CELL = {"true": True, "false": False, "1": True, "0": False}
encode_json = msgspec.json.Encoder().encode


class InstanceCodec:
    """Reads the instances of one model; made once, at load."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self.columns = columns
        self.names = [column.name for column in columns]
        types = [_typed(column) for column in columns]
        fields = [(f"f{i}", type_) for i, type_ in enumerate(types)]
        record = msgspec.defstruct(
            "Record",
            fields,
            rename=dict(zip((name for name, _ in fields), self.names, strict=True)),
            forbid_unknown_fields=True,
        )
        instances = list[tuple[tuple(types)] | record]
        body = msgspec.defstruct("Body", [("instances", instances)], forbid_unknown_fields=True)
        self._bare = msgspec.json.Decoder(instances)
        self._wrapped = msgspec.json.Decoder(body)
        self._strings = [i for i, column in enumerate(columns) if column.feature.type == "string"]
        self._colons_a_record = len(columns) + sum(name.count(":") for name in self.names)

    def read_json(self, body: bytes) -> list[Row]:
        """Return rows whose types are right; their ranges are checked when they become tensors.

        Any doubt (wrong type, duplicate key, NUL) ends in read_json_carefully.
        """
        is_bare = body.lstrip()[:1] == b"["
        try:
            instances = self._bare.decode(body) if is_bare else self._wrapped.decode(body).instances
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self.read_json_carefully(body)
        rows = [row if type(row) is tuple else msgspec.structs.astuple(row) for row in instances]
        records = sum(type(row) is not tuple for row in instances)
        if not rows or self._is_doubtful(body, rows, records, is_bare=is_bare):
            return self.read_json_carefully(body)
        refuse_row_count(len(rows))
        return rows

    def _is_doubtful(self, body: bytes, rows: list[Row], records: int, *, is_bare: bool) -> bool:
        """Count colons: a duplicate key is the one fault that typed decoding lets through."""
        colons = records * self._colons_a_record + (not is_bare)
        for i in self._strings:
            texts = [row[i] for row in rows]
            if any("\0" in text for text in texts):
                return True
            colons += sum(text.count(":") for text in texts)
        return body.count(b":") != colons

    def read_json_carefully(self, body: bytes) -> list[Row]:
        """Parse with the slow, plain parser and name every fault; equal to read_json when right."""
        document = parse_json(body)
        if isinstance(document, dict):
            extra = [
                Flaw(key, "is no member of the request") for key in document if key != "instances"
            ]
            if "instances" not in document:
                extra.append(Flaw("instances", "is missing"))
            if extra:
                raise InvalidInstances(f"{extra[0].at!r} {extra[0].because}", tuple(extra))
            document = document["instances"]
        if not isinstance(document, list):
            raise InvalidInstances(
                "instances is no array", (Flaw("instances", "must be an array of rows"),)
            )
        refuse_row_count(len(document))
        return check_rows(document, self.columns)

    def read_csv(self, body: bytes) -> list[Row]:
        """Read comma-separated rows (RFC 4180); a first row that names all features is a header."""
        lines = _parse_csv(body)
        order = None
        if lines and sorted(lines[0]) == sorted(self.names):
            header = lines.pop(0)
            order = [header.index(name) for name in self.names]
        refuse_row_count(len(lines))
        return check_rows([self._convert(cells, order) for cells in lines], self.columns)

    def _convert(self, cells: list[str], order: list[int] | None) -> list[Any]:
        if len(cells) != len(self.columns):
            return cells
        if order is not None:
            cells = [cells[i] for i in order]
        return [
            _parse_cell(cell, column.feature.type)
            for cell, column in zip(cells, self.columns, strict=True)
        ]


def parse_json(body: bytes) -> Any:
    """Parse strictly: UTF-8, no NaN or Infinity, no duplicate key."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidText(f"byte {error.start} is not UTF-8") from error
    try:
        return json.loads(
            text, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant
        )
    except RecursionError as error:
        raise InvalidJson("the document is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise InvalidJson(f"{error.msg} at character {error.pos}") from error
    except ValueError as error:  # an integer above Python's limit of digits
        raise InvalidJson("a number has too many digits") from error


def encode_csv(rows: Iterable[Iterable[Value]]) -> bytes:
    """One line a prediction, CRLF, quoted where needed; no header."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _typed(column: Column) -> Any:
    type_ = PYTHON_BY_TYPE[column.feature.type]
    return type_ | None if column.feature.nullable else type_


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        name = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise DuplicateKey(f"an object names {name[:100]!r} twice")
    return document


def _refuse_constant(constant: str) -> None:
    raise InvalidJson(f"{constant} is not JSON; send null for a missing value")


def _parse_csv(body: bytes) -> list[list[str]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidText(f"byte {error.start} is not UTF-8") from error
    try:
        return [cells for cells in csv.reader(io.StringIO(text, newline=""), strict=True) if cells]
    except csv.Error as error:
        raise InvalidCsv(f"{error}") from error


def _parse_cell(cell: str, type_: FeatureType) -> Value:
    """Return the value, None for an empty cell or nan, or the text itself where it is neither."""
    if type_ == "string":
        return cell
    cell = cell.strip()
    if cell == "" or cell.lower() == "nan":
        return None
    if type_ == "bool":
        return TRUTH_BY_CELL.get(cell.lower(), cell)
    if INTEGER.fullmatch(cell):
        return int(cell)
    if NUMBER.fullmatch(cell) or INFINITY.fullmatch(cell):
        return float(cell)
    return cell
