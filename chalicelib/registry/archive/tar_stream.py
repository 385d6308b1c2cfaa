"""Read the headers of a tar stream: ustar, GNU and pax, without ever seeking or extracting.
Nothing here judges names or contents; what readers of tar disagree about is refused."""

from collections.abc import Iterator
from dataclasses import dataclass

from chalicelib.registry.archive.limits import Limits
from chalicelib.registry.archive.refusal import ArchiveRefused, RefusalReason, shown
from chalicelib.registry.archive.tar_header import (
    BLOCK,
    Header,
    PaxReader,
    parse_header,
    text_field,
)

META_BYTES = 64 * 1024
META_IN_A_ROW = 3
"""A global pax header, a pax header or GNU long name, and one to spare."""
LINKS = frozenset({b"1", b"2"})
DEVICES = frozenset({b"3", b"4", b"6"})
FILES = frozenset({b"0", b"\0", b"7"})
DIRECTORY = b"5"
PAX_HEADER, PAX_GLOBAL, LONG_NAME, LONG_LINK = b"x", b"g", b"L", b"K"
META = frozenset({PAX_HEADER, PAX_GLOBAL, LONG_NAME, LONG_LINK})
SPECIAL_BITS = 0o7000


@dataclass(frozen=True)
class Entry:
    """One file or directory: its name as stored, and how many bytes of content follow."""

    raw_name: bytes
    size_bytes: int
    is_file: bool


class Unpacked:
    """The inflated bytes, read forward only."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._block = memoryview(b"")
        self.position = 0

    def parts(self, size_bytes: int) -> Iterator[memoryview]:
        """Yield the next size_bytes in parts; fewer only where the stream ends."""
        left = size_bytes
        while left > 0:
            if not self._block:
                self._block = memoryview(next(self._blocks, b""))
                if not self._block:
                    return
            part = self._block[:left]
            self._block = self._block[len(part) :]
            self.position += len(part)
            left -= len(part)
            yield part

    def read(self, size_bytes: int) -> bytes:
        return b"".join(self.parts(size_bytes))

    def skip_to(self, position: int) -> None:
        """Pass over bytes up to position; raises ArchiveRefused where the stream ends before."""
        for _ in self.parts(position - self.position):
            pass
        if self.position < position:
            raise ArchiveRefused(
                RefusalReason.TRUNCATED, f"the tar stream ends at byte {self.position!r}"
            )

    def refuse_rest(self) -> None:
        """Read to the end of the stream; only zero padding may be left."""
        while part := self.read(16 * BLOCK):
            if part.count(0) != len(part):
                raise ArchiveRefused(
                    RefusalReason.TRAILING_BYTES, "bytes follow the end mark of the tar stream"
                )


@dataclass
class _Meta:
    """What the headers before a member say about it."""

    name: bytes | None = None
    size_bytes: int | None = None
    in_a_row: int = 0


def read_entries(source: Unpacked, limits: Limits) -> Iterator[Entry]:
    """Yield files and directories; the caller may read an entry's content before the next step."""
    meta, pax = _Meta(), PaxReader(8 * limits.members)
    while True:
        block = _next_block(source)
        if block is None:
            if meta.in_a_row:
                raise ArchiveRefused(
                    RefusalReason.TRUNCATED, "the tar stream ends before the member it announces"
                )
            return
        header = parse_header(block)
        if header.kind in META:
            _read_meta(source, header, meta, pax)
            continue
        entry = _entry(header, meta)
        meta = _Meta()
        _refuse_size(entry, source.position, limits)
        end = source.position + entry.size_bytes
        yield entry
        source.skip_to(end + -end % BLOCK)


def _next_block(source: Unpacked) -> bytes | None:
    """The next header block, or None at the end mark."""
    start = source.position
    block = source.read(BLOCK)
    if len(block) == BLOCK:
        return block if any(block) else None
    if start == 0 and not block:
        raise ArchiveRefused(RefusalReason.EMPTY, "the archive unpacks to 0 bytes")
    if start == 0:
        raise ArchiveRefused(RefusalReason.NOT_TAR, f"{len(block)!r} bytes are no tar stream")
    raise ArchiveRefused(
        RefusalReason.TRUNCATED,
        f"the tar stream stops at byte {source.position!r}, without end mark",
    )


def _read_meta(source: Unpacked, header: Header, meta: _Meta, pax: PaxReader) -> None:
    meta.in_a_row += 1
    if meta.in_a_row > META_IN_A_ROW:
        raise _unsupported("too many headers describe one member")
    if header.size_bytes > META_BYTES:
        raise _unsupported(f"a header of {header.size_bytes!r} bytes describes a member")
    end = source.position + header.size_bytes
    data = source.read(header.size_bytes)
    source.skip_to(end + -end % BLOCK)
    if header.kind == LONG_NAME:
        _set_name(meta, text_field(data))
    elif header.kind == PAX_GLOBAL:
        pax.refuse_shared(data)
    elif header.kind == PAX_HEADER:
        record = pax.read(data)
        if record.name is not None:
            _set_name(meta, record.name)
        if record.size_bytes is not None:
            meta.size_bytes = record.size_bytes


def _set_name(meta: _Meta, name: bytes) -> None:
    if meta.name is not None:
        raise _unsupported(f"a member has two long names, {shown(meta.name)} and another")
    meta.name = name


def _entry(header: Header, meta: _Meta) -> Entry:
    name = header.raw_name if meta.name is None else meta.name
    size_bytes = header.size_bytes if meta.size_bytes is None else meta.size_bytes
    _refuse_kind(header.kind, name)
    if header.mode & SPECIAL_BITS:
        raise ArchiveRefused(
            RefusalReason.SETUID, f"member {shown(name)} has mode {oct(header.mode)}"
        )
    is_file = header.kind in FILES
    if is_file and name.endswith(b"/"):
        raise ArchiveRefused(RefusalReason.BAD_NAME, f"file {shown(name)} is named as a directory")
    if not is_file and size_bytes:
        raise _unsupported(f"directory {shown(name)} has {size_bytes!r} bytes")
    return Entry(raw_name=name, size_bytes=size_bytes, is_file=is_file)


def _refuse_kind(kind: bytes, name: bytes) -> None:
    if kind in LINKS:
        raise ArchiveRefused(RefusalReason.LINK, f"member {shown(name)} is a link")
    if kind in DEVICES:
        raise ArchiveRefused(RefusalReason.DEVICE, f"member {shown(name)} is a device or pipe")
    if kind not in FILES and kind != DIRECTORY:
        raise _unsupported(f"member {shown(name)} has type {kind!r}")


def _refuse_size(entry: Entry, position: int, limits: Limits) -> None:
    if entry.size_bytes > limits.member_bytes:
        raise ArchiveRefused(
            RefusalReason.TOO_LARGE_MEMBER,
            f"file {shown(entry.raw_name)} has {entry.size_bytes!r} bytes",
        )
    if position + entry.size_bytes > limits.unpacked_bytes:
        raise ArchiveRefused(
            RefusalReason.TOO_LARGE,
            f"file {shown(entry.raw_name)} takes the archive over {limits.unpacked_bytes!r} bytes",
        )


def _unsupported(fact: str) -> ArchiveRefused:
    return ArchiveRefused(RefusalReason.UNSUPPORTED_MEMBER, fact)
