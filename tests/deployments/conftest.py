"""An offline SageMaker for deployments alone: containers that start fast, and time-outs to match.
Everything else is the shared offline cloud's."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.kit import aws
from localcloud.sagemaker import Server, start
from localcloud.sagemaker.handle import Control
from tests.conftest import forget_everything

CONTAINERS = Path(__file__).parents[1] / "localcloud" / "sagemaker" / "containers"
SERVICES = ("SAGEMAKER", "SAGEMAKER_RUNTIME", "APPLICATION_AUTO_SCALING")


@pytest.fixture(scope="session")
def sagemaker(cloud: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    flags = ["--aws-endpoint", cloud.aws_endpoint_url, "--containers", str(CONTAINERS)]
    for name in ("echo", "broken", "mute"):
        flags += ["--python", f"{name}={sys.executable}"]
    limits = ["--realtime-start-timeout-s", "4", "--serverless-start-timeout-s", "20"]
    state = tmp_path_factory.mktemp("sagemaker")
    with start(state, flags=[*flags, *limits, "--stop-grace-s", "0.1"]) as server:
        server.control.set_delays(creating=0, updating=0, deleting=0)
        yield server


@pytest.fixture
def tenant(tenant: str, sagemaker: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for service in SERVICES:
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", sagemaker.url)
    forget_everything()
    yield tenant
    sagemaker.control.clear_faults()
    sagemaker.control.unfreeze()
    _delete_endpoints()


@pytest.fixture
def control(sagemaker: Server) -> Control:
    return sagemaker.control


@pytest.fixture
def make_world(world: Any) -> Callable[[int], Any]:
    """Further models of the same tenant, by number, none of whose names is part of another's."""
    return lambda number: type(world)(world.cloud, world.tenant, f"{world.tenant}x{number}")


def _delete_endpoints() -> None:
    """Their containers are processes, of which a few hundred would stand at the end."""
    for page in aws.sagemaker().get_paginator("list_endpoints").paginate():
        for endpoint in page["Endpoints"]:
            with contextlib.suppress(ClientError):
                aws.sagemaker().delete_endpoint(EndpointName=endpoint["EndpointName"])
