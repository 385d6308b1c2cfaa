"""The offline cloud is stopped in the middle of a deployment and started again.
What was half-way must come to its right end, and what was live must answer."""

from pathlib import Path

import pytest

from localcloud.cloud import running
from tests.builders.doors import Doors, until
from tests.builders.models import linear_archive

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.e2e


def test_a_deployment_survives_a_restart_of_the_cloud(tmp_path):
    state = tmp_path / "state"
    with running(ROOT, state=state) as cloud:
        doors = Doors(cloud)
        doors.upload("resumed", "1.0.0", linear_archive(2.0), tmp_path)
        doors.at_rest("resumed", "1.0.0")
        doors.control.set_delays(creating=30, updating=1, deleting=1)
        doors.upload("resumed", "1.1.0", linear_archive(3.0), tmp_path)
        path = "/api/models/resumed/versions/1.1.0"
        until(lambda: b'"deploying"' in doors.http("GET", path)[2])

    with running(ROOT, state=state) as cloud:
        doors = Doors(cloud)
        doors.control.advance(60)
        at_rest = doors.at_rest("resumed", "1.1.0")
        answer = doors.json("POST", "/api/models/resumed/predictions", {"instances": [[1.0]]})

    assert at_rest["stage"] == "candidate"
    assert answer["output"] == {"predictions": [2.0]}
