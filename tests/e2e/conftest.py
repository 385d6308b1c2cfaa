"""The packaged app, deployed from its own template into the offline cloud, once per session.
Everything here goes through the doors that users have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.cloud import running
from tests.builders.doors import Doors

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with running(ROOT, state=tmp_path_factory.mktemp("packaged")) as started:
        yield Doors(started)
