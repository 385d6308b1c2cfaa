"""How a deployment advances: one deployer per version holds a lease and takes step after step.
A step reads what is true in SageMaker, acts, and writes the row; any of them may be repeated."""

from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from chalicelib.deployments import leases, model, sagemaker
from chalicelib.deployments.model import Deployment, LeaseLost, Spec, State, Superseded
from chalicelib.deployments.sagemaker import Endpoint, SmokeTestFailed, Status
from chalicelib.kit import aws
from chalicelib.kit.clock import Deadline, utc_now
from chalicelib.kit.settings import settings
from chalicelib.kit.telemetry import logger
from chalicelib.registry import service as registry
from chalicelib.registry.model import (
    Live,
    RealtimeHosting,
    Reason,
    VersionNotDeployable,
)

_ACTOR = "deployer"
_ROLLED_BACK = "endpoint-rolled-back"
_GRACE_S = 60  # how long a replaced endpoint still answers functions that have not heard of it


def advance(tenant: str, name: str, version: str, *, deadline: Deadline) -> Deployment:
    """Take every step that can be taken now; return the deployment as it then stands.

    When another deployer is at work it is told to look again, and does so before it goes.
    """
    held = leases.acquire(tenant, name, version)
    if held is None:
        return leases.read(tenant, name, version).deployment
    try:
        while True:
            _walk(tenant, held, deadline)
            if leases.release(tenant, name, version, held.fence):
                break
    except LeaseLost:
        logger.warning("lease_lost", model=name, version=version)
    return leases.read(tenant, name, version).deployment


def wanted(
    tenant: str, name: str, version: str, spec: Spec, known: Deployment | None
) -> Deployment:
    """The deployment that asks for a new endpoint by this spec."""
    now = utc_now()
    attempt = known.attempt + 1 if known else 1
    new_name = _name(tenant, name, version, attempt)
    if known is not None:
        return model.next_attempt(known, name=new_name, spec=spec, now=now, is_recovery=False)
    return Deployment(
        model=name,
        version=version,
        state=State.REQUESTED,
        attempt=attempt,
        name=new_name,
        spec=spec,
        requested_at=now,
        updated_at=now,
    )


def _name(tenant: str, name: str, version: str, attempt: int) -> str:
    return model.endpoint_name(
        prefix=settings().resource_prefix,
        tenant=tenant,
        model=name,
        version=version,
        attempt=attempt,
    )


def _walk(tenant: str, held: Deployment, deadline: Deadline) -> None:
    """Step until nothing moves."""
    while not deadline.passed():
        current = leases.hold(tenant, held)
        try:
            if not _try_step(tenant, current):
                return
        except (Superseded, VersionNotDeployable):
            continue


def _try_step(tenant: str, current: Deployment) -> bool:
    """Take a step; what AWS cannot do right now is left to the reconciler."""
    try:
        return _step(tenant, current) or _clear_waste(tenant, current)
    except aws.NO_ANSWER as error:
        return _postpone(tenant, current, type(error).__name__)
    except ClientError as error:
        if model.is_under_way(current) and sagemaker.is_refusal(error):
            said = f"{aws.error_code(error)}: {aws.error_message(error)}"
            return _fail(tenant, current, Reason(code="sagemaker-refused", detail=said[:1_000]))
        return _postpone(tenant, current, aws.error_code(error))


def _step(tenant: str, current: Deployment) -> bool:
    """True when something changed and the next step may follow at once."""
    match current.state:
        case State.REQUESTED:
            sagemaker.create(current, tenant=tenant)
            leases.update(tenant, current, state=State.CREATING)
            return True
        case State.CREATING:
            return _follow_creation(tenant, current)
        case State.LIVE:
            return _check_live(tenant, current)
        case State.RETIRING:
            return _take_down(tenant, current)
        case State.FAILED | State.RETIRED:
            return False


def _follow_creation(tenant: str, current: Deployment) -> bool:
    endpoint = sagemaker.describe(current.name)
    if endpoint is None:
        if _is_overdue(current.requested_at):
            return _fail(tenant, current, _too_late(current))
        # Made again at the next look, not at once: what was just made may not be seen yet.
        leases.update(tenant, current, state=State.REQUESTED)
        return False
    if endpoint.status is Status.CHANGING:
        # Since its creation began, which may be long after it was asked for.
        is_overdue = _is_overdue(current.updated_at)
        return is_overdue and _fail(tenant, current, _too_late(current))
    trouble = _trouble(current, endpoint)
    if trouble is not None:
        return _fail(tenant, current, trouble)
    if isinstance(current.spec.hosting, RealtimeHosting):
        sagemaker.register_autoscaling(current.name, current.spec.hosting)
    sample = registry.sample_of(registry.get_version(tenant, current.model, current.version))
    if sample is not None:
        try:
            sagemaker.smoke_test(current.name, sample)
        except SmokeTestFailed as error:
            return _fail(tenant, current, Reason(code="smoke-test-failed", detail=str(error)))
    _finish(tenant, current)
    return True


