"""What an archive is accepted with, and what it is refused for, by the tables of hostile ones.
Nothing here touches AWS or extracts a file."""

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.registry.archive.inspection import inspect
from chalicelib.registry.archive.limits import Limits
from chalicelib.registry.archive.refusal import ArchiveRefused, RefusalReason
from tests.builders import hostile_archives, hostile_pickles
from tests.builders.archives import (
    MIB,
    make_archive,
    make_onnx,
    packed,
    pax_record,
    tar_member,
    zeros_bomb,
)
from tests.builders.hostile_archives import Hostile

TABLE = hostile_archives.HOSTILE + hostile_pickles.HOSTILE
FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
LONG_NAME = "model/" + "deep/" * 20 + "weights-of-the-first-layer.bin"


class Counted:
    """Chunks that know how many of their bytes were taken."""

    def __init__(self, data: bytes, *, chunk_bytes: int) -> None:
        self._data = data
        self._chunk_bytes = chunk_bytes
        self.taken_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._data), self._chunk_bytes):
            chunk = self._data[start : start + self._chunk_bytes]
            self.taken_bytes += len(chunk)
            yield chunk


def refusal(data: bytes, **options: object) -> ArchiveRefused:
    with pytest.raises(ArchiveRefused) as caught:
        inspect([data], **options)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize("hostile", TABLE, ids=lambda hostile: hostile.name)
def test_a_hostile_archive_is_refused_with_its_reason(hostile: Hostile) -> None:
    data = hostile.make()

    refused = refusal(data, required={"model.onnx"} if hostile.needs_model else ())

    assert refused.reason.value == hostile.reason
    assert len(str(refused)) <= 200
    assert str(refused).isprintable()


def test_the_tables_hold_every_reason() -> None:
    assert {hostile.reason for hostile in TABLE} == {reason.value for reason in RefusalReason}


def test_an_accepted_archive_answers_with_its_facts() -> None:
    model = make_onnx()
    data = make_archive({"./model.onnx": model, "sample.json": b"{}", "schema.json": b"[]"})

    facts = inspect([data], required={"model.onnx"})

    assert facts.sha256 == hashlib.sha256(data).hexdigest()
    assert facts.size_bytes == len(data)
    assert facts.unpacked_bytes == len(model) + 4
    assert facts.names == ("model.onnx", "sample.json", "schema.json")
    assert (facts.members, facts.sample, facts.schema) == (3, b"{}", b"[]")


def test_documents_count_only_at_the_root() -> None:
    facts = inspect([make_archive({"code/sample.json": b"{}"})])

    assert (facts.sample, facts.schema) == (None, None)


@pytest.mark.parametrize("tar_format", FORMATS)
def test_every_format_of_tarfile_is_accepted(tar_format: int) -> None:
    files = {"./model.onnx": make_onnx(), LONG_NAME: b"w" * 5_000, "empty": b""}

    facts = inspect([make_archive(files, tar_format=tar_format)], required={"model.onnx"})

    assert facts.names == ("model.onnx", LONG_NAME, "empty")


@pytest.mark.parametrize("tar_format", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_what_the_tar_command_packs_is_accepted(tmp_path: Path, tar_format: str) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "model.onnx").write_bytes(make_onnx())
    (tmp_path / "code" / "labels.txt").write_text("cat\ndog\ncow\nbird\n")
    command = ["tar", "-C", str(tmp_path), f"--format={tar_format}", "-czf", "-", "."]

    data = subprocess.run(command, check=True, capture_output=True).stdout
    facts = inspect([data], required={"model.onnx"})

    assert sorted(facts.names) == ["code/labels.txt", "model.onnx"]
    assert facts.members == 4


def test_names_beyond_ustar_are_read_from_pax_and_gnu_headers() -> None:
    name = ("n" * 200 + "/") * 4 + "Modèle.bin"

    for tar_format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        facts = inspect([make_archive({name: b"x"}, tar_format=tar_format)])
        assert facts.names == (name,)


def test_a_shared_pax_comment_is_accepted() -> None:
    comment = tar_member(b"pax_global_header", pax_record(b"comment", b"0123abc"), kind=b"g")

    facts = inspect([packed(comment, tar_member(b"a", b"x"))])

    assert facts.names == ("a",)


def test_a_directory_may_be_named_twice() -> None:
    directory = tar_member(b"code/", kind=b"5")

    facts = inspect([packed(directory, directory, tar_member(b"code/a", b"x"), directory)])

    assert facts.members == 4


def test_the_names_are_bounded_and_the_members_are_not() -> None:
    facts = inspect([packed(hostile_archives.many_members(4_096))])

    assert len(facts.names) == 1_000
    assert facts.members == 4_096


def test_a_large_number_in_a_pax_header_gives_the_size() -> None:
    header = tar_member(b"p", pax_record(b"size", b"3"), kind=b"x")
    content = b"abc".ljust(512, b"\0")

    facts = inspect([packed(header, tar_member(b"a", size=0) + content)])

    assert facts.unpacked_bytes == 3


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(compressed_bytes=100), RefusalReason.TOO_LARGE),
        (Limits(unpacked_bytes=4 * MIB), RefusalReason.TOO_LARGE),
        (Limits(member_bytes=4 * MIB), RefusalReason.TOO_LARGE_MEMBER),
        (Limits(ratio=10, ratio_floor_bytes=MIB), RefusalReason.RATIO),
        (Limits(members=0), RefusalReason.TOO_MANY_MEMBERS),
    ],
)
def test_limits_are_the_callers(limits: Limits, reason: RefusalReason) -> None:
    data = make_archive({"weights.bin": b"\1" * (5 * MIB)})

    assert refusal(data, limits=limits).reason is reason
    assert inspect([data]).members == 1


def test_a_bomb_is_left_after_its_first_bytes() -> None:
    bomb = Counted(zeros_bomb(2 * 2**30), chunk_bytes=1024)

    with pytest.raises(ArchiveRefused):
        inspect(bomb)

    assert bomb.taken_bytes <= 128 * 1024


def test_nothing_is_taken_after_a_refusal() -> None:
    members = packed(hostile_archives.many_members(50_000))
    archive = Counted(members, chunk_bytes=1024)

    with pytest.raises(ArchiveRefused):
        inspect(archive)

    assert archive.taken_bytes < len(members) / 2


def test_a_hostile_name_is_escaped_and_cut_in_the_message() -> None:
    refused = refusal(packed(tar_member(b"\x1b[31m" + b"x" * 90)))

    assert "\\x1b" in str(refused)
    assert "\x1b" not in str(refused)


def test_an_archive_written_to_a_stream_is_accepted() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w|gz") as archive:
        info = tarfile.TarInfo("a")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))

    assert inspect([buffer.getvalue()]).names == ("a",)
