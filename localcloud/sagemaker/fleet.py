"""The running containers of all endpoints, and the routes that invocations take to them.
Nothing here changes an endpoint's state."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from localcloud.sagemaker.artifacts import (
    ModelDataBroken,
    ModelDataMissing,
    place_model,
    remove_model,
)
from localcloud.sagemaker.images import ImageNotFound, serve_command
from localcloud.sagemaker.processes import Container, ContainerFailed, Launch
from localcloud.sagemaker.settings import Settings
from localcloud.sagemaker.storage import Deployment, Variant

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# a container that was in service before a restart may keep the others waiting so long, not longer
RESUME_TIMEOUT_S = 30.0


class DeploymentFailed(Exception):
    """A variant cannot serve; the message is the endpoint's failure reason."""


@dataclass(frozen=True)
class RoutedVariant:
    """A variant that takes invocations; slots bounds a serverless one."""

    name: str
    weight: float
    container: Container
    slots: threading.BoundedSemaphore | None


@dataclass(frozen=True)
class Route:
    """Where the invocations of one endpoint go."""

    variants: tuple[RoutedVariant, ...]
    is_serverless: bool

    def pick(self, target: str | None) -> RoutedVariant | None:
        """The asked variant, or one by weight; None when there is no such variant."""
        if target is not None:
            return next((variant for variant in self.variants if variant.name == target), None)
        if len(self.variants) == 1:
            return self.variants[0]
        weights = [variant.weight for variant in self.variants]
        if not any(weights):
            return None
        return random.choices(self.variants, weights)[0]  # noqa: S311 -- traffic, not a secret


@dataclass
class Fleet:
    """Containers by generation, routes by the endpoint's exact name."""

    settings: Settings
    s3: "S3Client"
    routes: dict[str, Route] = field(default_factory=dict)
    _containers: dict[int, Container] = field(default_factory=dict)

    def start(self, endpoint: str, deployment: Deployment) -> None:
        """Start every variant and wait until all are ready; DeploymentFailed leaves none up."""
        try:
            for variant in deployment.variants:
                self._start_variant(endpoint, variant, lambda container: container.start())
        except DeploymentFailed:
            self.stop(endpoint, deployment)
            raise

    def resume(self, endpoint: str, deployment: Deployment) -> None:
        """Start what was in service before a restart; a container that exits is tried again."""
        for variant in deployment.variants:
            self._start_variant(endpoint, variant, lambda one: one.start_in_background())
        self.route(endpoint, deployment)

    def route(self, endpoint: str, deployment: Deployment) -> None:
        """Send the endpoint's invocations to the deployment, if it runs, from now on."""
        if any(variant.generation not in self._containers for variant in deployment.variants):
            return
        variants = tuple(self._routed(variant) for variant in deployment.variants)
        self.routes[endpoint] = Route(variants, deployment.is_serverless)

    def stop(self, endpoint: str, deployment: Deployment) -> None:
        """Let the invocations under way end, stop the containers, drop the model's bytes."""
        for variant in deployment.variants:
            container = self._containers.pop(variant.generation, None)
            if container is not None:
                container.drain(timeout_s=self.settings.invoke_timeout_s)
                container.stop()
            remove_model(self.folder(endpoint, variant))

    def stop_all(self) -> None:
        """Stop every container at once, keeping the folders for a restart."""
        containers = list(self._containers.values())
        for container in containers:
            container.hang_up()
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(Container.stop, containers))

    def await_ready(self) -> None:
        """Wait until every container answers /ping, has exited or has had its time."""
        for container in list(self._containers.values()):
            container.await_ready(timeout_s=RESUME_TIMEOUT_S)

    def container(self, variant: Variant) -> Container | None:
        return self._containers.get(variant.generation)

    def folder(self, endpoint: str, variant: Variant) -> Path:
        return self.settings.state_dir / "endpoints" / endpoint / str(variant.generation)

    def _routed(self, variant: Variant) -> RoutedVariant:
        limit = variant.serverless["MaxConcurrency"] if variant.serverless else None
        slots = threading.BoundedSemaphore(limit) if limit else None
        container = self._containers[variant.generation]
        return RoutedVariant(variant.name, variant.weight, container, slots)

    def _start_variant(
        self, endpoint: str, variant: Variant, start: Callable[[Container], None]
    ) -> None:
        folder = self.folder(endpoint, variant)
        try:
            command = serve_command(variant.container["Image"], self.settings)
            place_model(folder, variant.container, s3=self.s3)
            container = Container(self._launch(folder, variant, command))
            self._containers[variant.generation] = container
            start(container)
        except (ImageNotFound, ModelDataMissing, ModelDataBroken) as error:
            raise DeploymentFailed(str(error)) from error
        except OSError as error:
            raise DeploymentFailed(f"The container could not be started: {error}") from error
        except ContainerFailed as error:
            raise DeploymentFailed(
                f"The primary container for production variant {variant.name} did not pass the ping"
                " health check. Please check CloudWatch logs for this endpoint."
            ) from error

    def _launch(self, folder: Path, variant: Variant, command: list[str]) -> Launch:
        if variant.serverless is not None:
            start_timeout_s = self.settings.serverless_start_timeout_s
        else:
            start_timeout_s = variant.production.get(
                "ContainerStartupHealthCheckTimeoutInSeconds",
                self.settings.realtime_start_timeout_s,
            )
        return Launch(
            command=tuple(command),
            base_dir=folder / "ml",
            log_path=folder / "container.log",
            environment=variant.container.get("Environment", {}),
            start_timeout_s=start_timeout_s,
            stop_grace_s=self.settings.stop_grace_s,
        )


def s3_client(settings: Settings) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=settings.aws_endpoint,
        region_name=settings.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 -- the emulator's
        config=Config(
            s3={"addressing_style": "path"}, connect_timeout=2, retries={"total_max_attempts": 2}
        ),
    )
