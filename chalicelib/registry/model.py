"""Models, versions, their stages and settings; the rules that move versions are in `stages`.
Nothing here reads a clock, a table or the environment."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from chalicelib.kit.errors import Conflict, Invalid, NotFound
from chalicelib.kit.values import Value
from chalicelib.registry.metrics import BUILT_IN, Metric
from chalicelib.registry.semver import VersionName

ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]

_REFUSALS_KEPT = 20
_DEFAULT_REQUIRED_FILE = "model.onnx"


class Stage(StrEnum):
    REGISTERED = "registered"
    REJECTED = "rejected"
    DEPLOYING = "deploying"
    CANDIDATE = "candidate"
    CHAMPION = "champion"
    RETIRED = "retired"
    FAILED = "failed"


STAGE_BY_ALIAS = {
    "production": Stage.CHAMPION,
    "staging": Stage.CANDIDATE,
    "archived": Stage.RETIRED,
}
"""Stage names that other registries use, in lower case."""


class ServerlessHosting(Value):
    """SageMaker serverless inference: nothing runs, and nothing is paid, without requests."""

    kind: Literal["serverless"] = "serverless"
    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144] = 2048
    max_concurrency: Annotated[int, Field(ge=1, le=200)] = 10


class Autoscaling(Value):
    min_instances: Annotated[int, Field(ge=1, le=100)] = 1
    max_instances: Annotated[int, Field(ge=1, le=100)]
    invocations_per_instance_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> "Autoscaling":
        if self.min_instances > self.max_instances:
            raise ValueError("min_instances must not exceed max_instances")
        return self


class RealtimeHosting(Value):
    """Instances that always run; can scale, and can capture requests and answers to S3."""

    kind: Literal["realtime"]
    instance_type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]{1,20}\.[a-z0-9]{1,20}$")]
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1
    autoscaling: Autoscaling | None = None
    capture_percent: Annotated[int, Field(ge=0, le=100)] = 0


Hosting = Annotated[ServerlessHosting | RealtimeHosting, Field(discriminator="kind")]


_Image = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._/:@-]{0,254}$")]


class TrainingSettings(Value):
    """How new versions of a model are made from logged episodes, and when."""

    image: _Image | None = None
    """Container image URI; without one, the model's own image."""
    instance_type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]{1,20}\.[a-z0-9]{1,20}$")] = (
        "ml.m5.large"
    )
    volume_gb: Annotated[int, Field(ge=1, le=16_384)] = 10
    max_runtime_s: Annotated[int, Field(ge=60, le=28 * 86_400)] = 3_600
    hyperparameters: Annotated[
        dict[
            Annotated[str, Field(pattern=r"^.{1,256}$")],
            Annotated[str, Field(pattern=r"^.{0,2500}$")],
        ],
        # SageMaker takes 100, one of which is the seed.
        Field(max_length=99),
    ] = Field(default_factory=dict)
    """Handed to the container as they are; `seed` is the job's number unless it stands here."""
    minimum_episodes: Annotated[int, Field(ge=1, le=100_000_000)] = 50
    """With fewer, no job is started."""
    retrain_after_episodes: Annotated[int, Field(ge=1, le=100_000_000)] = 500
    """So many episodes since the last job start one."""
    every_days: Annotated[int, Field(ge=1, le=365)] = 7
    """So long after the last job another is started, if there is any new episode."""
    cooldown_s: Annotated[int, Field(ge=0, le=30 * 86_400)] = 86_400
    """Least time between two jobs; stops whatever asks from asking in a loop."""


