"""The records of the offline SageMaker and the one file that keeps them.
Nothing here decides what a call may do."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from localcloud.sagemaker.clock import ClockState
from localcloud.sagemaker.wire import JsonObject

ChangeKind = Literal["create", "update", "rescale", "delete"]


class Record(BaseModel):
    """Frozen: a change puts a new record in the old one's place, so readers need no lock."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Resource(Record):
    """A model or an endpoint config: the request as it was accepted."""

    name: str
    arn: str
    created_at: float
    request: JsonObject


class Variant(Record):
    """One production variant with the container it runs; generation names its folder."""

    name: str
    generation: int
    container: JsonObject
    production: JsonObject
    weight: float
    instance_count: int | None
    serverless: JsonObject | None


class Deployment(Record):
    """What an endpoint runs: a snapshot, because config and model may be deleted meanwhile."""

    config_name: str
    variants: tuple[Variant, ...]
    data_capture: JsonObject | None

    @property
    def is_serverless(self) -> bool:
        return any(variant.serverless is not None for variant in self.variants)


class Change(Record):
    """A transition under way; it settles at due_at on the server's clock.

    deployment is what will run afterwards. failure_reason and failure_status come from the
    fault injector, as does a deployment of another config than the wanted one.
    """

    number: int
    kind: ChangeKind
    started_at: float
    due_at: float
    wanted_config: str
    deployment: Deployment | None = None
    failure_reason: str | None = None
    failure_status: str | None = None


class Endpoint(Record):
    """An endpoint; deployment is None until the first one is in service."""

    name: str
    arn: str
    config_name: str
    status: str
    created_at: float
    modified_at: float
    failure_reason: str | None = None
    deployment: Deployment | None = None
    change: Change | None = None


class Stage(Record):
    """A secondary status of a training job, from when to when it held."""

    status: str
    started_at: float
    ended_at: float | None = None


class TrainingJob(Record):
    """A training job; it is kept for ever, because its name is never free again.

    run names the folder of the present attempt, due_at is when Starting ends, fails_with is the
    fault injector's. training_started_at is when the instances would be there, as AWS counts.
    """

    name: str
    arn: str
    request: JsonObject
    status: str
    stages: tuple[Stage, ...]
    run: int
    due_at: float
    created_at: float
    modified_at: float
    training_started_at: float | None = None
    ended_at: float | None = None
    failure_reason: str | None = None
    fails_with: str | None = None
    metrics: tuple[JsonObject, ...] = ()

    @property
    def stage(self) -> str:
        return self.stages[-1].status

    def entering(self, stage: str, at: float, **changes: Any) -> "TrainingJob":
        """The job in its next stage, with further changes; ended_at ends that stage, too."""
        last = self.stages[-1].model_copy(update={"ended_at": at})
        following = Stage(status=stage, started_at=at, ended_at=changes.get("ended_at"))
        stages = (*self.stages[:-1], last, following)
        return self.model_copy(update={"stages": stages, "modified_at": at, **changes})


class ScalingRecord(Record):
    """A scalable target or a scaling policy: the request as it was accepted."""

    key: str
    arn: str
    created_at: float
    request: JsonObject


class State(BaseModel):
    """Everything that survives a restart. Names are unique whatever their case: keys are lower."""

    models: dict[str, Resource] = {}
    configs: dict[str, Resource] = {}
    endpoints: dict[str, Endpoint] = {}
    training_jobs: dict[str, TrainingJob] = {}
    tags_by_arn: dict[str, dict[str, str]] = {}
    scaling_targets: dict[str, ScalingRecord] = {}
    scaling_policies: dict[str, ScalingRecord] = {}
    last_number: int = 0
    clock: ClockState = ClockState()

    def next_number(self) -> int:
        """A number never given before, also across restarts."""
        self.last_number += 1
        return self.last_number


class Store:
    """The state, its lock and its file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self.state = State.model_validate_json(path.read_bytes()) if path.exists() else State()

    @contextmanager
    def changing(self) -> Iterator[State]:
        """Hold the lock, and write the file when the block ends without an error."""
        with self._lock:
            yield self.state
            _write_atomically(self._path, self.state.model_dump_json().encode())

    @contextmanager
    def reading(self) -> Iterator[State]:
        with self._lock:
            yield self.state


def _write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
