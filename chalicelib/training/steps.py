"""The steps of a training job, from its row to a version's upload; whoever comes takes the next.
Each is read, acted and committed on one revision of the row, and may be repeated after a crash."""

from datetime import timedelta

from botocore.exceptions import ClientError

from chalicelib.kit import aws, tables
from chalicelib.kit.clock import Deadline, utc_now
from chalicelib.kit.errors import Busy
from chalicelib.kit.telemetry import logger
from chalicelib.registry import service as registry
from chalicelib.registry.model import Reason, VersionNotFound
from chalicelib.registry.uploads import ARCHIVE
from chalicelib.training import counting, model, objects, sagemaker, store, telling
from chalicelib.training.model import ENDS, Dataset, Job, State
from chalicelib.training.sagemaker import NameTaken, NotSeenYet, Status, Training
from chalicelib.training.store import JobRow

_ACTOR = "training"
_VISIBLE_WITHIN = timedelta(minutes=10)
"""A job that was just made may not be seen yet; one that is not seen for longer is gone."""
_GIVEN_UP_AFTER = timedelta(hours=1)
"""A step that is refused for so long, and not for the moment, is never taken: the model would not
be trained again for as long as its job is under way."""
_LONGEST_DETAIL = 1_000


def advance(tenant: str, name: str, number: int, *, deadline: Deadline) -> Job:
    """Step until nothing moves, and return the job as it then stands."""
    while not deadline.passed():
        moved = tables.until_fresh(
            lambda: _try_step(tenant, read(tenant, name, number), deadline), deadline=deadline
        )
        if not moved:
            break
    return read(tenant, name, number).job


def read(tenant: str, name: str, number: int) -> JobRow:
    found = store.read_job(tenant, name, number)
    if found is None:
        raise model.JobNotFound(f"model {name!r} has no training job {number!r}")
    return found


def _try_step(tenant: str, found: JobRow, deadline: Deadline) -> bool:
    """Take a step; what AWS cannot do right now is left to the next look."""
    try:
        return _step(tenant, found, deadline)
    except aws.NO_ANSWER as error:
        return _postpone(found.job, type(error).__name__)
    except Busy as error:
        return _postpone(found.job, error.detail)
    except ClientError as error:
        said = f"{aws.error_code(error)}: {aws.error_message(error)}"
        if sagemaker.is_refusal(error):
            return _fail(tenant, found, "sagemaker-refused", said)
        if _is_hopeless(found.job, error):
            return _fail(tenant, found, "given-up", f"{error.operation_name}: {said}")
        return _postpone(found.job, aws.error_code(error))


def _is_hopeless(job: Job, error: ClientError) -> bool:
    """Never while SageMaker may be at work for it."""
    is_ours = job.state in (State.REQUESTED, State.PUBLISHING)
    has_waited = utc_now() - job.updated_at >= _GIVEN_UP_AFTER
    return is_ours and has_waited and not aws.is_transient(error)


def _step(tenant: str, found: JobRow, deadline: Deadline) -> bool:
    """True when something changed and the next step may follow at once."""
    match found.job.state:
        case State.REQUESTED:
            return _prepare(tenant, found, deadline)
        case State.PREPARED:
            return _submit(tenant, found)
        case State.SUBMITTED:
            return _follow(tenant, found)
        case State.PUBLISHING:
            return _publish(tenant, found)
        case State.COMPLETED | State.FAILED | State.STOPPED:
            return False


def _prepare(tenant: str, found: JobRow, deadline: Deadline) -> bool:
    """Write down what is learnt from. Only from here a stop needs nothing of SageMaker."""
    job = found.job
    if job.stop_asked_by is not None:
        return _stopped(tenant, found, "it was stopped before SageMaker was asked")
    files = counting.recount(tenant, deadline=deadline)
    episodes = sum(file.episodes for file in files)
    if episodes < job.spec.minimum_episodes:
        detail = f"{episodes} episodes, at least {job.spec.minimum_episodes} needed"
        return _fail(tenant, found, "too-few-episodes", detail)
    keys = [file.key for file in files]
    manifest = objects.write_manifest(job.name, objects.episodes_prefix(tenant), keys)
    dataset = Dataset(manifest=manifest, objects=len(files), episodes=episodes)
    tables.commit([_replace(found, state=State.PREPARED, dataset=dataset)])
    return True


def _submit(tenant: str, found: JobRow) -> bool:
    """Also when a stop was asked: another process may be submitting it just now. It is stopped
    as soon as it is known to be there."""
    try:
        sagemaker.submit(found.job, tenant=tenant)
    except NameTaken:
        detail = f"SageMaker has another training job named {found.job.name!r}"
        return _fail(tenant, found, "name-taken", detail)
    except NotSeenYet:
        if utc_now() - found.job.updated_at < _VISIBLE_WITHIN:
            return _postpone(found.job, "NotSeenYet")
        detail = f"SageMaker has had a training job named {found.job.name!r}, and shows none"
        return _fail(tenant, found, "name-taken", detail)
    submitted = _changed(found.job, state=State.SUBMITTED)
    entries = telling.job_writes(tenant, submitted, "submitted", actor=_ACTOR)
    tables.commit([store.replace_job(found, submitted), *entries])
    logger.info("training_submitted", model=submitted.model, key=submitted.name)
    return True


