"""HTTP of serving: predictions in any content type, and the receipt in headers and body.
Which version answers is decided in the service."""

from chalice.app import Blueprint

from chalicelib.kit.errors import Forbidden
from chalicelib.kit.http import Call, Raw, Role, endpoint
from chalicelib.registry.model import ModelName
from chalicelib.serving import service
from chalicelib.serving.model import Prediction, PredictionHeaders, PredictionQuery, Request

bp = Blueprint(__name__)


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
    accept = call.accept if call.accept != "*/*" else "application/json"
    request = Request(call.raw, call.content_type or "application/json", accept)
    answered = service.predict(call.tenant, model, request, headers.visit(query))
    return Raw(answered.content, answered.output.content_type, headers=answered.headers)
