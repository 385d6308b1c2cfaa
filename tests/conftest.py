"""What all tests share: one offline cloud per session, one tenant per test.
The cloud runs without our functions here; tests call the handlers as Lambda would."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from chalicelib.deployments import service as deployments
from chalicelib.deployments import triggers
from chalicelib.deployments.model import Deployment, State
from chalicelib.kit import aws, secrets
from chalicelib.kit.settings import settings
from chalicelib.rewards import service as rewards
from chalicelib.serving import service as serving
from localcloud.cloud import Cloud, running
from localcloud.sagemaker.handle import Control
from tests.builders import events

# Derandomized: what a change is judged by must not hang on the dice.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")

collect_ignore = ["containers/ppo"]
"""Runs with the container's own interpreter."""

ROOT = Path(__file__).resolve().parents[1]
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running(ROOT, state=tmp_path_factory.mktemp("cloud"), app=False) as started:
        Control(started.sagemaker_url).set_delays(creating=0.05, updating=0.05, deleting=0.05)
        yield started


@pytest.fixture
def tenant(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A tenant of the test's own, in whose name everything in this process acts."""
    name = f"t{next(_NUMBERS)}"
    act_as(name, cloud, monkeypatch)
    yield name
    control = Control(cloud.sagemaker_url)
    control.clear_faults()
    forget_everything()


@pytest.fixture
def app_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Settings for code that calls nothing: every address in it leads nowhere."""
    values = {
        "STAGE": "local",
        "TENANT_ID": "offline",
        "CONTROL_TABLE": "control",
        "LEDGER_TABLE": "ledger",
        "OUTCOMES_TABLE": "outcomes",
        "UNIT_KEY_SECRET": "unit-key",
        "OUTCOMES_QUEUE_URL": "http://127.0.0.1:9/outcomes",
        "SHADOW_QUEUE_URL": "http://127.0.0.1:9/shadows",
        "BUCKET": "bucket",
        "RECEIPT_KEYS_SECRET": "keys",
        "SAGEMAKER_ROLE_ARN": "arn:aws:iam::123456789012:role/sagemaker",
        "DEFAULT_IMAGE": "image",
        "RESOURCE_PREFIX": "test",
        "MANAGER_FUNCTION": "manager",
        "RETRAINING_FUNCTION": "retraining",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    for variable, value in values.items():
        monkeypatch.setenv(variable, value)
    forget_everything()
    yield values
    forget_everything()


@pytest.fixture
def control(cloud: Cloud) -> Control:
    """The offline SageMaker's own door: faults, clock, calls."""
    return Control(cloud.sagemaker_url)


@pytest.fixture
def model(tenant: str) -> str:
    """A model name that no other test uses: objects in S3 are not kept apart by tenant."""
    return f"model-{tenant}"


class World:
    """What a test does to the system from outside, and what it can see of it."""

    def __init__(self, cloud: Cloud, tenant: str, model: str) -> None:
        self.cloud, self.tenant, self.model = cloud, tenant, model

    def put(self, key: str, content: bytes) -> dict[str, Any]:
        """Upload without telling anyone; the event that S3 would send."""
        answer = aws.s3().put_object(Bucket=settings().bucket, Key=key, Body=content)
        return events.object_created(settings().bucket, key, version_id=answer["VersionId"])

    def put_archive(self, version: str, content: bytes) -> dict[str, Any]:
        return self.put(f"models/{self.model}/{version}/model.tar.gz", content)

    def put_settings(self, **settings_: Any) -> dict[str, Any]:
        return self.put(f"models/{self.model}/model.json", json.dumps(settings_).encode())

    def upload(self, version: str, content: bytes) -> None:
        triggers.on_upload(self.put_archive(version, content), None)

    def deployment(self, version: str) -> Deployment:
        return deployments.get_deployment(self.tenant, self.model, version)

    def settle(self, *versions: str) -> None:
        """Let endpoints come and go, telling nobody but the reconciler."""
        self.wait_until(lambda: self._reconciled(versions))

    def _reconciled(self, versions: tuple[str, ...]) -> bool:
        triggers.reconcile(events.scheduled(), None)
        ends = {State.LIVE, State.FAILED, State.RETIRED}
        found = [self.deployment(version) for version in versions]
        return all(one.state in ends and not one.waste for one in found)

    def wait_until(self, condition: Callable[[], bool], *, seconds: float = 60) -> None:
        ends_at = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < ends_at, "it did not come true in time"
            time.sleep(0.02)

    def live(self, version: str, content: bytes) -> None:
        """Upload a version and see it through."""
        self.upload(version, content)
        self.settle(version)

    def names_in_sagemaker(self) -> dict[str, list[str]]:
        """All models, configs and endpoints that stand for versions of this test's model."""
        part = f"-{self.model[:16]}-"
        sagemaker = aws.sagemaker()
        return {
            "models": [m["ModelName"] for m in sagemaker.list_models(NameContains=part)["Models"]],
            "configs": [
                c["EndpointConfigName"]
                for c in sagemaker.list_endpoint_configs(NameContains=part)["EndpointConfigs"]
            ],
            "endpoints": [
                e["EndpointName"] for e in sagemaker.list_endpoints(NameContains=part)["Endpoints"]
            ],
        }


@pytest.fixture
def world(cloud: Cloud, tenant: str, model: str) -> World:
    return World(cloud, tenant, model)


def act_as(tenant: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings and clients of this process, from here on, are the tenant's."""
    for variable, value in {**cloud.environ(), **cloud.app_environment}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("TENANT_ID", tenant)
    monkeypatch.setenv("LEASE_S", "1")
    monkeypatch.setenv("ROUTING_TTL_S", "0.01")
    forget_everything()


def forget_everything() -> None:
    """What a new Lambda process starts without: settings, clients, keys, routes."""
    settings.cache_clear()
    for client in (
        aws.dynamodb,
        aws.s3,
        aws.secrets,
        aws.sagemaker,
        aws.sagemaker_runtime,
        aws.autoscaling,
        aws.functions,
        aws.queues,
        aws.metrics,
    ):
        client.cache_clear()
    secrets.forget()
    serving.forget_routes()
    rewards.forget_answers()
