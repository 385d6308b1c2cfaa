"""What the service says of itself: its health.
Nothing here calls anything."""

from typing import Literal

from chalicelib.kit.values import Value


class Dependency(Value):
    name: str
    status: Literal["up", "down"]
    latency_ms: float


class Health(Value):
    status: Literal["healthy", "unhealthy"]
    stage: str
    dependencies: list[Dependency]
    warnings: list[str]
