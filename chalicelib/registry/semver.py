"""Version names: Semantic Versioning 2.0.0 without build metadata, which has no order.
Pure text and tuples."""

import re
from typing import Annotated

from pydantic import AfterValidator

MAX_LENGTH = 64
_NUMBER = r"(?:0|[1-9][0-9]{0,17})"
_IDENTIFIER = rf"(?:{_NUMBER}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_GRAMMAR = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
)
# In sort keys: below every letter and digit, so that a prefix sorts before what extends it.
_END_OF_IDENTIFIERS = "!"
_RELEASE = "~"


def parse(text: str) -> tuple[int, int, int, str | None]:
    """Raises ValueError unless `text` is a version name."""
    match = _GRAMMAR.fullmatch(text)
    if match is None or len(text) > MAX_LENGTH:
        raise ValueError(f"{text[:80]!r} is not a semantic version such as '1.2.0' or '1.2.0-rc.1'")
    major, minor, patch, prerelease = match.groups()
    return int(major), int(minor), int(patch), prerelease


def sort_key(text: str) -> str:
    """Text whose plain order is the precedence of SemVer 2.0.0, section 11."""
    major, minor, patch, prerelease = parse(text)
    core = ".".join(_ordered_number(number) for number in (major, minor, patch))
    if prerelease is None:
        return core + _RELEASE
    identifiers = (_ordered_identifier(part) for part in prerelease.split("."))
    return core + "-" + "".join(f"{part}{_END_OF_IDENTIFIERS}" for part in identifiers)


def _ordered_identifier(part: str) -> str:
    """Numbers come before names, numbers by value, names by ASCII."""
    return "0" + _ordered_number(int(part)) if part.isdigit() else "1" + part


def _ordered_number(number: int) -> str:
    digits = str(number)
    return f"{len(digits):02d}{digits}"


def _checked(text: str) -> str:
    parse(text)
    return text


VersionName = Annotated[str, AfterValidator(_checked)]
