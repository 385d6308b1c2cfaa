"""Archives that must be refused, each with its reason: one table for tests and benchmark.
Nothing here holds a pickle; those are in hostile_pickles."""

import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

from tests.builders.archives import (
    BLOCK,
    END_MARK,
    MIB,
    make_archive,
    make_onnx,
    packed,
    packed_files,
    pax_record,
    tar_member,
    zeros_bomb,
)

GIB = 2**30
BIG_NUMBER = b"\x80" + (8 * GIB).to_bytes(11)


@dataclass(frozen=True)
class Hostile:
    """What the archive does, the reason it is refused with, and how it is made."""

    name: str
    reason: str
    make: Callable[[], bytes]
    needs_model: bool = False
    """Whether the caller must require model.onnx for the refusal."""


def file_of(content: bytes, name: bytes = b"weights.bin") -> Callable[[], bytes]:
    return lambda: packed(tar_member(name, content))


def member_of(name: bytes, content: bytes = b"", **fields: object) -> Callable[[], bytes]:
    return lambda: packed(tar_member(name, content, **fields))


def after_pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> Callable[[], bytes]:
    data = b"".join(pax_record(*record) for record in records)
    header = tar_member(b"PaxHeader", data, kind=kind)
    return lambda: packed(header, tar_member(b"a", b"content"))


def after_long_name(name: bytes) -> Callable[[], bytes]:
    header = tar_member(b"././@LongLink", name + b"\0", kind=b"L")
    return lambda: packed(header, tar_member(b"a"))


