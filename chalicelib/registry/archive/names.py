"""The names of an archive's members: which are refused, and when two of them are the same.
Nothing here reads headers or contents."""

import re
import unicodedata

from chalicelib.registry.archive.refusal import ArchiveRefused, RefusalReason, shown

PATH_BYTES = 1024
PART_BYTES = 255
PARTS = 32
HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode: control, format (bidi and zero width), surrogate, private, unassigned, separators."""
_DRIVE = re.compile(r"[A-Za-z]:")


def normalise_name(raw: bytes) -> str:
    """Give `model.onnx` for `./model.onnx`, and "" for the archive's root.

    Raises ArchiveRefused for a name that could leave the root, hide a character, or mean another
    file on another system.
    """
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad(raw, "is not UTF-8") from error
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/"):
        raise ArchiveRefused(RefusalReason.ABSOLUTE_NAME, f"name {shown(name)} is absolute")
    if ".." in parts:
        raise ArchiveRefused(RefusalReason.CLIMBING_NAME, f"name {shown(name)} climbs")
    fault = _character_fault(name) or _length_fault(raw, parts)
    if fault:
        raise _bad(name, fault)
    return "/".join(parts)


class NameBook:
    """The names seen so far, kept as hashes so that long names take no memory."""

    def __init__(self) -> None:
        self._files: set[int] = set()
        self._directories: set[int] = set()

    def add(self, name: str, *, is_file: bool) -> None:
        """Raise ArchiveRefused when the name is taken.

        Names that differ only in case or Unicode form are the same name: they are one file on
        some systems. A directory may be named twice; a file may not also be a directory.
        """
        folded = _fold(name)
        key = hash(folded)
        parents = _parents(folded)
        if is_file:
            taken = key in self._files or key in self._directories
            self._files.add(key)
        else:
            taken = key in self._files
            self._directories.add(key)
        if taken or not self._files.isdisjoint(parents):
            raise ArchiveRefused(
                RefusalReason.DUPLICATE_NAME, f"name {shown(name)} is taken by an earlier member"
            )
        self._directories.update(parents)


def _fold(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFKC", name).casefold()


def _parents(name: str) -> list[int]:
    return [hash(name[:at]) for at, letter in enumerate(name) if letter == "/"]


def _character_fault(name: str) -> str | None:
    if "\\" in name:
        return "holds a backslash"
    if _DRIVE.match(name):
        return "begins with a drive letter"
    if name.isascii() and name.isprintable():
        return None
    if any(unicodedata.category(letter) in HIDDEN_CATEGORIES for letter in name):
        return "holds a hidden character"
    return None


def _length_fault(raw: bytes, parts: list[str]) -> str | None:
    if not raw:
        return "is empty"
    if len(raw) > PATH_BYTES:
        return f"has over {PATH_BYTES!r} bytes"
    if len(parts) > PARTS:
        return f"has over {PARTS!r} parts"
    if any(len(part.encode()) > PART_BYTES for part in parts):
        return f"has a part of over {PART_BYTES!r} bytes"
    return None


def _bad(name: str | bytes, fault: str) -> ArchiveRefused:
    return ArchiveRefused(RefusalReason.BAD_NAME, f"name {shown(name)} {fault}")