def _follow(tenant: str, found: JobRow) -> bool:
    job = found.job
    training = sagemaker.describe(job.name)
    if training is None:
        if utc_now() - job.updated_at < _VISIBLE_WITHIN:
            return False
        return _fail(tenant, found, "job-missing", f"training job {job.name!r} is gone")
    match training.status:
        case Status.RUNNING:
            if job.stop_asked_by is not None:
                sagemaker.stop(job.name)
            return False
        case Status.FAILED:
            return _fail(tenant, found, "training-failed", training.failure or "no reason given")
        case Status.COMPLETED | Status.STOPPED:
            return _finish(tenant, found, training)


def _finish(tenant: str, found: JobRow, training: Training) -> bool:
    """What was stopped by our own hand becomes no version, even if it had completed by then."""
    job = found.job
    if job.stop_asked_by is not None:
        return _stopped(tenant, found, f"{job.stop_asked_by!r} asked for it")
    if training.artifact is not None and objects.exists(training.artifact):
        return _reserve(tenant, found, artifact=training.artifact)
    if training.status is Status.STOPPED:
        return _stopped(tenant, found, f"SageMaker stopped it, without a model: {training.detail}")
    return _fail(tenant, found, "artifact-missing", "the job completed and left no model")


def _reserve(tenant: str, found: JobRow, *, artifact: str) -> bool:
    """Take the next version, before anything is copied there."""
    job = found.job
    standing = store.read_standing(tenant, job.model)
    highest = next(registry.all_versions(tenant, job.model), None)
    known = [highest.version if highest else None, standing.standing.reserved, job.version]
    version = model.version_after([one for one in known if one is not None])
    reserved = standing.standing.model_copy(update={"reserved": version})
    tables.commit(
        [
            _replace(found, state=State.PUBLISHING, version=version, artifact=artifact),
            store.put_standing(tenant, standing, reserved),
        ]
    )
    return True


def _publish(tenant: str, found: JobRow) -> bool:
    """Copy the artifact to its version; registering and deploying it is up to the upload."""
    job = found.job
    assert job.version is not None
    assert job.artifact is not None
    target = f"models/{job.model}/{job.version}/{ARCHIVE}"
    try:
        if not objects.is_published(target, job=job.name):
            if _is_registered(tenant, job.model, job.version):
                return _reserve(tenant, found, artifact=job.artifact)
            objects.publish(job.artifact, target, job=job.name)
    except objects.VersionTaken:
        return _reserve(tenant, found, artifact=job.artifact)
    except objects.ArtifactGone:
        return _fail(tenant, found, "artifact-missing", "the model was deleted before it was used")
    return _end(tenant, found, _changed(job, state=State.COMPLETED))


def _is_registered(tenant: str, name: str, version: str) -> bool:
    try:
        registry.get_version(tenant, name, version)
    except VersionNotFound:
        return False
    return True


def _stopped(tenant: str, found: JobRow, detail: str) -> bool:
    failure = Reason(code="stopped", detail=detail[:_LONGEST_DETAIL])
    return _end(tenant, found, _changed(found.job, state=State.STOPPED, failure=failure))


def _fail(tenant: str, found: JobRow, code: str, detail: str) -> bool:
    logger.error("training_failed", model=found.job.model, key=found.job.name, reason=code)
    failure = Reason(code=code, detail=detail[:_LONGEST_DETAIL])
    return _end(tenant, found, _changed(found.job, state=State.FAILED, failure=failure))


def _end(tenant: str, found: JobRow, job: Job) -> bool:
    """The model may be trained again from here on."""
    assert job.state in ENDS
    standing = store.read_standing(tenant, job.model)
    is_failed = job.state is State.FAILED
    closed = standing.standing.model_copy(update={"is_open": False, "last_failed": is_failed})
    tables.commit(
        [
            store.replace_job(found, job),
            store.put_standing(tenant, standing, closed),
            *telling.job_writes(tenant, job, job.state.value, actor=_ACTOR),
        ]
    )
    logger.info("training_ended", model=job.model, key=job.name, state=job.state.value)
    return False


def _replace(found: JobRow, **fields: object) -> tables.Write:
    return store.replace_job(found, _changed(found.job, **fields))


def _changed(job: Job, **fields: object) -> Job:
    return job.model_copy(update={**fields, "updated_at": utc_now()})


def _postpone(job: Job, because: str) -> bool:
    logger.warning(
        "training_step_postponed", model=job.model, key=job.name, state=job.state, error=because
    )
    return False
