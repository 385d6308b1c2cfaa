"""The queue of copied predictions, whose questions an experiment's other arm answers as well.
HTTP is not known here; each copy may come twice, late or out of order."""

from typing import Any

from chalice.app import Blueprint, SQSEvent

from chalicelib.kit.triggers import answer_batch, trigger

bp = Blueprint(__name__)


# The packaging step puts the stage's queue here.
@bp.on_sqs_message(
    queue_arn="arn:aws:sqs:REGION:ACCOUNT:SHADOWS", batch_size=10, name="answer_shadows"
)
@trigger
def answer_shadows(event: SQSEvent) -> dict[str, Any]:
    """Answer the batch; what failed comes again by itself, and at last goes to the dead letters."""
    # Here, because the HTTP function imports this module as well and answers no copies.
    from chalicelib.serving import shadows  # noqa: PLC0415

    return answer_batch(event, shadows.answer)
