"""A 1 GB archive is read in constant memory, measured in a process of its own.
Nothing here is timed; the benchmark is."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PEAK_LIMIT_BYTES = 64 * 2**20
SCRIPT = """
import random, tracemalloc
from chalicelib.registry.archive.inspection import inspect
from tests.builders.archives import MIB, large_tar, stored_gzip

block = random.Random(7).randbytes(MIB)
tracemalloc.start()
facts = inspect(stored_gzip(large_tar(1024 * MIB, block=block)))
print(facts.unpacked_bytes, tracemalloc.get_traced_memory()[1])
"""


def test_an_archive_of_1_gib_takes_less_than_64_mib() -> None:
    command = [sys.executable, "-c", SCRIPT]

    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    unpacked_bytes, peak_bytes = map(int, done.stdout.split())

    assert unpacked_bytes == 2**30
    assert peak_bytes < PEAK_LIMIT_BYTES