class ModelSettings(Value):
    """What an owner decides about a model; every field has a default that suits a first model."""

    kind: Literal["sagemaker"] = "sagemaker"
    description: Annotated[str, Field(max_length=1_000)] = ""
    image: _Image | None = None
    """Container image URI; without one, the ONNX scorer."""
    environment: Annotated[
        dict[
            Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,100}$")],
            Annotated[str, Field(max_length=1_000)],
        ],
        Field(max_length=50),
    ] = Field(default_factory=dict)
    hosting: Hosting = Field(default_factory=ServerlessHosting)
    on_upload: Literal["candidate", "experiment", "promote"] = "candidate"
    """Where a later good version goes: `experiment` starts one against the champion, `promote`
    makes it champion if its number is higher."""
    metrics: Annotated[list[Metric], Field(max_length=30)] = Field(default_factory=list[Metric])
    """What is known of answers; the first is what an experiment of `on_upload` decides by."""
    required_files: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=20)] = (
        Field(default_factory=list[str])
    )
    """Files an archive must hold; for the ONNX scorer, `model.onnx` always."""
    allow_pickles: bool = False
    """Take archives with pickles in them: loading one runs its code in your container."""
    rollback_window_h: Annotated[int, Field(ge=1, le=24 * 90)] = 24
    """How long a former champion's endpoint is kept for a rollback, in hours."""
    training: TrainingSettings | None = None
    """Without them, versions come by upload only."""

    @model_validator(mode="after")
    def _metrics_have_names_of_their_own(self) -> "ModelSettings":
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names) or BUILT_IN.keys() & set(names):
            raise ValueError("metrics have names of their own, none of them built in")
        return self

    @model_validator(mode="after")
    def _something_can_train(self) -> "ModelSettings":
        if self.training is not None and self.training.image is None and self.image is None:
            raise ValueError("training needs an image, its own or the model's")
        return self

    def required(self) -> frozenset[str]:
        default = [_DEFAULT_REQUIRED_FILE] if self.image is None else []
        return frozenset([*self.required_files, *default])


class Live(Value):
    """A version that answers requests, and where."""

    version: VersionName
    endpoint: str
    hosting: Literal["serverless", "realtime"]


class Model(Value):
    """A named task. `number` counts the stage changes of all its versions."""

    name: ModelName
    settings: ModelSettings = Field(default_factory=ModelSettings)
    champion: Live | None = None
    former_champions: list[VersionName] = Field(default_factory=list[str])
    """Newest last; what a rollback goes back to."""
    number: int = 0
    created_at: datetime
    updated_at: datetime
    settings_object: str | None = None
    """S3 version of the `model.json` that was applied last."""


class Reason(Value):
    """Why something was refused or failed: a stable code and one sentence."""

    code: str
    detail: Annotated[str, Field(max_length=1_000)]


class Archive(Value):
    """Accepted bytes, at `artifacts/<sha256>/model.tar.gz`."""

    sha256: str
    size_bytes: int
    unpacked_bytes: int
    files: list[str]
    has_sample: bool


class Version(Value):
    model: ModelName
    version: VersionName
    stage: Stage
    archive: Archive | None = None
    reason: Reason | None = None
    """Why the version was rejected or its last deployment failed; null when all is well."""
    live: Live | None = None
    first_live_at: datetime | None = None
    retire_after: datetime | None = None
    """When a former champion's endpoint is taken down."""
    refused_uploads: list[str] = Field(default_factory=list[str])
    """SHA-256 of other bytes that were uploaded under this version, newest last."""
    registered_at: datetime
    updated_at: datetime


class Move(Value):
    """One stage change of one version: a row of the stage history."""

    number: int
    at: datetime
    model: ModelName
    version: VersionName
    before: Stage | None
    after: Stage
    champion: VersionName | None
    """The model's champion from this change on."""
    actor: str
    reason: str


class ModelNotFound(NotFound):
    code = "model-not-found"


class VersionNotFound(NotFound):
    code = "version-not-found"


class VersionNotLive(Conflict):
    """Only a candidate, whose endpoint is in service, can become champion."""

    code = "version-not-live"


class VersionIsChampion(Conflict):
    """The champion is replaced by a promotion or a rollback first."""

    code = "version-is-champion"


class VersionNotDeployable(Conflict):
    """A rejected version has no accepted bytes: upload it again."""

    code = "version-not-deployable"


class NothingToRollBackTo(Conflict):
    """No former champion's endpoint is in service any more."""

    code = "nothing-to-roll-back-to"


class UnknownStage(Invalid):
    code = "unknown-stage"


class Change(NamedTuple):
    """Rows after a decision: the model, the versions that changed, and where each came from."""

    model: Model
    versions: tuple[Version, ...]
    before: tuple[Stage | None, ...]


def stage_named(name: str) -> Stage:
    """A stage by its own name or an alias. Raises UnknownStage."""
    lowered = name.lower()
    if lowered in STAGE_BY_ALIAS:
        return STAGE_BY_ALIAS[lowered]
    if lowered in set(Stage):
        return Stage(lowered)
    raise UnknownStage(f"{name[:80]!r} is neither a stage nor an alias of one")


def is_due(version: Version, *, now: datetime) -> bool:
    return version.retire_after is not None and version.retire_after <= now


def with_refusal(version: Version, sha256: str) -> Version:
    kept = [*version.refused_uploads, sha256][-_REFUSALS_KEPT:]
    return version.model_copy(update={"refused_uploads": kept})
