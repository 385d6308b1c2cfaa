"""A prediction as the caller sees it, and the ways in which one can fail.
Nothing here calls anything."""

from typing import NamedTuple

from pydantic import JsonValue

from chalicelib.experiments.model import ArmName, ExperimentId
from chalicelib.kit.errors import Busy, Conflict, Invalid, TooLarge, Upstream, UpstreamTimeout
from chalicelib.kit.values import Value
from chalicelib.registry.model import ModelName
from chalicelib.registry.semver import VersionName

MAX_BODY_BYTES = 6_291_456
"""InvokeEndpoint's own limit (botocore, sagemaker-runtime, BodyBlob)."""
MAX_SERVERLESS_BODY_BYTES = 4 * 1024 * 1024
"""Serverless inference takes and gives 4 MB (SageMaker developer guide)."""
MAX_ANSWER_BYTES = 4_400_000
"""Lambda answers at most 6 MB, and binary bodies travel in base64."""


class Request(NamedTuple):
    """What an endpoint is asked, as it came."""

    body: bytes
    content_type: str
    accept: str


class Output(NamedTuple):
    """What an endpoint answered, as it came."""

    content: bytes
    content_type: str

    @property
    def media_type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        return self.media_type == "application/json"


class Prediction(Value):
    """`output` is the model's own answer, as it came. A prediction outside of experiments has no
    members `experiment` and `arm`."""

    request_id: str
    model: ModelName
    version: VersionName
    experiment: ExperimentId | None = None
    arm: ArmName | None = None
    output: JsonValue


class NoChampion(Conflict):
    """No version of the model has gone live yet, or all were retired."""

    code = "no-champion"


class EndpointMissing(Busy):
    """The registry knows the endpoint, SageMaker does not; the reconciler makes a new one."""

    code = "endpoint-missing"


class EndpointBusy(Busy):
    """Throttled, starting, or out of capacity."""

    code = "endpoint-busy"


class ModelFailed(Upstream):
    """The model's container answered with an error of its own, or with bytes that are no answer."""

    code = "model-failed"


class ModelTimeout(UpstreamTimeout):
    code = "model-timeout"


class InputRefused(Invalid):
    """The model's container says that the input is at fault."""

    code = "input-refused"


class InputTooLarge(TooLarge):
    code = "input-too-large"
