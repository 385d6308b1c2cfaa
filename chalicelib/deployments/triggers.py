"""Entry points without HTTP: uploads, endpoint state changes, the reconciler's schedule, and the
Lambda function `model-version-manager`. Each takes the same event twice, late or out of order."""

from typing import Any

from chalice.app import Blueprint, CloudWatchEvent, Rate
from pydantic import Field

from chalicelib.deployments import service
from chalicelib.kit.clock import Deadline
from chalicelib.kit.settings import settings
from chalicelib.kit.triggers import trigger
from chalicelib.kit.values import Told

bp = Blueprint(__name__)

_UPLOADED = {
    "source": ["aws.s3"],
    "detail-type": ["Object Created"],
    # The packaging step puts the stage's bucket here; until then no bucket matches.
    "detail": {"bucket": {"name": ["BUCKET"]}, "object": {"key": [{"prefix": "models/"}]}},
}
_ENDPOINT_CHANGED = {
    "source": ["aws.sagemaker"],
    "detail-type": ["SageMaker Endpoint State Change"],
}


class EndpointStateChange(Told):
    """The part of the event that is used: what is true is asked of SageMaker itself."""

    endpoint_name: str = Field(alias="EndpointName")


@bp.on_cw_event(_UPLOADED, name="on_upload")
@trigger
def on_upload(event: CloudWatchEvent) -> dict[str, Any]:
    """Register what was uploaded, and ask for an endpoint when it is a new version."""
    # Here, because the HTTP function imports this module as well and never inspects an archive.
    from chalicelib.registry import registration  # noqa: PLC0415
    from chalicelib.registry.registration import Outcome  # noqa: PLC0415
    from chalicelib.registry.uploads import UploadEvent  # noqa: PLC0415

    upload = UploadEvent.model_validate(event.detail)
    tenant = settings().tenant_id
    registered = registration.register(
        tenant, upload.object.key, object_version=upload.object.version_id
    )
    if registered.outcome in (Outcome.REGISTERED, Outcome.UNCHANGED) and registered.version:
        service.deploy_new(
            tenant,
            str(registered.model),
            registered.version,
            actor="upload",
            deadline=_deadline(event.context),
        )
    return {"outcome": registered.outcome.value}


@bp.on_cw_event(_ENDPOINT_CHANGED, name="on_endpoint_state_change")
@trigger
def on_endpoint_state_change(event: CloudWatchEvent) -> dict[str, Any]:
    """Look at the deployment whose endpoint changed; endpoints of others are none of ours."""
    change = EndpointStateChange.model_validate(event.detail)
    is_ours = service.endpoint_changed(
        settings().tenant_id, change.endpoint_name, deadline=_deadline(event.context)
    )
    return {"is_ours": is_ours}


@bp.schedule(Rate(5, unit=Rate.MINUTES), name="reconcile")
@trigger
def reconcile(event: CloudWatchEvent) -> dict[str, Any]:
    failed = service.reconcile(settings().tenant_id, deadline=_deadline(event.context))
    return {"failed": failed}


@bp.lambda_function(name="model-version-manager")
@trigger
def model_version_manager(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one action; a refused one is answered too, with its code, and changes nothing."""
    from chalicelib.deployments import manager  # noqa: PLC0415

    return manager.answer(event, tenant=settings().tenant_id, deadline=_deadline(context))


def _deadline(context: Any) -> Deadline:
    return Deadline.of(context, margin_s=5, at_most_s=840)