def zip_of(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def make_tar() -> bytes:
    """One good member, without end mark."""
    return tar_member(b"model.onnx", make_onnx())


def hidden() -> bytes:
    """An end mark, and a member after it that some readers of tar would find."""
    return bytes(BLOCK) + tar_member(b"hidden.py", b"print()") + END_MARK


def many_members(count: int) -> bytes:
    return b"".join(tar_member(b"%d" % index) for index in range(count))


def crowded_members(count: int) -> bytes:
    """Empty files, each behind a pax header of 200 records."""
    records = b"".join(pax_record(b"k%d" % index, b"") for index in range(200))
    header = tar_member(b"p", records, kind=b"x")
    return b"".join(header + tar_member(b"%d" % index) for index in range(count))


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def _named(reason: str, *names: bytes) -> list[Hostile]:
    return [
        Hostile(f"{reason} {name[:24]!r}", reason, lambda name=name: packed_files(name))
        for name in names
    ]


GZIP = [
    Hostile("no bytes", "empty", lambda: b""),
    Hostile("gzip of nothing", "empty", lambda: gzip.compress(b"")),
    Hostile("no members", "empty", packed),
    Hostile("plain tar", "not-gzip", lambda: gzip.decompress(make_archive())),
    Hostile("zip", "not-gzip", lambda: zip_of("model.onnx", make_onnx())),
    Hostile("two gzip members", "several-gzip-members", lambda: make_archive() * 2),
    Hostile("zeros after gzip", "trailing-bytes", lambda: make_archive() + bytes(64)),
    Hostile("text after gzip", "trailing-bytes", lambda: make_archive() + b"more"),
    Hostile("bytes after end mark", "trailing-bytes", lambda: packed(make_tar(), end=hidden())),
    Hostile("cut in the middle", "truncated", lambda: make_archive()[:-60]),
    Hostile("cut in the trailer", "truncated", lambda: make_archive()[:-1]),
    Hostile("cut in the gzip header", "truncated", lambda: make_archive()[:5]),
    Hostile("no end mark", "truncated", lambda: packed(make_tar(), end=b"")),
    Hostile("cut tar", "truncated", lambda: packed(make_tar()[:-300], end=b"")),
    Hostile("announced, not there", "truncated", lambda: packed(tar_member(b"p", b"", kind=b"x"))),
    Hostile("wrong checksum of the data", "corrupt", lambda: _flipped(make_archive(), -6)),
    Hostile("wrong length of the data", "corrupt", lambda: _flipped(make_archive(), -1)),
    Hostile("bad deflate block", "corrupt", lambda: make_archive()[:10] + b"\xff" * 64),
    Hostile("gzip of text", "not-tar", lambda: gzip.compress(b"no tar stream" * 100)),
    Hostile("wrong header checksum", "not-tar", member_of(b"a", checksum=1)),
    Hostile("size in letters", "not-tar", member_of(b"a", size=b"zzzzzzzzzzz\0")),
    Hostile("negative size", "not-tar", member_of(b"a", size=b"\xff" * 12)),
    Hostile("unknown magic", "not-tar", member_of(b"a", magic=b"other\x0000")),
]
NAMES = [
    *_named("absolute-name", b"/etc/passwd", b"//model.onnx"),
    *_named("climbing-name", b"../model.onnx", b"a/../../b", b"..", b"a/.."),
    *_named("bad-name", b"a\nb", b"a\x1b[2J", b"a\x7f", "a\u202egpj.sh".encode()),
    *_named("bad-name", "a\u200b".encode(), b"\xff\xfe", b"..\\model.onnx", b"C:model.onnx"),
    *_named("bad-name", b"", b".", b"a/", b"a/" * 40 + b"b"),
    Hostile("part of 300 bytes", "bad-name", after_pax((b"path", b"a" * 300))),
    Hostile("path of 1,100 bytes", "bad-name", after_long_name(b"abcdefghij/" * 100)),
    Hostile("NUL in a pax name", "bad-name", after_pax((b"path", b"a\0b"))),
    Hostile("climbing pax name", "climbing-name", after_pax((b"path", b"../../a"))),
    Hostile("climbing by prefix", "climbing-name", member_of(b"a", prefix=b"../..")),
    Hostile("same name", "duplicate-name", lambda: packed_files(b"a", b"a")),
    Hostile("same name, dotted", "duplicate-name", lambda: packed_files(b"a/b", b"./a//b")),
    Hostile("same name, other case", "duplicate-name", lambda: packed_files(b"A.py", b"a.py")),
    Hostile(
        "same name, other form",
        "duplicate-name",
        lambda: packed_files("\u00e9".encode(), "e\u0301".encode()),
    ),
    Hostile("file as a directory", "duplicate-name", lambda: packed_files(b"a", b"a/b")),
    Hostile("directory as a file", "duplicate-name", lambda: packed_files(b"a/b", b"a")),
]
MEMBERS = [
    Hostile("symbolic link", "link", member_of(b"a", kind=b"2")),
    Hostile("hard link", "link", member_of(b"a", kind=b"1")),
    Hostile("character device", "device", member_of(b"a", kind=b"3")),
    Hostile("block device", "device", member_of(b"a", kind=b"4")),
    Hostile("named pipe", "device", member_of(b"a", kind=b"6")),
    Hostile("setuid", "setuid", member_of(b"a", mode=0o4755)),
    Hostile("setgid", "setuid", member_of(b"a", mode=0o2755)),
    Hostile("sticky directory", "setuid", member_of(b"a/", kind=b"5", mode=0o1755)),
    Hostile("GNU sparse file", "unsupported-member", member_of(b"a", kind=b"S")),
    Hostile("rest of a volume", "unsupported-member", member_of(b"a", kind=b"M")),
    Hostile("unknown type", "unsupported-member", member_of(b"a", kind=b"Z")),
    Hostile("directory with bytes", "unsupported-member", member_of(b"a/", b"x", kind=b"5")),
    Hostile(
        "fields of a dump",
        "unsupported-member",
        member_of(b"a", magic=b"ustar  \0", prefix=b"15000000000"),
    ),
    Hostile("sparse pax", "unsupported-member", after_pax((b"GNU.sparse.major", b"1"))),
    Hostile("two pax names", "unsupported-member", after_pax((b"path", b"a"), (b"path", b"b"))),
    Hostile("shared pax name", "unsupported-member", after_pax((b"path", b"a"), kind=b"g")),
    Hostile("pax size in letters", "not-tar", after_pax((b"size", b"1e3"))),
    Hostile("pax of 1 GiB", "unsupported-member", member_of(b"p", kind=b"x", size=GIB)),
    Hostile("long name of 1 GiB", "unsupported-member", member_of(b"p", kind=b"L", size=GIB)),
    Hostile("many headers", "unsupported-member", lambda: packed(tar_member(b"p", kind=b"x") * 9)),
    Hostile("broken pax record", "not-tar", member_of(b"p", b"99 path=a\n", kind=b"x")),
    Hostile("many pax records", "unsupported-member", lambda: packed(crowded_members(4_000))),
]
SIZES = [
    Hostile("50,000 members", "too-many-members", lambda: packed(many_members(50_000))),
    Hostile("4,097 members", "too-many-members", lambda: packed(many_members(4_097))),
    Hostile("file of 8 GiB", "too-large-member", member_of(b"a", size=BIG_NUMBER)),
    Hostile("files of over 5 GiB", "too-large", member_of(b"a", size=5 * GIB)),
    Hostile("bomb of 2 GiB", "ratio", lambda: zeros_bomb(2 * GIB)),
    Hostile("bomb of padding", "ratio", lambda: packed(make_tar(), end=bytes(64 * MIB))),
    Hostile("large sample", "too-large-member", file_of(b"{}" * MIB, name=b"./sample.json")),
]
HOSTILE = GZIP + NAMES + MEMBERS + SIZES
