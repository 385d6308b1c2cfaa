"""Parse one tar header block and the records of one pax header.
Nothing here reads a stream; numbers and records are parsed strictly."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from chalicelib.registry.archive.refusal import ArchiveRefused, RefusalReason, shown

BLOCK = 512
POSIX_MAGIC = b"ustar\0"
GNU_MAGIC = b"ustar  \0"
V7_MAGIC = bytes(8)
CHECKSUM = slice(148, 156)
PREFIX = slice(345, 500)
BINARY_NUMBER = 0x80
RECORDS_IN_A_HEADER = 256
_OCTAL = re.compile(rb" *([0-7]*)[ \0]*")
_RECORD = re.compile(rb"([1-9][0-9]{0,7}) ([^=\n]+)=")
_DIGITS = re.compile(rb"[0-9]{1,19}")
_RESHAPING = re.compile(rb"GNU\.(sparse|volume)\.|SCHILY\.(realsize|filetype|volhdr)")
"""pax keys that split, join or resize members (sparse files, several volumes)."""


@dataclass(frozen=True)
class Header:
    """The fields of one block that decide where the next one begins, and what this one is."""

    raw_name: bytes
    mode: int
    size_bytes: int
    kind: bytes
    """The type flag, one byte."""


@dataclass(frozen=True)
class PaxRecord:
    """What a pax header may change about the member after it; None leaves the header's value."""

    name: bytes | None
    size_bytes: int | None


def parse_header(block: bytes) -> Header:
    """Raises ArchiveRefused(not-tar) for a wrong checksum or an unreadable number."""
    own_sum = sum(block) - sum(block[CHECKSUM]) + 8 * ord(" ")
    if _number(block[CHECKSUM], "checksum") != own_sum:
        raise _not_tar(f"a header begins with {shown(block[:16])} and has a wrong checksum")
    name = text_field(block[:100])
    prefix = text_field(block[PREFIX])
    if block[257:263] == POSIX_MAGIC:
        name = prefix + b"/" + name if prefix else name
    elif block[257:265] not in {GNU_MAGIC, V7_MAGIC}:
        raise _not_tar(f"a header has the magic {shown(block[257:265])}")
    elif prefix:
        raise ArchiveRefused(
            RefusalReason.UNSUPPORTED_MEMBER, f"the header of {shown(name)} has fields of a dump"
        )
    return Header(
        raw_name=name,
        mode=_number(block[100:108], "mode"),
        size_bytes=_number(block[124:136], "size"),
        kind=block[156:157],
    )


def text_field(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _number(field: bytes, what: str) -> int:
    """Octal digits, or GNU's big-endian binary form of numbers that need more room."""
    if field[0] == BINARY_NUMBER:
        return int.from_bytes(field[1:])
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise _not_tar(f"a header has the {what} {shown(field)}")
    return int(match[1] or b"0", 8)


class PaxReader:
    """Reads pax headers until the archive has used up its number of records."""

    def __init__(self, records: int) -> None:
        self._records = records

    def read(self, data: bytes) -> PaxRecord:
        values = self._values(data)
        size = values.get(b"size")
        if size is not None and not _DIGITS.fullmatch(size):
            raise _not_tar(f"a pax header has the size {shown(size)}")
        return PaxRecord(name=values.get(b"path"), size_bytes=None if size is None else int(size))

    def refuse_shared(self, data: bytes) -> None:
        """Raise ArchiveRefused when a global header changes the name or size of all members."""
        shared = self._values(data).keys() & {b"path", b"size", b"linkpath"}
        if shared:
            raise ArchiveRefused(
                RefusalReason.UNSUPPORTED_MEMBER,
                f"a global pax header sets {shown(sorted(shared))}",
            )

    def _values(self, data: bytes) -> dict[bytes, bytes]:
        values: dict[bytes, bytes] = {}
        for key, value in _records(data):
            self._records -= 1
            crowded = self._records < 0 or len(values) >= RECORDS_IN_A_HEADER
            if crowded or key in values or _RESHAPING.match(key):
                raise ArchiveRefused(
                    RefusalReason.UNSUPPORTED_MEMBER,
                    f"pax record {shown(key)} reshapes a member, is doubled or is one too many",
                )
            values[key] = value
        return values


def _records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        match = _RECORD.match(data, at)
        end = at + int(match[1]) if match else 0
        if match is None or not match.end() < end <= len(data) or data[end - 1 : end] != b"\n":
            raise _not_tar(f"a pax header holds the record {shown(data[at : at + 32])}")
        yield match[2], data[match.end() : end - 1]
        at = end


def _not_tar(fact: str) -> ArchiveRefused:
    return ArchiveRefused(RefusalReason.NOT_TAR, fact)
