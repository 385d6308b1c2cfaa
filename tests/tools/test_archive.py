"""The Lambda zip: the same bytes each time, and refused when it must not ship."""

import os
import zipfile
from pathlib import Path

import pytest

from tools.archive import PackageRefused, build, check, compile_tree, missing_libraries, write_zip


def test_the_same_files_make_the_same_zip_whatever_their_dates(tmp_path: Path) -> None:
    one, two = make_tree(tmp_path / "one"), make_tree(tmp_path / "two")
    for path in two.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)

    write_zip(tmp_path / "one.zip", one)
    write_zip(tmp_path / "two.zip", two)

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_compiling_is_reproducible_and_says_where_lambda_finds_the_source(tmp_path: Path) -> None:
    one, two = make_tree(tmp_path / "one"), make_tree(tmp_path / "elsewhere" / "two")

    compile_tree(one)
    compile_tree(two)

    compiled = sorted(path.relative_to(one) for path in one.rglob("*.pyc"))
    assert len(compiled) == 2
    assert all((one / path).read_bytes() == (two / path).read_bytes() for path in compiled)
    assert b"/var/task/package/module.py" in (one / compiled[-1]).read_bytes()


def test_the_zip_of_a_project_holds_the_app_and_chalices_router_only(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")

    build(project, tmp_path / "package.zip", cache=tmp_path / "cache")

    with zipfile.ZipFile(tmp_path / "package.zip") as package:
        names = [name for name in package.namelist() if name.endswith(".py")]
    assert names == ["app.py", "chalice/__init__.py", "chalice/app.py", "chalicelib/__init__.py"]


def test_a_pinned_library_that_left_no_trace_is_missing() -> None:
    names = ["typing_extensions.py", "typing_extensions-4.16.0.dist-info/METADATA", "numpy/a.py"]
    requirements = "# why\ntyping-extensions==4.16.0\nnumpy==2.2.6  # arrays\n"

    assert missing_libraries(names, requirements) == ["numpy==2.2.6"]


def test_another_version_of_a_pinned_library_is_missing() -> None:
    names = ["pydantic_core-2.50.3.dist-info/METADATA"]

    assert missing_libraries(names, "pydantic-core==2.50.4") == ["pydantic-core==2.50.4"]


def test_a_package_without_a_pinned_library_is_refused(tmp_path: Path) -> None:
    write_zip(tmp_path / "package.zip", make_tree(tmp_path / "tree"))

    with pytest.raises(PackageRefused, match=r"missing from the zip: numpy==2\.2\.6"):
        check(tmp_path / "package.zip", "numpy==2.2.6\n")


def test_a_zip_over_its_limit_is_refused(tmp_path: Path) -> None:
    write_zip(tmp_path / "package.zip", make_tree(tmp_path / "tree"))

    with pytest.raises(PackageRefused, match=r"zip is 0\.0 MiB, over the limit"):
        check(tmp_path / "package.zip", "", zip_limit_bytes=10)


def test_a_package_over_its_unzipped_limit_is_refused(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    (tree / "zeros.bin").write_bytes(bytes(3 * 1024 * 1024))
    write_zip(tmp_path / "package.zip", tree)

    with pytest.raises(PackageRefused, match=r"unzipped package is 3\.0 MiB, over the limit"):
        check(tmp_path / "package.zip", "", unzipped_limit_bytes=2 * 1024 * 1024)


def make_tree(folder: Path) -> Path:
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "__init__.py").touch()
    (folder / "package" / "module.py").write_text("KINDS = {'a', 'b', 'c'}\n\n\ndef f(): ...\n")
    return folder


def make_project(folder: Path) -> Path:
    (folder / "chalicelib" / "__pycache__").mkdir(parents=True)
    (folder / "chalicelib" / "__init__.py").touch()
    (folder / "chalicelib" / "__pycache__" / "stale.cpython-311.pyc").touch()
    (folder / "app.py").write_text("app = None\n")
    (folder / "requirements.txt").write_text("# nothing\n")
    return folder
