"""HTTP of serving: predictions in any content type, and the receipt in headers and body.
Which version answers is decided in the service."""

from typing import Annotated

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.experiments.model import SegmentName
from chalicelib.kit.errors import Forbidden
from chalicelib.kit.http import Call, Raw, Role, endpoint
from chalicelib.kit.values import Told, Value
from chalicelib.registry.metrics import LARGEST_VALUE
from chalicelib.registry.model import ModelName
from chalicelib.registry.semver import VersionName
from chalicelib.serving import service
from chalicelib.serving.choosing import Visit
from chalicelib.serving.model import Prediction, Request

bp = Blueprint(__name__)


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


@endpoint(
    bp,
    "POST /api/models/{model}/predictions",
    role=Role.VIEWER,
    summary="Ask the champion, or a unit's arm of an experiment, in any content type it takes",
    any_content=True,
    answers=Prediction,
)
def create_prediction(
    call: Call, model: ModelName, query: PredictionQuery, headers: PredictionHeaders
) -> Raw:
    if headers.arm is not None and call.role < Role.OPERATOR:
        raise Forbidden("to choose an arm needs the role 'operator'")
    visit = Visit(query.version, headers.unit, headers.arm, headers.covariate, headers.segment)
    accept = call.accept if call.accept != "*/*" else "application/json"
    request = Request(call.raw, call.content_type or "application/json", accept)
    answered = service.predict(call.tenant, model, request, visit)
    sent = {
        "Sommelier-Request-Id": answered.request_id,
        "Sommelier-Model": model,
        "Sommelier-Version": answered.version,
    }
    if answered.experiment is not None and answered.arm is not None:
        sent |= {"Sommelier-Experiment": answered.experiment, "Sommelier-Arm": answered.arm}
    return Raw(answered.content, answered.content_type, headers=sent)
