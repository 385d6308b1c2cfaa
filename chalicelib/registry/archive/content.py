"""Choose what one file of an archive is looked at for: pickles, and the shape of a model.
Nothing here knows how each is recognised."""

from collections.abc import Collection
from typing import Protocol

from chalicelib.registry.archive.compressed import compressed_scanner
from chalicelib.registry.archive.limits import Budget
from chalicelib.registry.archive.numpy_arrays import refuse_objects
from chalicelib.registry.archive.onnx_model import OnnxScanner
from chalicelib.registry.archive.pickles import PickleScanner, refuse_pickle_name
from chalicelib.registry.archive.refusal import shown
from chalicelib.registry.archive.zip_files import MAGICS as ZIP_MAGICS
from chalicelib.registry.archive.zip_files import ZipScanner

HEAD_BYTES = 16 * 1024
ONNX_SUFFIX = ".onnx"
MODEL_FILE = "model.onnx"


class Scanner(Protocol):
    """Raises ArchiveRefused once what it was fed breaks a rule."""

    def feed(self, data: bytes, /) -> bool:
        """Say whether the verdict is still open."""
        ...

    def finish(self) -> None:
        """Be told that the file has ended."""
        ...


def choose_scanners(
    name: str, head: bytes, *, required: Collection[str], budget: Budget | None
) -> list[Scanner]:
    """head: the first HEAD_BYTES of the file, or all of it; without a budget, pickles may pass."""
    scanners: list[Scanner] = []
    if name.endswith(ONNX_SUFFIX) and (name in required or name == MODEL_FILE):
        scanners.append(OnnxScanner(shown(name)))
    if budget is not None:
        scanners += _pickle_scanners(name, head, budget)
    return scanners


def _pickle_scanners(name: str, head: bytes, budget: Budget) -> list[Scanner]:
    refuse_pickle_name(name)
    label = shown(name)
    refuse_objects(label, head)
    scanners: list[Scanner] = [PickleScanner(label, budget)]
    if head.startswith(ZIP_MAGICS):
        scanners.append(ZipScanner(label, budget))
    compressed = compressed_scanner(label, head, budget)
    if compressed is not None:
        scanners.append(compressed)
    return scanners
