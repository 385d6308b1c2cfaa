"""Entry points of experiments without HTTP: queue, feedback files, schedule, test manager.
Each takes the same event twice, late or out of order."""

import functools
from typing import Any

from chalice.app import Blueprint, CloudWatchEvent, Rate, SQSEvent

from chalicelib.kit.clock import Deadline
from chalicelib.kit.settings import settings
from chalicelib.kit.triggers import answer_batch, trigger

bp = Blueprint(__name__)

_FEEDBACK_UPLOADED = {
    "source": ["aws.s3"],
    "detail-type": ["Object Created"],
    # The packaging step puts the stage's bucket here; until then no bucket matches.
    "detail": {"bucket": {"name": ["BUCKET"]}, "object": {"key": [{"prefix": "feedback/"}]}},
}


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
    from chalicelib.experiments.counting import inbox  # noqa: PLC0415

    deadline = _deadline(event.context)
    return answer_batch(event, functools.partial(inbox.take, deadline=deadline))


@bp.on_cw_event(_FEEDBACK_UPLOADED, name="on_feedback_file")
@trigger
def on_feedback_file(event: CloudWatchEvent) -> dict[str, Any]:
    """Take in a file of outcomes; its report says what became of every line."""
    from chalicelib.experiments.feedback import files  # noqa: PLC0415
    from chalicelib.registry.uploads import UploadEvent  # noqa: PLC0415

    uploaded = UploadEvent.model_validate(event.detail).object
    report = files.take(
        settings().tenant_id,
        uploaded.key,
        object_version=uploaded.version_id,
        deadline=_deadline(event.context),
    )
    return {"accepted": report.accepted, "refused": report.refused}


@bp.schedule(Rate(5, unit=Rate.MINUTES), name="advance_experiments")
@trigger
def advance_experiments(event: CloudWatchEvent) -> dict[str, Any]:
    """Ask the rule of every running experiment, and do what it says."""
    from chalicelib.experiments import watching  # noqa: PLC0415

    failed = watching.advance_all(settings().tenant_id, deadline=_deadline(event.context))
    return {"failed": failed}


@bp.lambda_function(name="ab-test-manager")
@trigger
def ab_test_manager(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one action; a refused one is answered too, with its code, and changes nothing."""
    from chalicelib.experiments import manager  # noqa: PLC0415

    return manager.answer(event, tenant=settings().tenant_id)


def _deadline(context: Any) -> Deadline:
    return Deadline.of(context, margin_s=15, at_most_s=840)
