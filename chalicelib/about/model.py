"""What the service says of itself: its health.
Nothing here calls anything."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Dependency(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    status: Literal["up", "down"]
    latency_ms: float


class Health(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)

    status: Literal["healthy", "unhealthy"]
    stage: str
    dependencies: list[Dependency]
    warnings: list[str]
