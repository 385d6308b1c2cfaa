"""One offline cloud with the toy app for all tests of this folder, kept in a temporary folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.cloud import Cloud, running

TOY = Path(__file__).parent / "toy"


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the toy project; nothing is written beside its source."""
    return Path(shutil.copytree(TOY, tmp_path_factory.mktemp("project") / "toy"))


@pytest.fixture(scope="session")
def cloud(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The toy app, packaged and deployed."""
    with running(toy, state=tmp_path_factory.mktemp("cloud")) as started:
        yield started
