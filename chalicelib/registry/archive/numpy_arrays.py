"""Tell whether a NumPy array file holds objects, which NumPy keeps as a pickle.
Nothing here evaluates the header, which NumPy writes as a Python literal."""

import re

from chalicelib.registry.archive.refusal import ArchiveRefused, RefusalReason

MAGIC = b"\x93NUMPY"
HEADER_BYTES = 12 * 1024
"""NumPy itself reads no longer header unless it is told to trust the file."""
_PLAIN = re.compile(
    r"\{'descr':\s*'[<>|=]?[?bBhHiIlLqQefdgFDGSaUVMmcu]\d*(\[[^'\"\\]*\])?'\s*,[^\"\\]*\}\s*"
)
_OBJECTS = re.compile(
    r"['\"][^'\"]*(?<![A-Za-z_])O\d*(?![A-Za-z0-9_])"
    r"|['\"][^'\"]*[Oo]bject"
    r"|['\"]\s*['\"]"
    r"|\\"
)
"""An object type, or a way of writing a string that could hide one: `'|' 'O'`, an escape."""


def refuse_objects(name: str, head: bytes) -> None:
    """head: the first bytes of a file, at least HEADER_BYTES of a longer one."""
    if not head.startswith(MAGIC):
        return
    start = 10 if head[6:7] == b"\1" else 12
    size_bytes = int.from_bytes(head[8:start], "little")
    if size_bytes > HEADER_BYTES:
        fact = f"has a NumPy header of {size_bytes!r} bytes"
        raise ArchiveRefused(RefusalReason.PICKLE, f"file {name} {fact}")
    header = head[start : start + size_bytes].decode("latin-1")
    if not _PLAIN.fullmatch(header) and _OBJECTS.search(header):
        raise ArchiveRefused(RefusalReason.PICKLE, f"file {name} is a NumPy array of objects")
