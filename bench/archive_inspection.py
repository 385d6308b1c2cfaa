"""Time the inspection of archives: every hostile one, and large good ones beside `tarfile`.
Run as `python -m bench.archive_inspection`; exits with 1 when a hostile archive takes too long.
Nothing here is imported by the package."""

import gzip
import hashlib
import io
import random
import resource
import sys
import tarfile
import time
from collections.abc import Callable

from chalicelib.registry.archive.inspection import inspect
from chalicelib.registry.archive.refusal import ArchiveRefused
from tests.builders import hostile_archives, hostile_pickles
from tests.builders.archives import MIB, large_tar, stored_gzip
from tests.builders.hostile_archives import Hostile

HOSTILE_LIMIT_S = 0.5
SLOWEST_SHOWN = 12
GOOD_BYTES = 512 * MIB
CHUNK_BYTES = MIB
REPEATS = 3


def main() -> int:
    hostile = hostile_archives.HOSTILE + hostile_pickles.HOSTILE
    times = sorted(((_hostile_s(one), one) for one in hostile), key=lambda pair: -pair[0])
    _print_hostile(times)
    _print_good()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory of this process: {peak_mib:.0f} MiB (it holds the archives)")
    return int(times[0][0] >= HOSTILE_LIMIT_S)


def _hostile_s(hostile: Hostile) -> float:
    data = hostile.make()
    required = {"model.onnx"} if hostile.needs_model else frozenset[str]()
    started_s = time.perf_counter()
    try:
        inspect([data], required=required)
    except ArchiveRefused as refused:
        if refused.reason.value == hostile.reason:
            return time.perf_counter() - started_s
    raise AssertionError(hostile.name)


def _print_hostile(times: list[tuple[float, Hostile]]) -> None:
    print(f"{len(times)} hostile archives, all refused; slowest {SLOWEST_SHOWN}:\n")
    print(f"{'archive':<36}{'reason':<22}{'ms':>8}{'of limit':>10}")
    for taken_s, hostile in times[:SLOWEST_SHOWN]:
        share = taken_s / HOSTILE_LIMIT_S
        print(f"{hostile.name:<36}{hostile.reason:<22}{taken_s * 1e3:>8.1f}{share:>10.2f}")


def _print_good() -> None:
    print(f"\ngood archives of {GOOD_BYTES // MIB} MiB, GB/s of content (best of {REPEATS}):\n")
    print(f"{'archive':<28}{'inspect':>10}{'tarfile':>10}{'ratio':>8}{'sha-256 alone':>16}")
    for name, data in _good_archives():
        ours_s = _best_s(lambda data=data: inspect(_chunks(data)))
        theirs_s = _best_s(lambda data=data: _list_with_tarfile(data))
        digest_s = _best_s(lambda data=data: hashlib.sha256(data))
        ours, theirs, digest = (GOOD_BYTES / s / 1e9 for s in (ours_s, theirs_s, digest_s))
        print(f"{name:<28}{ours:>10.2f}{theirs:>10.2f}{ours / theirs:>8.2f}{digest:>16.2f}")


def _good_archives() -> list[tuple[str, bytes]]:
    noise = random.Random(7).randbytes(MIB)
    weights = bytes(byte & 0x1F for byte in noise)
    stored = b"".join(stored_gzip(large_tar(GOOD_BYTES, block=noise)))
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0) as packer:
        for block in large_tar(GOOD_BYTES, block=weights):
            packer.write(block)
    return [("not compressed", stored), ("compressed, level 1", buffer.getvalue())]


def _chunks(data: bytes) -> list[memoryview]:
    view = memoryview(data)
    return [view[start : start + CHUNK_BYTES] for start in range(0, len(view), CHUNK_BYTES)]


def _list_with_tarfile(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r|gz") as archive:
        return [member.name for member in archive]


def _best_s(run: Callable[[], object]) -> float:
    taken_s: list[float] = []
    for _ in range(REPEATS):
        started_s = time.perf_counter()
        run()
        taken_s.append(time.perf_counter() - started_s)
    return min(taken_s)


if __name__ == "__main__":
    sys.exit(main())
