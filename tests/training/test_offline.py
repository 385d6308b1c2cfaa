"""Jobs that really run, in the offline SageMaker, with a container that only obeys its settings."""

import io
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.training.model import State
from localcloud.sagemaker import Server, start
from tests.conftest import forget_everything
from tests.training.conftest import School

CONTAINERS = Path(__file__).parents[1] / "localcloud" / "sagemaker" / "containers"


@pytest.fixture(scope="session")
def sagemaker(cloud: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    flags = ["--aws-endpoint", cloud.aws_endpoint_url, "--containers", str(CONTAINERS)]
    flags += ["--python", f"trainee={sys.executable}", "--training-stop-grace-s", "0.5"]
    with start(tmp_path_factory.mktemp("sagemaker"), flags=flags) as server:
        server.control.set_delays(creating=0, updating=0, deleting=0)
        yield server


@pytest.fixture
def school(school: School, sagemaker: Server, monkeypatch: pytest.MonkeyPatch) -> School:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", sagemaker.url)
    forget_everything()
    return school


def train(school: School, **wishes: str) -> None:
    school.configure(image="sommelier-trainee:1", hyperparameters=wishes)
    school.log(30, name="a.jsonl")
    school.log(30, name="2026/b.jsonl")
    school.train()


def until(school: School, state: State, world: Any) -> None:
    def is_there() -> bool:
        school.follow()
        return school.job().state is state

    world.wait_until(is_there)


def test_what_was_trained_becomes_a_version(school: School, world: Any):
    train(school)
    until(school, State.COMPLETED, world)

    archive = school.archive("1.0.0")
    assert archive is not None
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        file = opened.extractfile("facts.json")
        assert file is not None
        found = json.loads(file.read())["files"]
    assert json.loads(found["input/config/hyperparameters.json"]) == {"seed": "1"}
    assert {name for name in found if name.startswith("input/data/")} == {
        "input/data/episodes/a.jsonl",
        "input/data/episodes/2026/b.jsonl",
    }


def test_what_the_container_says_of_its_failure_is_kept(school: School, world: Any):
    train(school, **{"exit_code": "1", "output/failure": "LogRefused: line 3 has no reward"})
    until(school, State.FAILED, world)

    failure = school.job().failure
    assert failure is not None
    assert "LogRefused: line 3 has no reward" in failure.detail


def test_a_job_that_is_stopped_by_hand_ends_without_a_version(school: School, world: Any):
    train(school, sleep_s="60")
    name = school.job().name

    school.act("stop_job", job_name=name)
    until(school, State.STOPPED, world)

    assert school.versions() == []
