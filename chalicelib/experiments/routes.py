"""HTTP of experiments: outcomes that come back.
What may be said, and what becomes of it, is the features' own rooms' to decide."""

from chalice.app import Blueprint

from chalicelib.experiments import feedback
from chalicelib.experiments.feedback import FeedbackAnswer, FeedbackBody
from chalicelib.kit.http import Call, Role, endpoint

bp = Blueprint(__name__)


@endpoint(
    bp,
    "POST /api/feedback",
    role=Role.VIEWER,
    summary="Say what came of a prediction, or of up to 100",
    status=202,
)
def give_feedback(call: Call, body: FeedbackBody) -> FeedbackAnswer:
    return feedback.take(call.tenant, body)


@endpoint(
    bp,
    "POST /production/feedback",
    role=Role.VIEWER,
    summary="The same as POST /api/feedback",
    status=202,
)
def give_production_feedback(call: Call, body: FeedbackBody) -> FeedbackAnswer:
    return feedback.take(call.tenant, body)
