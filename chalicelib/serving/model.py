"""A prediction as the caller sees it, and the ways in which one can fail.
Nothing here calls anything."""

import json
from typing import Annotated, NamedTuple, Protocol

from pydantic import Field, JsonValue

from chalicelib.experiments.model import ArmName, ExperimentId, SegmentName
from chalicelib.kit.errors import Busy, Conflict, Invalid, TooLarge, Upstream, UpstreamTimeout
from chalicelib.kit.values import Told, Value
from chalicelib.registry.metrics import LARGEST_VALUE
from chalicelib.registry.model import Live, ModelName
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


class Visit(NamedTuple):
    """What a caller says besides the question. arm: `<arm>` or `<experiment>/<arm>`, of a tester.

    covariate and segment are told with a unit's exposure, and mean nothing without a unit."""

    version: str | None = None
    unit: str | None = None
    arm: str | None = None
    covariate: float | None = None
    segment: str | None = None


class PredictionQuery(Value):
    version: VersionName | None = None
    """Ask this live version instead of the champion; no experiment takes the prediction."""


class PredictionHeaders(Told):
    unit: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        None, alias="sommelier-unit"
    )
    """Who asks (a user, a session): an experiment gives the same unit the same arm. Kept as a keyed
    hash only."""
    arm: Annotated[str, Field(min_length=1, max_length=97)] | None = Field(
        None, alias="sommelier-arm"
    )
    """For testers: the arm that answers, `<arm>` or `<experiment>/<arm>`; nothing is counted."""
    covariate: (
        Annotated[float, Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE, allow_inf_nan=False)] | None
    ) = Field(None, alias="sommelier-covariate")
    """A number of the unit's from before the experiment, which sharpens its primary metric."""
    segment: SegmentName | None = Field(None, alias="sommelier-segment")
    """The unit's value of the experiment's one dimension."""

    def visit(self, query: PredictionQuery) -> Visit:
        return Visit(query.version, self.unit, self.arm, self.covariate, self.segment)


class Answered(NamedTuple):
    """An answer and its receipt. age_s: since the endpoint gave it; None where it was asked."""

    request_id: str
    model: str
    version: str
    experiment: str | None
    arm: str | None
    output: Output
    age_s: float | None

    @property
    def head(self) -> dict[str, str]:
        """What an answer in JSON says of itself."""
        head = {"request_id": self.request_id, "model": self.model, "version": self.version}
        if self.experiment is not None and self.arm is not None:
            head |= {"experiment": self.experiment, "arm": self.arm}
        return head

    @property
    def headers(self) -> dict[str, str]:
        """The same, for answers in any content type."""
        return {
            f"Sommelier-{name.title().replace('_', '-')}": text for name, text in self.head.items()
        }

    @property
    def content(self) -> bytes:
        """The model's JSON was checked, and is passed on byte by byte, not written again."""
        if not self.output.is_json:
            return self.output.content
        return json.dumps(self.head)[:-1].encode() + b', "output": ' + self.output.content + b"}"


class Asking(NamedTuple):
    """All that an answer's numbers hang on."""

    tenant: str
    model: str
    live: Live
    request: Request


class Earlier(NamedTuple):
    """An answer that was given before. latency_ms: of the invocation then."""

    output: Output
    latency_ms: float
    age_s: float = 0.0


class Kept(Protocol):
    """Where answers lie for those who ask the same of the same version again."""

    def find(self, asking: Asking, /) -> Earlier | None: ...

    def put(self, asking: Asking, answer: Earlier, /) -> None: ...


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