def _check_live(tenant: str, current: Deployment) -> bool:
    """See what happened behind our back, and make a new endpoint for a lost one."""
    endpoint = sagemaker.describe(current.name)
    if endpoint is not None and endpoint.status is Status.CHANGING:
        return False
    trouble = _trouble(current, endpoint)
    if trouble is None:
        return False
    logger.error("endpoint_lost", endpoint=current.name, model=current.model, reason=trouble.code)
    still_serves = trouble.code == _ROLLED_BACK
    if model.may_recover(current):
        return _recover(tenant, current, trouble, still_serves=still_serves)
    if still_serves:
        return _tell_once(tenant, current, trouble)
    return _fail(tenant, current, trouble)


def _recover(tenant: str, current: Deployment, trouble: Reason, *, still_serves: bool) -> bool:
    """Ask for a new endpoint; what still answers stays until that one is live."""

    def replaced(found: Deployment) -> Deployment:
        now = utc_now()
        name = _name(tenant, found.model, found.version, found.attempt + 1)
        again = model.next_attempt(found, name=name, spec=found.spec, now=now, is_recovery=True)
        waste = found.waste if still_serves else model.wasted(found, found.name, not_before=now)
        return again.model_copy(update={"waste": waste})

    registry.report_trouble(
        tenant,
        current.model,
        current.version,
        trouble,
        is_lost=not still_serves,
        actor=_ACTOR,
        also=leases.with_row(tenant, current, replaced),
    )
    return True


def _tell_once(tenant: str, current: Deployment, trouble: Reason) -> bool:
    """What still answers is not taken away; the version's record says what is wrong with it."""
    if registry.get_version(tenant, current.model, current.version).reason != trouble:
        registry.report_trouble(
            tenant,
            current.model,
            current.version,
            trouble,
            is_lost=False,
            actor=_ACTOR,
            also=leases.with_row(tenant, current, lambda found: found),
        )
    return False


def _trouble(current: Deployment, endpoint: Endpoint | None) -> Reason | None:
    """None when the endpoint is in service on the configuration that was asked for."""
    if endpoint is None:
        return Reason(code="endpoint-missing", detail=f"endpoint {current.name!r} is gone")
    if endpoint.status is Status.BROKEN:
        return Reason(code="endpoint-failed", detail=endpoint.failure[:1_000] or "no reason given")
    if endpoint.config != current.name:
        detail = f"in service on configuration {endpoint.config!r}, not on {current.name!r}"
        return Reason(code=_ROLLED_BACK, detail=detail)
    return None


def _finish(tenant: str, current: Deployment) -> None:
    """The endpoint becomes the version's; the one it replaces is waste after a grace."""
    before = registry.get_version(tenant, current.model, current.version).live
    live = Live(version=current.version, endpoint=current.name, hosting=current.spec.hosting.kind)

    def gone_live(found: Deployment) -> Deployment:
        now = utc_now()
        waste = found.waste
        if before is not None and before.endpoint != found.name:
            not_before = now + timedelta(seconds=_GRACE_S)
            waste = model.wasted(found, before.endpoint, not_before=not_before)
        return model.gone_live(found, now=now).model_copy(update={"waste": waste})

    registry.finish_deployment(
        tenant,
        current.model,
        current.version,
        live,
        actor=_ACTOR,
        also=leases.with_row(tenant, current, gone_live),
    )
    logger.info("version_went_live", model=current.model, version=current.version)


def _fail(tenant: str, current: Deployment, reason: Reason) -> bool:
    """Record why, and leave nothing of the attempt behind; the champion is not touched."""
    registry.fail_deployment(
        tenant,
        current.model,
        current.version,
        reason,
        is_lost=current.state is State.LIVE,
        actor=_ACTOR,
        also=leases.with_row(
            tenant, current, lambda found: model.failed(found, reason, now=utc_now())
        ),
    )
    logger.error(
        "deployment_failed", model=current.model, version=current.version, reason=reason.code
    )
    return True


def _take_down(tenant: str, current: Deployment) -> bool:
    if not sagemaker.take_down(current.name):
        return False
    leases.update(tenant, current, state=State.RETIRED)
    return True


def _clear_waste(tenant: str, current: Deployment) -> bool:
    """Delete what is due; True when something went."""
    now = utc_now()
    gone = {
        waste.name
        for waste in current.waste
        if waste.not_before <= now and sagemaker.take_down(waste.name)
    }
    if not gone:
        return False
    left = [waste for waste in current.waste if waste.name not in gone]
    leases.update(tenant, current, waste=left)
    return True


def _postpone(tenant: str, current: Deployment, because: str) -> bool:
    """Leave the step to the reconciler, but an attempt only for so long."""
    logger.warning(
        "step_postponed",
        model=current.model,
        version=current.version,
        state=current.state,
        error=because,
    )
    if model.is_under_way(current) and _is_overdue(current.requested_at):
        return _fail(tenant, current, _too_late(current))
    return False


def _is_overdue(since: datetime) -> bool:
    return utc_now() - since > timedelta(seconds=settings().creation_timeout_s)


def _too_late(current: Deployment) -> Reason:
    age_s = int((utc_now() - current.requested_at).total_seconds())
    detail = f"the endpoint was not in service {age_s} s after it was asked for"
    return Reason(code="creation-timed-out", detail=detail)
