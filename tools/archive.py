"""Build the Lambda zip: libraries once per requirements.txt, our code each time, same bytes always.
Nothing here knows CloudFormation."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import chalice
from chalice.deploy.packager import DependencyBuilder, MissingDependencyError
from chalice.utils import OSUtils

ABI = "cp311"
MIB = 1024 * 1024
ZIP_LIMIT_BYTES = 30 * MIB
UNZIPPED_LIMIT_BYTES = 200 * MIB

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;#]+)")
_DIST_INFO = re.compile(r"^([^/]+)-([^/-]+)\.dist-info/")
_CHALICE_FILES = ("__init__.py", "app.py")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class PackageRefused(Exception):
    """The package must not ship; the message is the one line that says why."""


@dataclass(frozen=True)
class Size:
    """What the zip weighs; library_bytes is unzipped, by top-level name, largest first."""

    zip_bytes: int
    unzipped_bytes: int
    library_bytes: tuple[tuple[str, int], ...]


def build(project: Path, zip_path: Path, *, cache: Path) -> Size:
    """Write the zip of a Chalice project and check it; refuse one that must not ship."""
    libraries = _libraries(project / "requirements.txt", cache)
    with tempfile.TemporaryDirectory() as scratch:
        own = Path(scratch)
        _copy_code(project, own)
        compile_tree(own)
        write_zip(zip_path, libraries, own)
    return check(zip_path, (project / "requirements.txt").read_text())


def write_zip(zip_path: Path, *trees: Path) -> None:
    """Zip the trees in name order, with one date and one mode: same files, same bytes."""
    sources = {name: path for tree in trees for name, path in _files(tree)}
    with zipfile.ZipFile(zip_path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for name in sorted(sources):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            target.writestr(entry, sources[name].read_bytes())


def check(
    zip_path: Path,
    requirements: str,
    *,
    zip_limit_bytes: int = ZIP_LIMIT_BYTES,
    unzipped_limit_bytes: int = UNZIPPED_LIMIT_BYTES,
) -> Size:
    """Measure the zip; refuse it when a pinned library is missing or a limit is passed."""
    with zipfile.ZipFile(zip_path) as package:
        entries = package.infolist()
    if missing := missing_libraries([entry.filename for entry in entries], requirements):
        raise PackageRefused(f"libraries missing from the zip: {', '.join(missing)}")
    by_library: Counter[str] = Counter()
    for entry in entries:
        by_library[entry.filename.partition("/")[0]] += entry.file_size
    size = Size(zip_path.stat().st_size, by_library.total(), tuple(by_library.most_common()))
    _within("zip", size.zip_bytes, zip_limit_bytes)
    _within("unzipped package", size.unzipped_bytes, unzipped_limit_bytes)
    return size


def missing_libraries(names: list[str], requirements: str) -> list[str]:
    """Name the pins of requirements.txt that left no dist-info in the zip.

    Chalice leaves a library without a fitting wheel out and still exits 0.
    """
    present = {(_normal(found[1]), found[2]) for name in names if (found := _DIST_INFO.match(name))}
    pins = [found for line in requirements.splitlines() if (found := _PIN.match(line.strip()))]
    return [pin[0] for pin in pins if (_normal(pin[1]), pin[2]) not in present]


def compile_tree(tree: Path) -> None:
    """Add .pyc files that need no check against their source, so a cold start compiles nothing.

    Lambda cannot write its code folder: without them every cold start compiles everything.
    """
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    # A fixed hash seed keeps the order of constants, and so the bytes, the same.
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
    arguments = ["-s", str(tree), "-p", "/var/task", str(tree)]
    subprocess.run([*command, *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)


def _libraries(requirements: Path, cache: Path) -> Path:
    """Return the folder of installed libraries, made once per content of requirements.txt."""
    key = hashlib.sha256(requirements.read_bytes())
    key.update(f"{ABI} {sys.version} {chalice.__version__}".encode())
    folder = cache / key.hexdigest()[:16]
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            building = Path(scratch) / "libraries"
            building.mkdir()
            _install(requirements, building)
            compile_tree(building)
            building.rename(folder)
    return folder


def _install(requirements: Path, folder: Path) -> None:
    try:
        DependencyBuilder(OSUtils()).build_site_packages(ABI, str(requirements), str(folder))
    except MissingDependencyError as error:
        missing = ", ".join(sorted(package.identifier for package in error.missing))
        raise PackageRefused(f"no wheel fits Lambda ({ABI}): {missing}") from error


def _copy_code(project: Path, target: Path) -> None:
    runtime = target / "chalice"
    runtime.mkdir()
    for name in _CHALICE_FILES:
        # Only Chalice's router runs in Lambda; its command-line half stays here.
        shutil.copy(Path(chalice.__file__).parent / name, runtime / name)
    shutil.copy(project / "app.py", target / "app.py")
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    shutil.copytree(project / "chalicelib", target / "chalicelib", ignore=ignored)


def _files(tree: Path) -> Iterator[tuple[str, Path]]:
    for path in tree.rglob("*"):
        if path.is_file():
            yield path.relative_to(tree).as_posix(), path


def _within(what: str, size_bytes: int, limit_bytes: int) -> None:
    if size_bytes > limit_bytes:
        raise PackageRefused(
            f"{what} is {size_bytes / MIB:.1f} MiB, over the limit of {limit_bytes / MIB:.1f}"
        )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
