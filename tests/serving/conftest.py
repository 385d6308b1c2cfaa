"""A champion without a container, behind a runtime that answers what a test tells it to, and a
queue that takes what a test lets it take. For all that no container of ours does by itself."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from chalicelib.experiments.traffic import Route
from chalicelib.kit import aws, tables
from chalicelib.kit.clock import utc_now
from chalicelib.kit.settings import settings
from chalicelib.registry import model as registry
from chalicelib.registry import store
from chalicelib.registry.model import Live, Model, Version
from chalicelib.serving import service as serving
from tests.builders import experiments, queues, runtime
from tests.builders.http import Reply, send
from tests.conftest import World


@dataclass
class Stage:
    """A model whose champion is the endpoint `first`."""

    world: World
    runtime: runtime.Runtime

    def move(self, endpoint: str, *, hosting: str = "serverless") -> None:
        """The registry knows another endpoint of the champion from now on."""
        live = Live.model_validate({"version": "1.0.0", "endpoint": endpoint, "hosting": hosting})
        tenant, name, now = self.world.tenant, self.world.model, utc_now()
        model = Model(name=name, champion=live, created_at=now, updated_at=now)
        read = store.read_model(tenant, name)
        tables.commit([store.put_model(tenant, read, model)])

    def put_arm(self, version: str, endpoint: str, *, stage: str = "candidate") -> None:
        """The registry knows a version, which is in service as a candidate or a champion only."""
        live = Live(version=version, endpoint=endpoint, hosting="serverless")
        tenant, name, now = self.world.tenant, self.world.model, utc_now()
        made = Version(
            model=name,
            version=version,
            stage=registry.Stage(stage),
            live=live,
            registered_at=now,
            updated_at=now,
        )
        read = store.read_version(tenant, name, version)
        tables.commit([store.put_version(tenant, read, made)])

    def run(self, *routes: Route) -> None:
        """These experiments run from now on, and serving knows it."""
        experiments.run(self.world.tenant, self.world.model, *routes)
        serving.forget_routes()

    def ask(
        self,
        content: bytes = b'{"instances": [[1.0]]}',
        *,
        accept: str | None = None,
        unit: str | None = None,
        arm: str | None = None,
        version: str | None = None,
        **more: str,
    ) -> Reply:
        headers = {"Content-Type": more.get("content_type", "application/json")}
        told = {"Unit": unit, "Arm": arm, "Covariate": more.get("covariate")}
        told["Segment"] = more.get("segment")
        headers |= {f"Sommelier-{name}": text for name, text in told.items() if text is not None}
        if accept is not None:
            headers["Accept"] = accept
        query = None if version is None else {"version": [version]}
        path = f"/api/models/{self.world.model}/predictions"
        return send("POST", path, content, headers=headers, query=query)


@pytest.fixture
def stage(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with runtime.serving() as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", served.url)
        monkeypatch.setenv("ROUTING_TTL_S", "1000")
        settings.cache_clear()
        aws.sagemaker_runtime.cache_clear()
        made = Stage(world, served)
        made.move("first")
        yield made
        aws.sagemaker_runtime.cache_clear()


@pytest.fixture
def queue(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[queues.Queue]:
    """The queues of the stage, both in one."""
    with queues.serving() as served:
        for variable in ("AWS_ENDPOINT_URL_SQS", "OUTCOMES_QUEUE_URL", "SHADOW_QUEUE_URL"):
            monkeypatch.setenv(variable, served.url)
        settings.cache_clear()
        aws.queues.cache_clear()
        yield served
        aws.queues.cache_clear()


@pytest.fixture
def arms(stage: Stage, queue: queues.Queue) -> Stage:
    """The endpoints `first` and `second` are the arms control and treatment of `exp-1`."""
    stage.put_arm("1.0.0", "first", stage="champion")
    stage.put_arm("1.1.0", "second")
    stage.run(experiments.make_route())
    return stage
