"""Inflate one gzip member as a stream, counting and hashing the compressed bytes on the way.
Nothing here knows what the inflated bytes mean."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator

from chalicelib.registry.archive.limits import Limits
from chalicelib.registry.archive.refusal import ArchiveRefused, RefusalReason, shown

PIECE_BYTES = 64 * 1024
"""Input is cut again into pieces of this size, so the verdict does not depend on the chunks."""
BLOCK_BYTES = 256 * 1024
"""The most that one step inflates: the memory a bomb can take."""
GZIP_MAGIC = b"\x1f\x8b"
DEFLATE = b"\x08"
GZIP_WBITS = 31


class GzipStream:
    """One pass over the chunks; size_bytes and sha256 cover what was read so far."""

    def __init__(self, chunks: Iterable[bytes], limits: Limits) -> None:
        self._chunks = chunks
        self._limits = limits
        self._digest = hashlib.sha256()
        self._inflater = zlib.decompressobj(wbits=GZIP_WBITS)
        self.size_bytes = 0
        self.inflated_bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def blocks(self) -> Iterator[bytes]:
        """Yield the inflated bytes; the end of the iteration means the gzip member was whole."""
        for piece in _pieces(self._chunks):
            self._take(piece)
            yield from self._inflate(piece)
        if self.size_bytes == 0:
            raise ArchiveRefused(RefusalReason.EMPTY, "the archive has 0 bytes")
        if not self._inflater.eof:
            raise ArchiveRefused(
                RefusalReason.TRUNCATED, f"gzip data stops after {self.size_bytes!r} bytes"
            )

    def _take(self, piece: bytes) -> None:
        if self.size_bytes == 0:
            _refuse_other_formats(piece)
        self._digest.update(piece)
        self.size_bytes += len(piece)
        if self.size_bytes > self._limits.compressed_bytes:
            raise ArchiveRefused(
                RefusalReason.TOO_LARGE,
                f"the archive has over {self._limits.compressed_bytes!r} compressed bytes",
            )

    def _inflate(self, piece: bytes) -> Iterator[bytes]:
        if self._inflater.eof:
            _refuse_rest(piece)
        rest, block = piece, b""
        while rest or len(block) == BLOCK_BYTES:
            try:
                block = self._inflater.decompress(rest, BLOCK_BYTES)
            except zlib.error as error:
                raise ArchiveRefused(
                    RefusalReason.CORRUPT, f"gzip data cannot be inflated: {shown(str(error))}"
                ) from error
            rest = self._inflater.unconsumed_tail
            self._count(len(block), waiting_bytes=len(rest))
            if block:
                yield block
            if self._inflater.eof:
                _refuse_rest(self._inflater.unused_data)
                return

    def _count(self, block_bytes: int, *, waiting_bytes: int) -> None:
        self.inflated_bytes += block_bytes
        limits = self._limits
        if self.inflated_bytes > limits.unpacked_bytes:
            raise ArchiveRefused(
                RefusalReason.TOO_LARGE,
                f"the archive unpacks to over {limits.unpacked_bytes!r} bytes",
            )
        consumed_bytes = self.size_bytes - waiting_bytes
        over_ratio = self.inflated_bytes > limits.ratio * consumed_bytes
        if over_ratio and self.inflated_bytes > limits.ratio_floor_bytes:
            raise ArchiveRefused(
                RefusalReason.RATIO,
                f"{consumed_bytes!r} bytes unpack to {self.inflated_bytes!r},"
                f" over {limits.ratio!r} times as many",
            )


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut chunks of any sizes into pieces of PIECE_BYTES, the last one shorter."""
    pending = bytearray()
    for chunk in chunks:
        view = memoryview(chunk)
        while len(view) > 0:
            part = view[: PIECE_BYTES - len(pending)]
            view = view[len(part) :]
            pending += part
            if len(pending) == PIECE_BYTES:
                yield bytes(pending)
                pending.clear()
    if pending:
        yield bytes(pending)


def _refuse_other_formats(first_piece: bytes) -> None:
    if not (GZIP_MAGIC + DEFLATE).startswith(first_piece[:3]):
        raise ArchiveRefused(
            RefusalReason.NOT_GZIP, f"the archive begins with {shown(first_piece[:8])}"
        )


def _refuse_rest(rest: bytes) -> None:
    if rest.startswith(GZIP_MAGIC):
        raise ArchiveRefused(
            RefusalReason.SEVERAL_GZIP_MEMBERS, "a second gzip member follows the first"
        )
    if rest:
        raise ArchiveRefused(
            RefusalReason.TRAILING_BYTES, f"bytes follow the gzip member: {shown(rest[:16])}"
        )
