"""JSON as RFC 8259 and I-JSON (RFC 7493) mean it, for bytes that strangers send.
Refuses what parsers usually let through; knows no types."""

import json
import math
import re
from typing import Any

from pydantic_core import from_json

from chalicelib.kit.errors import Malformed


def check(raw: bytes) -> Any:
    """Parse UTF-8 JSON; raises Malformed for anything a careful peer would not send.

    Refused: empty input, other encodings, byte order marks, NaN and infinities (also by an
    exponent that is too large), lone surrogates, nesting beyond 200, integers of more than 4,300
    digits, and duplicate member names.
    """
    if not raw.strip():
        raise Malformed("the body is empty, expected JSON")
    try:
        value = from_json(raw, allow_inf_nan=False, cache_strings="none")
        # Only for what the faster parser lets through.
        decoder = _CAREFUL_DECODER if _MAY_OVERFLOW.search(raw) else _DECODER
        decoder.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body is not valid JSON: {error}") from error
    return value


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"duplicate member {twice[:80]!r}")


def _refuse_infinite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"number out of range {text[:80]!r}")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_refuse_duplicates)
_CAREFUL_DECODER = json.JSONDecoder(
    object_pairs_hook=_refuse_duplicates, parse_float=_refuse_infinite
)
# Below an exponent of 100 it takes 209 digits to pass the largest float, 1.8e308. Looking at every
# float in Python costs more than all the rest; few bodies hold anything that looks like this.
_MAY_OVERFLOW = re.compile(rb"[eE]\+?0*[1-9][0-9]{2}|[0-9]{200}")
