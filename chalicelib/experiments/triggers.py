"""Entry points of experiments without HTTP: the queue of what is to be counted.
Each takes the same event twice, late or out of order."""

from typing import Any

from chalice.app import Blueprint, SQSEvent

from chalicelib.kit.clock import Deadline
from chalicelib.kit.triggers import trigger

bp = Blueprint(__name__)


@bp.on_sqs_message(
    # The packaging step puts the stage's queue here.
    queue_arn="arn:aws:sqs:REGION:ACCOUNT:OUTCOMES",
    batch_size=100,
    maximum_batching_window_in_seconds=1,
    name="fold_outcomes",
)
@trigger
def fold_outcomes(event: SQSEvent) -> dict[str, Any]:
    """Count what the messages bring; those that fail come again, and at last lie apart."""
    # Here, because the HTTP function imports this module as well and never counts.
    from chalicelib.experiments import inbox  # noqa: PLC0415

    records: list[dict[str, Any]] = event.to_dict()["Records"]
    bodies = {record["messageId"]: record["body"] for record in records}
    context: Any = event.context  # typed as a mapping, which it is not
    deadline = Deadline.of(context, margin_s=15, at_most_s=840)
    failed = inbox.take(bodies, deadline=deadline)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}
