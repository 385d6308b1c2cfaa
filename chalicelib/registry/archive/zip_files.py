"""Look for pickles among the entries of one zip file, in a single pass over its bytes.
Nothing here inflates more than the first KiB of an entry."""

import re
import zlib

from chalicelib.registry.archive.limits import Budget
from chalicelib.registry.archive.numpy_arrays import refuse_objects
from chalicelib.registry.archive.pickles import PickleScanner, refuse_pickle_name
from chalicelib.registry.archive.refusal import ArchiveRefused, RefusalReason

MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
LOCAL_BYTES, CENTRAL_BYTES = 30, 46
ENTRY_HEAD_BYTES = 4 * 1024
SUFFIX_BYTES = 64
STORED, DEFLATED = 0, 8
HIGHEST_VERSION = 63
"""Of the zip format; a higher one shows that the signature stood in content by chance."""
_SIGNATURE = re.compile(rb"PK(\x03\x04|\x01\x02)")


class ZipScanner:
    """Feed it a zip file from its beginning; it raises ArchiveRefused on a pickle inside.

    Every signature counts, wherever it stands, because readers find entries through the directory
    at the end, which can point anywhere.
    """

    def __init__(self, name: str, budget: Budget) -> None:
        self._name = name
        self._budget = budget
        self._buffer = b""

    def feed(self, data: bytes) -> bool:
        self._scan(self._buffer + data, is_end=False)
        return True

    def finish(self) -> None:
        self._scan(self._buffer, is_end=True)

    def _scan(self, buffer: bytes, *, is_end: bool) -> None:
        kept_from = max(0, len(buffer) - 3)
        for match in _SIGNATURE.finditer(buffer):
            if not is_end and len(buffer) < _end_of_entry(buffer, match.start()):
                kept_from = match.start()
                break
            self._budget.spend_zip_entry(self._name)
            self._look_at(buffer, match.start())
        self._buffer = buffer[kept_from:]

    def _look_at(self, buffer: bytes, at: int) -> None:
        is_local = buffer[at + 2] == ord("\3")
        start = at + (LOCAL_BYTES if is_local else CENTRAL_BYTES)
        name_bytes, extra_bytes = _lengths(buffer, at)
        end = start + name_bytes
        ending = buffer[max(start, end - SUFFIX_BYTES) : end].decode("utf-8", errors="replace")
        refuse_pickle_name(f"{self._name}:{ending}")
        if is_local and int.from_bytes(buffer[at + 4 : at + 6], "little") <= HIGHEST_VERSION:
            start += name_bytes + extra_bytes
            method = int.from_bytes(buffer[at + 8 : at + 10], "little")
            self._look_into(buffer[start : start + ENTRY_HEAD_BYTES], method)

    def _look_into(self, data: bytes, method: int) -> None:
        if method not in {STORED, DEFLATED}:
            raise ArchiveRefused(
                RefusalReason.PICKLE,
                f"zip file {self._name} has an entry packed by method {method!r}",
            )
        if method == DEFLATED:
            try:
                data = zlib.decompressobj(wbits=-15).decompress(data, ENTRY_HEAD_BYTES)
            except zlib.error:
                return
        refuse_objects(self._name, data)
        scanner = PickleScanner(self._name, self._budget)
        if data and scanner.feed(data):
            scanner.finish()


def _end_of_entry(buffer: bytes, at: int) -> int:
    """Where the part of an entry ends that is looked at; past the buffer when unknown."""
    if len(buffer) < at + CENTRAL_BYTES:
        return len(buffer) + 1
    return at + CENTRAL_BYTES + sum(_lengths(buffer, at)) + ENTRY_HEAD_BYTES


def _lengths(buffer: bytes, at: int) -> tuple[int, int]:
    """Bytes of the name and of the extra field."""
    field = at + (26 if buffer[at + 2] == ord("\3") else 28)
    return (
        int.from_bytes(buffer[field : field + 2], "little"),
        int.from_bytes(buffer[field + 2 : field + 4], "little"),
    )
