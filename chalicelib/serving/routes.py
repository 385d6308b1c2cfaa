"""HTTP of serving: predictions in any content type, and the receipt in headers and body.
Which version answers is decided in the service."""

from chalice.app import Blueprint

from chalicelib.kit.http import Call, Raw, Role, endpoint
from chalicelib.kit.values import Value
from chalicelib.registry.model import ModelName
from chalicelib.registry.semver import VersionName
from chalicelib.serving import service
from chalicelib.serving.model import Prediction

bp = Blueprint(__name__)


class PredictionQuery(Value):
    version: VersionName | None = None
    """Ask this live version instead of the champion."""


@endpoint(
    bp,
    "POST /api/models/{model}/predictions",
    role=Role.VIEWER,
    summary="Ask the champion, in any content type its container takes",
    any_content=True,
    answers=Prediction,
)
def create_prediction(call: Call, model: ModelName, query: PredictionQuery) -> Raw:
    answered = service.predict(
        call.tenant,
        model,
        version=query.version,
        body=call.raw,
        content_type=call.content_type,
        accept=call.accept if call.accept != "*/*" else "application/json",
    )
    headers = {
        "Sommelier-Request-Id": answered.request_id,
        "Sommelier-Model": model,
        "Sommelier-Version": answered.version,
    }
    return Raw(answered.content, answered.content_type, headers=headers)
