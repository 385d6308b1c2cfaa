"""Rules that hold for any bytes: one verdict for any chunks, and no error but ArchiveRefused.
Nothing here knows a particular attack; those are in the tables of test_archive."""

import gzip
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.registry.archive.inspection import Inspection, inspect
from chalicelib.registry.archive.limits import Budget, Limits
from chalicelib.registry.archive.pickles import PickleScanner
from chalicelib.registry.archive.refusal import ArchiveRefused, RefusalReason
from tests.builders import hostile_archives, hostile_pickles
from tests.builders.archives import make_archive, make_onnx

GOOD = make_archive({"./model.onnx": make_onnx(bytes(range(256)) * 20), "sample.json": b"{}"})
GOOD_TAR = gzip.decompress(GOOD)
SMALL = [GOOD] + [
    data
    for hostile in hostile_archives.HOSTILE + hostile_pickles.HOSTILE
    if len(data := hostile.make()) < 4_000
]
NAME = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)


def verdict(chunks: list[bytes]) -> Inspection | RefusalReason:
    try:
        return inspect(chunks)
    except ArchiveRefused as refused:
        return refused.reason


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(st.sampled_from(SMALL), st.lists(st.integers(0, 10_000), max_size=12))
def test_the_verdict_does_not_depend_on_the_chunks(data: bytes, places: list[int]) -> None:
    assert verdict(cut(data, places)) == verdict([data])


@given(st.integers(0, len(GOOD) - 1))
def test_every_beginning_of_an_archive_is_refused(length: int) -> None:
    assert verdict([GOOD[:length]]) in {RefusalReason.EMPTY, RefusalReason.TRUNCATED}


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=8))
def test_changed_compressed_bytes_never_raise_another_error(
    changes: list[tuple[int, int]],
) -> None:
    data = bytearray(GOOD)
    for at, byte in changes:
        data[at] = byte

    assert verdict([bytes(data)])


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(GOOD_TAR) - 1), st.integers(0, 255)), max_size=8))
def test_changed_tar_bytes_never_raise_another_error(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD_TAR)
    for at, byte in changes:
        data[at] = byte

    assert verdict([gzip.compress(bytes(data), 1)])


@given(st.binary(max_size=2_000))
def test_any_content_never_raises_another_error(content: bytes) -> None:
    assert verdict([make_archive({"weights.bin": content, "model.onnx": content})])


@given(st.dictionaries(NAME, st.binary(max_size=100), max_size=5))
def test_any_names_never_raise_another_error(files: dict[str, bytes]) -> None:
    assert verdict([make_archive(files)])


@given(st.sampled_from([b"\x80\x04", b"\x80\x02", b"]", b"(", b""]), st.binary(max_size=300))
def test_any_opcodes_never_raise_another_error(beginning: bytes, content: bytes) -> None:
    assert verdict([make_archive({"weights.bin": beginning + content})])


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.binary() | st.floats(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.integers(2, 5),
)
def test_every_pickle_that_names_its_protocol_is_found(value: object, protocol: int) -> None:
    import pickle  # noqa: PLC0415

    data = pickle.dumps(value, protocol)

    assert verdict([make_archive({"weights.bin": data})]) is RefusalReason.PICKLE


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=6))
def test_the_walk_of_opcodes_does_not_depend_on_how_it_is_fed(
    content: bytes, places: list[int]
) -> None:
    def found(parts: list[bytes]) -> bool:
        scanner = PickleScanner("weights.bin", Budget(Limits()))
        try:
            for part in parts:
                scanner.feed(part)
            scanner.finish()
        except ArchiveRefused:
            return True
        return False

    assert found(cut(content, places)) == found([content])
