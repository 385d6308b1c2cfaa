"""Archives with pickles in every wrapping, and model files that are none: all must be refused.
Nothing here is executed; the pickles name a command that leaves a file where it runs."""

import bz2
import gzip
import lzma
import os
import pickle
import random
import zipfile
import zlib

from tests.builders.archives import (
    BLOCK,
    MIB,
    make_archive,
    make_onnx,
    packed,
    packed_files,
    tar_member,
)
from tests.builders.hostile_archives import Hostile, file_of, zip_of

WITNESS = "pickle-ran"
COMMAND = f"touch {WITNESS}"
TEXT_PICKLE = f"cos\nsystem\n(S'{COMMAND}'\ntR.".encode()
OBJECTS = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
SPLIT_OBJECTS = b"{'descr': '|' 'O', 'fortran_order': False, 'shape': (1,), }"
COMMA_OBJECTS = b"{'descr': 'f4,O', 'fortran_order': False, 'shape': (1,), }"
ESCAPED_OBJECTS = b"{'descr': '\\x4f', 'fortran_order': False, 'shape': (1,), }"


class Touches:
    """Its pickle runs a command when it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (COMMAND,)


def touching(protocol: int) -> bytes:
    return pickle.dumps([0.5, Touches()], protocol)


def numpy_file(header: bytes) -> bytes:
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header


def zip_of_signatures(count: int) -> bytes:
    """A zip file that is nothing but beginnings of entries, each claiming a long name."""
    entry = b"PK\3\4" + bytes(22) + b"\xff\xff\xff\xff"
    return entry * count


def many_files(content: bytes, count: int) -> bytes:
    return packed(*(tar_member(b"%d" % index, content) for index in range(count)))


def _wrapped() -> list[Hostile]:
    plain = touching(4)
    wrappings = {
        "gzip": gzip.compress(plain),
        "zlib": zlib.compress(plain),
        "bzip2": bz2.compress(plain),
        "xz": lzma.compress(plain),
        "lzma": lzma.compress(plain, lzma.FORMAT_ALONE),
        "gzip after an empty one": gzip.compress(b"") + gzip.compress(plain),
        "gzip of an old one": gzip.compress(TEXT_PICKLE),
        "gzip behind 1 MiB of text": gzip.compress(b"V" + b"x" * MIB + b"\n0" + TEXT_PICKLE),
        "lz4": b"\x04\x22\x4d\x18" + plain,
        "old joblib": b"ZF0x10".ljust(21) + zlib.compress(plain),
        "xz of much memory": lzma.compress(
            plain, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 64 * MIB}]
        ),
        "zip": zip_of("archive/data.pkl", plain),
        "zip under another name": zip_of("weights", plain),
        "zip, stored": zip_of("weights", plain, zipfile.ZIP_STORED),
        "zip by bzip2": zip_of("weights", plain, zipfile.ZIP_BZIP2),
        "npz": zip_of("a.npy", numpy_file(OBJECTS) + plain),
        "npy": numpy_file(OBJECTS) + plain,
        "npy, split name": numpy_file(SPLIT_OBJECTS) + plain,
        "npy, list of types": numpy_file(COMMA_OBJECTS) + plain,
        "npy, escaped name": numpy_file(ESCAPED_OBJECTS) + plain,
        "npy, long header": numpy_file(OBJECTS.ljust(40_000)) + plain,
    }
    return [
        Hostile(f"pickle in {name}", "pickle", file_of(data)) for name, data in wrappings.items()
    ]


def _bare() -> list[Hostile]:
    contents = {f"protocol {protocol}": touching(protocol) for protocol in range(6)}
    contents |= {
        "of plain data": pickle.dumps({"a": [1.5]}, 2),
        "of plain data, old": pickle.dumps({"a": [1.5]}, 0),
        "without its protocol": touching(2)[2:],
        "behind 300 KB": pickle.dumps([b"x" * 300_000, Touches()], 2)[2:],
        "behind a long line": b"V" + b"x" * 300_000 + b"\n0" + TEXT_PICKLE,
        "by INST": f"(S'{COMMAND}'\nios\nsystem\n.".encode(),
        "by INST at the very end": f"(S'{COMMAND}'\nios\nsystem".encode(),
        "by OBJ": b"(cos\nsystem\n" + f"S'{COMMAND}'\no.".encode(),
        "by BUILD": b"cos\nenviron\n}S'PATH'\nS''\nsb.",
        "by SETITEM": b"cos\nenviron\nS'PATH'\nS'/tmp'\ns.",
        "from the memo": b"cos\nsystem\np0\n0(S'" + COMMAND.encode() + b"'\ntp1\n0g0\ng1\nR.",
        "cut off": touching(4)[:-40],
        "that fails after its call": touching(4)[:-2] + b"\xff",
        "of opcodes without end": b"N" * MIB,
    }
    return [Hostile(f"pickle {name}", "pickle", file_of(data)) for name, data in contents.items()]


def _named() -> list[Hostile]:
    names = [b"model.pkl", b"a/MODEL.Pickle", b"model.joblib", b"model.pkl.gz", b"model.dill"]
    return [
        Hostile(f"named {name!r}", "pickle", lambda name=name: packed_files(name)) for name in names
    ]


def _onnx() -> list[Hostile]:
    contents = {
        "empty": b"",
        "text": b"not a model",
        "zeros": bytes(BLOCK),
        "cut off": make_onnx(bytes(1000))[:-500],
        "without a graph": b"\x08\x08\x12\x04test",
        "without a version": make_onnx()[2:],
        "of version 0": b"\x08\x00" + make_onnx()[2:],
        "a number without end": b"\x08" + b"\xff" * 20,
        "many fields": b"\x08\x08" * 20_000 + make_onnx(),
    }
    return [
        Hostile(
            f"model.onnx {name}",
            "model-file-invalid",
            lambda data=data: make_archive({"model.onnx": data}),
        )
        for name, data in contents.items()
    ]


def bzip2_of_noise() -> bytes:
    noise = random.Random(7).randbytes(880_000).replace(b"\n", b"")
    return bz2.compress(b"V" + noise)


COSTLY = [
    Hostile("bzip2 files of noise", "pickle", lambda: many_files(bzip2_of_noise(), 3)),
    Hostile("5 bzip2 files", "pickle", lambda: many_files(bz2.compress(b"0" + bytes(900_000)), 5)),
    Hostile("65 gzip files", "pickle", lambda: many_files(gzip.compress(b"N" * 900), 65)),
    Hostile(
        "64 nested bombs", "pickle", lambda: many_files(gzip.compress(b"V" + bytes(8 * MIB)), 64)
    ),
    Hostile("4,000 long opcode runs", "pickle", lambda: many_files(b"N" * 60 + b"\xff", 4_000)),
    Hostile("zip of signatures", "too-many-members", file_of(zip_of_signatures(300_000))),
    Hostile("missing model", "wrong-model-file", lambda: packed_files(b"model/model.onnx"), True),
]
HOSTILE = _bare() + _wrapped() + _named() + _onnx() + COSTLY
