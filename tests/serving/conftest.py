"""A champion without a container, behind a runtime that answers what a test tells it to.
For all that no container of ours does by itself."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from chalicelib.kit import aws, tables
from chalicelib.kit.clock import utc_now
from chalicelib.kit.settings import settings
from chalicelib.registry import store
from chalicelib.registry.model import Live, Model
from tests.builders import runtime
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

    def ask(
        self, content: bytes = b'{"instances": [[1.0]]}', *, accept: str | None = None, **more: str
    ) -> Reply:
        headers = {"Content-Type": more.get("content_type", "application/json")}
        if accept is not None:
            headers["Accept"] = accept
        return send("POST", f"/api/models/{self.world.model}/predictions", content, headers=headers)


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
