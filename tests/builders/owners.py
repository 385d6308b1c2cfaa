"""What an owner of a model does before a deployment, and sees after it."""

from typing import Any

from chalicelib.deployments import triggers
from chalicelib.registry import service as registry

ECHO = "sommelier-echo:1"


def put_settings(world: Any, image: str = ECHO, **settings: Any) -> None:
    triggers.on_upload(world.put_settings(image=image, **settings), None)


def version_of(world: Any, version: str) -> Any:
    return registry.get_version(world.tenant, world.model, version)
