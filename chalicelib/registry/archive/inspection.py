"""Inspect an uploaded model.tar.gz as a stream: accept it with its facts, or refuse it.
Nothing here extracts a file, loads a pickle, or keeps more than a few blocks in memory."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from chalicelib.registry.archive.content import HEAD_BYTES, Scanner, choose_scanners
from chalicelib.registry.archive.gzip_stream import GzipStream
from chalicelib.registry.archive.limits import Budget, Limits
from chalicelib.registry.archive.names import NameBook, normalise_name
from chalicelib.registry.archive.refusal import ArchiveRefused, RefusalReason, shown
from chalicelib.registry.archive.tar_stream import Entry, Unpacked, read_entries

NAMES_KEPT = 1_000
SAMPLE_FILE = "sample.json"
SCHEMA_FILE = "schema.json"
DOCUMENTS = frozenset({SAMPLE_FILE, SCHEMA_FILE})


@dataclass(frozen=True)
class Inspection:
    """The facts of an accepted archive."""

    sha256: str
    """Of the compressed bytes, in hex."""
    size_bytes: int
    """Of the compressed bytes."""
    unpacked_bytes: int
    """Of the files' contents together."""
    members: int
    """Files and directories."""
    names: tuple[str, ...]
    """Of the first thousand files, in their order, without a leading `./`."""
    sample: bytes | None
    """Content of sample.json at the root; not parsed."""
    schema: bytes | None
    """Content of schema.json at the root; not parsed."""


def inspect(
    chunks: Iterable[bytes],
    *,
    required: Collection[str] = (),
    allow_pickles: bool = False,
    limits: Limits | None = None,
) -> Inspection:
    """Read the archive once, to its end, and raise ArchiveRefused at the first broken rule.

    chunks: the compressed bytes, cut anywhere; nothing more is taken from them after a refusal.
    required: names of files that must be there with content, such as `model.onnx`.
    """
    bounds = limits or Limits()
    stream = GzipStream(chunks, bounds)
    source = Unpacked(stream.blocks())
    reading = _Reading(
        source=source,
        required=frozenset(normalise_name(name.encode()) for name in required),
        budget=None if allow_pickles else Budget(bounds),
        limits=bounds,
    )
    for entry in read_entries(source, bounds):
        reading.add(entry)
    source.refuse_rest()
    reading.refuse_missing()
    return Inspection(
        sha256=stream.sha256,
        size_bytes=stream.size_bytes,
        unpacked_bytes=reading.unpacked_bytes,
        members=reading.members,
        names=tuple(reading.names),
        sample=reading.documents.get(SAMPLE_FILE),
        schema=reading.documents.get(SCHEMA_FILE),
    )


class _Reading:
    """What is known of the archive up to the current member."""

    def __init__(
        self, *, source: Unpacked, required: frozenset[str], budget: Budget | None, limits: Limits
    ) -> None:
        self._source = source
        self._required = required
        self._missing = set(required)
        self._budget = budget
        self._limits = limits
        self._book = NameBook()
        self.unpacked_bytes = 0
        self.members = 0
        self.names: list[str] = []
        self.documents: dict[str, bytes] = {}

    def add(self, entry: Entry) -> None:
        self.members += 1
        if self.members > self._limits.members:
            raise ArchiveRefused(
                RefusalReason.TOO_MANY_MEMBERS, f"the archive has over {self._limits.members!r}"
            )
        name = normalise_name(entry.raw_name)
        self._book.add(name, is_file=entry.is_file)
        if not entry.is_file:
            return
        self._refuse_file(name, entry.size_bytes)
        self.unpacked_bytes += entry.size_bytes
        if len(self.names) < NAMES_KEPT:
            self.names.append(name)
        self._missing.discard(name)
        self._read(name, entry.size_bytes)

    def refuse_missing(self) -> None:
        if self.members == 0:
            raise ArchiveRefused(RefusalReason.EMPTY, "the archive has no members")
        if self._missing:
            raise ArchiveRefused(
                RefusalReason.WRONG_MODEL_FILE,
                f"no file {shown(min(self._missing))} among {shown(self.names[:8])}",
            )

    def _refuse_file(self, name: str, size_bytes: int) -> None:
        if not name:
            raise ArchiveRefused(RefusalReason.BAD_NAME, "a file is named as the archive's root")
        if name in self._required and size_bytes == 0:
            raise ArchiveRefused(
                RefusalReason.MODEL_FILE_INVALID, f"file {shown(name)} has 0 bytes"
            )
        if name in DOCUMENTS and size_bytes > self._limits.document_bytes:
            raise ArchiveRefused(
                RefusalReason.TOO_LARGE_MEMBER, f"file {shown(name)} has {size_bytes!r} bytes"
            )

    def _read(self, name: str, size_bytes: int) -> None:
        end = self._source.position + size_bytes
        head = self._source.read(size_bytes if name in DOCUMENTS else min(size_bytes, HEAD_BYTES))
        if name in DOCUMENTS:
            self.documents[name] = head
        scanners = choose_scanners(name, head, required=self._required, budget=self._budget)
        still_open = _feed(scanners, head)
        for part in self._source.parts(size_bytes - len(head)) if still_open else ():
            still_open = _feed(still_open, bytes(part))
            if not still_open:
                break
        self._source.skip_to(end)
        for scanner in scanners:
            scanner.finish()


def _feed(scanners: list[Scanner], data: bytes) -> list[Scanner]:
    return [scanner for scanner in scanners if scanner.feed(data)]
