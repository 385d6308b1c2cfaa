"""Look for a pickle inside one compressed file: gzip, zlib, bzip2, xz and lzma.
Nothing here inflates further than it takes to see that a file is no pickle."""

import bz2
import lzma
import re
import zlib
from typing import Protocol

from chalicelib.registry.archive.limits import MIB, Budget
from chalicelib.registry.archive.pickles import PickleScanner
from chalicelib.registry.archive.refusal import ArchiveRefused, RefusalReason

STEP_BYTES = 4 * 1024
TEXT_LENGTH = 2**29
"""Four letters read as the length of a pickled string are more than this: the file is text."""
XZ_MEMORY_BYTES = 32 * MIB
BZIP2_WEIGHT = 32
"""bzip2 gives nothing before a whole block of up to 900 KB is decoded."""
CLOSED_MAGICS = {b"\x04\x22\x4d\x18": "lz4", b"ZF0x": "old joblib"}
"""Formats that hold pickles and that the standard library cannot open."""


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class CompressedScanner:
    """Feed it a compressed file from its beginning; it raises ArchiveRefused on a pickle inside."""

    def __init__(self, name: str, budget: Budget, inflater: _Inflater) -> None:
        self._name = name
        self._inflater = inflater
        self._inner = PickleScanner(name, budget)
        self._budget = budget
        self._is_over = False

    def feed(self, data: bytes) -> bool:
        """Say whether the verdict is still open."""
        try:
            for start in range(0, len(data), STEP_BYTES):
                self._is_over = self._is_over or not self._step(data[start : start + STEP_BYTES])
        except lzma.LZMAError as error:
            if "limit" in str(error).lower():
                raise self._refusal("takes too much memory to look into") from error
            self._is_over = True
        except (zlib.error, OSError):
            self._is_over = True
        return not self._is_over

    def finish(self) -> None:
        self._inner.finish()

    def _step(self, data: bytes) -> bool:
        rest, inner = data, b""
        while rest or len(inner) == STEP_BYTES:
            if self._inflater.eof:
                break
            inner = self._inflater.decompress(rest, STEP_BYTES)
            rest = _given_back(self._inflater)
            self._budget.spend_inner_bytes(self._name, len(inner))
            if inner and not self._inner.feed(inner):
                return False
            if self._inner.skip_bytes >= TEXT_LENGTH:
                return False
        if rest:
            raise self._refusal("goes on after its first compressed stream")
        return True

    def _refusal(self, fact: str) -> ArchiveRefused:
        return ArchiveRefused(RefusalReason.PICKLE, f"file {self._name} {fact}")


def compressed_scanner(name: str, head: bytes, budget: Budget) -> CompressedScanner | None:
    """The scanner of a file whose head says that it is compressed, or None."""
    for magic, what in CLOSED_MAGICS.items():
        if head.startswith(magic):
            raise ArchiveRefused(
                RefusalReason.PICKLE, f"file {name} is {what} data, which cannot be looked into"
            )
    inflater = _inflater(head)
    if inflater is None:
        return None
    is_bzip2 = isinstance(inflater, bz2.BZ2Decompressor)
    budget.spend_compressed_file(name, weight=BZIP2_WEIGHT if is_bzip2 else 1)
    return CompressedScanner(name, budget, inflater)


def _inflater(head: bytes) -> _Inflater | None:
    if head.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31)
    if head[:1] == b"\x78" and int.from_bytes(head[:2]) % 31 == 0:
        return zlib.decompressobj()
    if re.match(rb"BZh[1-9]", head):
        return bz2.BZ2Decompressor()
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES)
    if head.startswith(b"]\0"):
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=XZ_MEMORY_BYTES)
    return None


def _given_back(inflater: _Inflater) -> bytes:
    """The input that was not used; before the end only zlib hands some back."""
    if inflater.eof:
        return inflater.unused_data
    tail: bytes = getattr(inflater, "unconsumed_tail", b"")
    return tail
