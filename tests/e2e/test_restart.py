"""The offline cloud is stopped in the middle of a deployment and started again.
What was half-way must come to its right end, and what was live must answer."""

import json
import time
from pathlib import Path
from typing import Any

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
        until(lambda: _waits_for_its_endpoint(doors))

    with running(ROOT, state=state) as cloud:
        doors = Doors(cloud)
        doors.control.advance(60)
        at_rest = doors.at_rest("resumed", "1.1.0")
        answer = doors.json("POST", "/api/models/resumed/predictions", {"instances": [[1.0]]})

    assert at_rest["stage"] == "candidate"
    assert answer["output"] == {"predictions": [2.0]}


def _waits_for_its_endpoint(doors: Doors) -> bool:
    """Asked for, and nobody at work, nor on the way to it: a deployer that dies at work holds its
    lease for minutes, which is what the tests of crashes are about."""
    found = _deployment(doors)
    if found is None or found["state"] != "creating" or found["lease"] is not None:
        return False
    time.sleep(3)  # SageMaker's events start functions, which start cold
    return _deployment(doors) == found


def _deployment(doors: Doors) -> Any:
    status, _, content = doors.http("GET", "/api/models/resumed/versions/1.1.0/deployment")
    return json.loads(content) if status == 200 else None
