"""Lines of a feedback file, JSON or CSV, as the items that HTTP would bring.
Bytes in, items out; what one may say, and what becomes of it, is the service's part."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import JsonValue

from chalicelib.experiments.feedback.service import Became, Feedback, refused
from chalicelib.kit import strictjson
from chalicelib.kit.errors import Malformed

MOST_LINE_BYTES = 64 * 1024
_MOST_OVERLONG_BYTES = 64 * 1024 * 1024
"""A line that is longer still is no line: what follows is not looked for."""
_LONGEST_DETAIL = 500
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
_GZIP = b"\x1f\x8b"
_Stream = io.BufferedIOBase | gzip.GzipFile


class NotReadable(Exception):
    """Nothing, or nothing more, of the file can be read; `code` names why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail[:_LONGEST_DETAIL])
        self.code = code


class Line(NamedTuple):
    """item: what the line says, or Became when that cannot be read."""

    number: int
    """The first line is 1."""
    item: JsonValue | Became = None
    is_empty: bool = False
    """Nothing is said: an empty line, or the header."""


def items_of(stream: io.BufferedIOBase, *, is_csv: bool, is_gzip: bool) -> Iterator[Line]:
    """Every line, in order. Raises NotReadable where no line can be told from the next."""
    lines = _lines(gzip.GzipFile(fileobj=stream) if is_gzip else stream)
    return _csv_items(lines) if is_csv else _json_items(lines)


def _json_items(lines: Iterator[bytes | Became]) -> Iterator[Line]:
    for number, line in enumerate(lines, start=1):
        if isinstance(line, Became):
            yield Line(number, line)
            continue
        if not line.strip():
            yield Line(number, is_empty=True)
            continue
        try:
            said: JsonValue = strictjson.check(line)
        except Malformed as error:
            yield Line(number, _malformed(f"the line is not valid JSON: {error.__cause__}"))
            continue
        yield Line(number, said)


def _csv_items(lines: Iterator[bytes | Became]) -> Iterator[Line]:
    names: list[str] | None = None
    for number, line in enumerate(lines, start=1):
        if isinstance(line, bytes) and not line.strip():
            yield Line(number, is_empty=True)
        elif names is None:
            names = _header(line)
            yield Line(number, is_empty=True)
        else:
            yield Line(number, line if isinstance(line, Became) else _row(names, line))


def _header(line: bytes | Became) -> list[str]:
    try:
        names = [name.strip() for name in _cells(line)] if isinstance(line, bytes) else []
    except Malformed as error:
        raise NotReadable("bad-header", error.detail) from error
    unknown = sorted(set(names) - Feedback.model_fields.keys())
    if unknown:
        raise NotReadable("bad-header", f"the header has unknown columns {unknown!r}")
    if len(set(names)) < len(names) or "request_id" not in names:
        raise NotReadable("bad-header", "the header names request_id, and each column once")
    return names


def _row(names: list[str], line: bytes) -> JsonValue | Became:
    try:
        cells = _cells(line)
        if len(cells) != len(names):
            return _malformed(f"the line has {len(cells)} cells, the header {len(names)}")
        return {
            name: _value(name, cell) for name, cell in zip(names, cells, strict=True) if cell != ""
        }
    except Malformed as error:
        return _malformed(error.detail)


def _cells(line: bytes) -> list[str]:
    """A record is a line: no cell holds a line's end. Raises Malformed."""
    try:
        return next(csv.reader([line.decode()], strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Malformed(f"the line is not CSV in UTF-8: {error}") from error


def _value(name: str, cell: str) -> JsonValue:
    """What the cell says, or its text, which is refused where a number or a truth is expected."""
    if name in ("metric_value", "quality_score"):
        return float(cell) if _NUMBER.fullmatch(cell) else cell
    if name == "is_correct":
        return _TRUTHS.get(cell.lower(), cell)
    if name == "context":
        try:
            return strictjson.check(cell.encode())
        except Malformed as error:
            raise Malformed(f"the context is not valid JSON: {error.__cause__}") from error
    return cell


def _malformed(detail: str) -> Became:
    return refused("malformed-line", detail)


def _lines(stream: _Stream) -> Iterator[bytes | Became]:
    """Without their ends, and without a byte order mark. Raises NotReadable."""
    first = True
    while line := _next(stream):
        if first:
            line = _checked_first(line)
            first = False
        whole = line.removesuffix(b"\n").removesuffix(b"\r")
        if len(whole) <= MOST_LINE_BYTES:
            yield whole
            continue
        size = len(line)
        while line and not line.endswith(b"\n"):
            line = _next(stream)
            size += len(line)
            if size > _MOST_OVERLONG_BYTES:
                raise NotReadable("line-too-long", "this is no file of lines")
        yield refused("line-too-long", f"at most {MOST_LINE_BYTES} bytes are taken")


def _next(stream: _Stream) -> bytes:
    """A line, or so much of it that it is too long."""
    try:
        return stream.readline(MOST_LINE_BYTES + len(_BOM) + len(b"\r\n") + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise NotReadable("bad-gzip", f"the file is not whole gzip: {error}") from error


def _checked_first(line: bytes) -> bytes:
    if line.startswith(_GZIP):
        raise NotReadable("unsupported-encoding", "a file of gzip has a name that ends in .gz")
    if line.startswith(_WIDE_BOMS) or b"\0" in line:
        raise NotReadable("unsupported-encoding", "the file is not UTF-8")
    return line.removeprefix(_BOM)
