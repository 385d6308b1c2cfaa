"""Archives for tests and benchmarks: good ones by `tarfile`, odd ones block by block.
Nothing here writes a file."""

import gzip
import io
import struct
import tarfile
import zlib
from collections.abc import Iterator, Mapping

BLOCK = 512
END_MARK = bytes(2 * BLOCK)
MIB = 2**20
GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def make_archive(
    files: Mapping[str, bytes] | None = None, *, tar_format: int = tarfile.PAX_FORMAT
) -> bytes:
    """A model.tar.gz as Python's tarfile writes it."""
    if files is None:
        files = {"model.onnx": make_onnx(), "sample.json": b'{"instances": []}'}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tar_format) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def make_onnx(weights: bytes = b"weights") -> bytes:
    """The outermost fields of an ONNX ModelProto: version 8, a graph, one operator set."""
    return b"\x08\x08" + b"\x3a" + _varint(len(weights)) + weights + b"\x42\x02\x10\x11"


def tar_header(
    name: bytes,
    *,
    size: int | bytes = 0,
    kind: bytes = b"0",
    mode: int | bytes = 0o644,
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    checksum: int | None = None,
) -> bytes:
    """One header block; a field given as bytes is stored as it is."""
    head = name.ljust(100, b"\0") + _number(mode, 8) + _number(0, 8) * 2
    head += _number(size, 12) + _number(0, 12) + b" " * 8 + kind
    head = head.ljust(257, b"\0") + magic.ljust(88, b"\0") + prefix
    head = head.ljust(BLOCK, b"\0")
    total = sum(head) if checksum is None else checksum
    return head[:148] + b"%06o\0 " % total + head[156:]


def tar_member(name: bytes, content: bytes = b"", **fields: object) -> bytes:
    header = tar_header(name, **({"size": len(content)} | fields))  # type: ignore[arg-type]
    return header + padded(content)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def pax_record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    while length != len(str(length)) + len(key) + len(value) + 3:
        length = len(str(length)) + len(key) + len(value) + 3
    return b"%d %s=%s\n" % (length, key, value)


def packed(*members: bytes, end: bytes = END_MARK) -> bytes:
    """The gzip bytes of a tar stream made of the given blocks."""
    return gzip.compress(b"".join(members) + end, mtime=0)


def packed_files(*names: bytes) -> bytes:
    return packed(*(tar_member(name, b"content") for name in names))


def zeros_bomb(size_bytes: int) -> bytes:
    """A gzip stream of one member of zeros, about a thousand times smaller than its content."""
    deflater = zlib.compressobj(9, wbits=-15)
    head = deflater.compress(tar_header(b"zeros.bin", size=size_bytes))
    head += deflater.flush(zlib.Z_FULL_FLUSH)
    mebibyte = deflater.compress(bytes(MIB)) + deflater.flush(zlib.Z_FULL_FLUSH)
    return GZIP_HEADER + head + mebibyte * (size_bytes // MIB)


def stored_gzip(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """gzip without compression, as fast as its checksum: for archives too large to keep."""
    checksum, size_bytes = 0, 0
    yield GZIP_HEADER
    for block in blocks:
        checksum, size_bytes = zlib.crc32(block, checksum), size_bytes + len(block)
        for start in range(0, len(block), 65_535):
            part = block[start : start + 65_535]
            yield b"\0" + struct.pack("<HH", len(part), 65_535 - len(part)) + part
    yield b"\1\0\0\xff\xff" + struct.pack("<II", checksum, size_bytes % 2**32)


def large_tar(size_bytes: int, *, block: bytes) -> Iterator[bytes]:
    """A tar stream with one file of size_bytes, the block again and again."""
    yield tar_header(b"weights.bin", size=size_bytes)
    for _ in range(size_bytes // len(block)):
        yield block
    yield END_MARK


def _number(value: int | bytes, width: int) -> bytes:
    return value if isinstance(value, bytes) else b"%0*o\0" % (width - 1, value)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(encoded) + bytes([number])
