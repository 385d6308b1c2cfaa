"""Entry points of training without HTTP: files of episodes, job state changes, two schedules, and
the Lambda function `model-retraining-trigger`. Each takes the same event twice, late or never."""

from typing import Any

from chalice.app import Blueprint, CloudWatchEvent, Rate
from pydantic import Field

from chalicelib.kit.clock import Deadline
from chalicelib.kit.settings import settings
from chalicelib.kit.triggers import trigger
from chalicelib.kit.values import Told

bp = Blueprint(__name__)

_EPISODES_UPLOADED = {
    "source": ["aws.s3"],
    "detail-type": ["Object Created"],
    # The packaging step puts the stage's bucket here; until then no bucket matches.
    "detail": {"bucket": {"name": ["BUCKET"]}, "object": {"key": [{"prefix": "episodes/"}]}},
}
_JOB_CHANGED = {
    "source": ["aws.sagemaker"],
    "detail-type": ["SageMaker Training Job State Change"],
}


class JobStateChange(Told):
    """The part of the event that is used: what is true is asked of SageMaker itself."""

    training_job_name: str = Field(alias="TrainingJobName")


@bp.on_cw_event(_EPISODES_UPLOADED, name="on_episode_file")
@trigger
def on_episode_file(event: CloudWatchEvent) -> dict[str, Any]:
    """Count the finished episodes of a file, or refuse it; what lies there now is what counts."""
    from chalicelib.registry.uploads import UploadEvent  # noqa: PLC0415
    from chalicelib.training import service  # noqa: PLC0415

    file = service.count_file(UploadEvent.model_validate(event.detail).object.key)
    if file is None:
        return {"state": "none-of-ours"}
    return {"state": file.state, "episodes": file.episodes}


@bp.on_cw_event(_JOB_CHANGED, name="on_training_job_state_change")
@trigger
def on_training_job_state_change(event: CloudWatchEvent) -> dict[str, Any]:
    """Look at the job that changed; jobs of others are none of ours."""
    from chalicelib.training import service  # noqa: PLC0415

    change = JobStateChange.model_validate(event.detail)
    deadline = _deadline(event.context)
    name = change.training_job_name
    return {"is_ours": service.job_changed(settings().tenant_id, name, deadline=deadline)}


@bp.schedule(Rate(5, unit=Rate.MINUTES), name="follow_training_jobs")
@trigger
def follow_training_jobs(event: CloudWatchEvent) -> dict[str, Any]:
    from chalicelib.training import service  # noqa: PLC0415

    failed = service.follow_all(settings().tenant_id, deadline=_deadline(event.context))
    return {"failed": failed}


@bp.schedule(Rate(1, unit=Rate.HOURS), name="retrain_due_models")
@trigger
def retrain_due_models(event: CloudWatchEvent) -> dict[str, Any]:
    """Count what no event told of, and start what age or new episodes make due."""
    from chalicelib.training import service  # noqa: PLC0415

    failed = service.start_due(settings().tenant_id, deadline=_deadline(event.context))
    return {"failed": failed}


@bp.lambda_function(name="model-retraining-trigger")
@trigger
def model_retraining_trigger(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one action; a refused one is answered too, with its code, and changes nothing."""
    from chalicelib.training import manager  # noqa: PLC0415

    token = None if context is None else str(context.aws_request_id)
    deadline = _deadline(context)
    return manager.answer(event, tenant=settings().tenant_id, token=token, deadline=deadline)


def _deadline(context: Any) -> Deadline:
    return Deadline.of(context, margin_s=15, at_most_s=840)
