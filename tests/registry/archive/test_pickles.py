"""Pickles are found by their opcodes and never run; other files are not taken for one.
Nothing here loads a pickle."""

import gzip
import json
import struct
import zipfile
from pathlib import Path

import pytest

from chalicelib.registry.archive.inspection import inspect
from chalicelib.registry.archive.refusal import ArchiveRefused
from tests.builders import hostile_pickles
from tests.builders.archives import make_archive, make_onnx
from tests.builders.hostile_pickles import WITNESS, numpy_file, touching, zip_of

SAFETENSORS = struct.pack("<Q", 40) + json.dumps({"a": {"dtype": "F32"}}).ljust(40).encode()
STRUCTURED = b"{'descr': [('Ohm', '<f4'), ('b', '<U3')], 'fortran_order': False, 'shape': (1,), }"
INNOCENT = {
    "model.onnx": make_onnx(),
    "weights.safetensors": SAFETENSORS,
    "labels.txt": b"cat\ndog\ncow\nbird\n",
    "vocab.txt": b"ca\ncb\ncc\ncd\nRe\n",
    "readme.txt": b"N.B. this text begins with two opcodes and more.",
    "text.txt": b"This begins with the opcode of a long string.",
    "text.txt.gz": gzip.compress(b"This too, in a file that is compressed. " * 4_000),
    "data.csv": b"x,y\n1,2\n",
    "list.md": b"(a) first\n(b) second\n",
    "inference.py": b"import os\n\nclass Model:\n    pass\n",
    "array.npy": numpy_file(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }")
    + bytes(8),
    "table.npy": numpy_file(STRUCTURED) + bytes(16),
    "arrays.npz": zip_of("a.npy", numpy_file(STRUCTURED) + bytes(16)),
    "archive.zip": zip_of("notes.txt", b"N.B. text", zipfile.ZIP_STORED),
    "numbers.bin": struct.pack("<4f", 0.1, 0.2, 0.3, 0.4),
    "lzma-like.bin": b"]\0\0\0\0",
    "zlib-like.bin": b"x\x9cno such data",
}


@pytest.mark.parametrize("name", INNOCENT)
def test_a_file_that_is_no_pickle_passes(name: str) -> None:
    facts = inspect([make_archive({name: INNOCENT[name]})])

    assert facts.names == (name,)


def test_pickles_pass_where_the_caller_allows_them() -> None:
    facts = inspect([make_archive({"model.pkl": touching(4)})], allow_pickles=True)

    assert facts.names == ("model.pkl",)


def test_inspecting_a_pickle_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    for hostile in hostile_pickles.HOSTILE:
        with pytest.raises(ArchiveRefused):
            inspect([hostile.make()], required={"model.onnx"} if hostile.needs_model else ())

    assert not (tmp_path / WITNESS).exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_found_in_any_cut_of_its_chunks(protocol: int) -> None:
    data = make_archive({"weights.bin": touching(protocol)})

    with pytest.raises(ArchiveRefused, match="pickle"):
        inspect(data[at : at + 1] for at in range(len(data)))
