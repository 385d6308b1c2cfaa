"""Training jobs: their states, the rows that tell of them, and the names they bear in SageMaker.
Nothing here reads a clock, a table or SageMaker."""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from chalicelib.kit.errors import Conflict, NotFound
from chalicelib.kit.values import Value
from chalicelib.registry.model import ModelName, Reason
from chalicelib.registry.semver import VersionName, parse

_MODEL_LETTERS = 16
_DIGEST_LETTERS = 10
FIRST_VERSION = "1.0.0"

JobName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9-]{0,62}$")]


class State(StrEnum):
    REQUESTED = "requested"
    PREPARED = "prepared"
    """What it learns from is written down; SageMaker may have been asked already, or not."""
    SUBMITTED = "submitted"
    PUBLISHING = "publishing"
    """SageMaker is done, and the version that the artifact becomes is reserved."""
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


ENDS = frozenset({State.COMPLETED, State.FAILED, State.STOPPED})


class Cause(StrEnum):
    """What asked for a job; each further watcher adds its own."""

    REQUEST = "request"
    AGE = "age"
    NEW_EPISODES = "new-episodes"


SkipCode = Literal["already-training", "cooldown", "too-few-episodes", "nothing-new"]


class Episodes(Value):
    """Sums over the files under `episodes/`."""

    objects: int = 0
    """Files that are there and can be learnt from."""
    episodes: int = 0
    """Finished episodes in them."""
    received: int = 0
    """Finished episodes that ever came; the difference of two readings is what is new."""
    refused: int = 0
    """Files that are there and are no episodes; the ledger says why."""


class Dataset(Value):
    """What a job learns from: the files that the manifest names, as they were listed."""

    manifest: str
    """Key in the bucket."""
    objects: int
    episodes: int


class Spec(Value):
    """What SageMaker is asked for, as the settings were when the job was asked for."""

    image: str
    instance_type: str
    volume_gb: int
    max_runtime_s: int
    hyperparameters: dict[str, str]
    minimum_episodes: int


class Job(Value):
    """One training job of a model. `number` counts them from 1, without gaps."""

    model: ModelName
    number: int
    name: JobName
    """In SageMaker."""
    state: State
    cause: Cause
    reason: str
    """In the words of who asked."""
    actor: str
    spec: Spec
    dataset: Dataset | None = None
    version: VersionName | None = None
    """What the artifact becomes; another one when somebody uploads this one first."""
    artifact: str | None = None
    """Key in the bucket."""
    failure: Reason | None = None
    stop_asked_by: str | None = None
    requested_at: datetime
    updated_at: datetime


class Skip(Value):
    """Why no job was started, with the numbers it rests on."""

    code: SkipCode
    detail: str
    cause: Cause
    episodes: int
    minimum_episodes: int
    new_episodes: int
    job: JobName | None = None
    """The one under way, or the last one."""


class Standing(Value):
    """Where a model's training stands: one row per model."""

    model: ModelName
    number: int = 0
    """Of the last job."""
    job: JobName | None = None
    """The last job's name."""
    is_open: bool = False
    last_failed: bool = False
    requested_at: datetime | None = None
    """When the last job was asked for."""
    received: int = 0
    """Episodes that had come by then."""
    looked_at: datetime | None = None
    """When the age was last looked at and no job followed."""
    reserved: VersionName | None = None
    """The last version that a job took for its artifact."""
    token: str | None = None
    """Of the call that was answered last; the same call gets the same answer."""
    skip: Skip | None = None
    """That answer, when it was no job."""


class Retraining(Value):
    """The answer to who asks for a job: the job, or why there is none."""

    status: Literal["requested", "skipped"]
    job: Job | None = None
    skip: Skip | None = None


class JobNotFound(NotFound):
    code = "training-job-not-found"


class TrainingNotConfigured(Conflict):
    """The model's settings have no `training`."""

    code = "training-not-configured"


class TrainingOver(Conflict):
    """The job has ended, or its model is becoming a version."""

    code = "training-over"


def job_name(*, prefix: str, tenant: str, model: str, number: int) -> str:
    """Deterministic, at most 63 of [a-zA-Z0-9-], readable: SageMaker knows no idempotency token."""
    parts = (tenant, model, str(number))
    digest = hashlib.sha256("\0".join(("training", *parts)).encode()).hexdigest()
    return f"{prefix}-{model[:_MODEL_LETTERS]}-{number}-{digest[:_DIGEST_LETTERS]}"


def hyperparameters_of(number: int, own: dict[str, str]) -> dict[str, str]:
    return {"seed": str(number), **own}


def version_after(known: list[str]) -> str:
    """The next minor version over the highest of those known."""
    if not known:
        return FIRST_VERSION
    major, minor = max(parse(version)[:2] for version in known)
    return f"{major}.{minor + 1}.0"
