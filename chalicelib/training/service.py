"""Use cases of training: ask for a job, see it, stop it, look after all jobs and all models.
The steps between are in `steps`, what speaks for or against a job in `rule`."""

import itertools
from collections.abc import Callable

from chalicelib.kit import tables
from chalicelib.kit.clock import Deadline, utc_now
from chalicelib.kit.errors import Busy
from chalicelib.kit.paging import Page
from chalicelib.kit.settings import settings
from chalicelib.kit.telemetry import logger
from chalicelib.registry import service as registry
from chalicelib.registry.model import Model, TrainingSettings
from chalicelib.training import counting, handover, model, objects, rule, steps, store, telling
from chalicelib.training.model import (
    ENDS,
    Cause,
    Job,
    JobNotFound,
    Retraining,
    Skip,
    Spec,
    State,
    TrainingNotConfigured,
    TrainingOver,
)
from chalicelib.training.rule import Facts
from chalicelib.training.store import File

_SCHEDULE = "schedule"


def get_job(tenant: str, name: str, job: str) -> Job:
    owner = store.owner_of(tenant, job)
    if owner is None or owner.model != name:
        raise JobNotFound(f"model {name!r} has no training job {job!r}")
    return steps.read(tenant, name, owner.number).job


def last_job(tenant: str, name: str) -> Job:
    registry.get_model(tenant, name)
    standing = store.read_standing(tenant, name).standing
    if standing.job is None:
        raise JobNotFound(f"model {name!r} has no training job")
    return steps.read(tenant, name, standing.number).job


def list_jobs(tenant: str, name: str, *, limit: int, cursor: str | None) -> "Page[Job]":
    """Newest first."""
    registry.get_model(tenant, name)
    below = int(cursor) if cursor else None
    found = list(itertools.islice(store.jobs(tenant, name, below=below), limit + 1))
    more = len(found) > limit
    return Page(items=found[:limit], cursor=str(found[limit - 1].number) if more else None)


def ask(
    tenant: str,
    name: str,
    *,
    cause: Cause,
    reason: str,
    actor: str,
    token: str | None = None,
) -> Retraining:
    """Write down that a job is wanted, or why there is none; nothing is submitted yet.

    token: names the call. The same call again gets the same answer and asks for nothing new.
    Raises TrainingNotConfigured.
    """
    return tables.until_fresh(
        lambda: _ask(tenant, name, cause=cause, reason=reason, actor=actor, token=token)
    )


def ask_over_http(tenant: str, name: str, *, reason: str, actor: str) -> Retraining:
    """Ask, and wake up the function that may submit."""
    answer = ask(tenant, name, cause=Cause.REQUEST, reason=reason, actor=actor)
    if answer.job is not None:
        handover.wake(name, answer.job.name)
    return answer


def trigger(
    tenant: str, name: str, *, reason: str, actor: str, token: str | None, deadline: Deadline
) -> Retraining:
    """Count what lies there, ask for a job, and go as far as time allows."""
    counting.recount(tenant, deadline=deadline)
    answer = ask(tenant, name, cause=Cause.REQUEST, reason=reason, actor=actor, token=token)
    if answer.job is None:
        return answer
    job = steps.advance(tenant, name, answer.job.number, deadline=deadline)
    return answer.model_copy(update={"job": job})


def advance(tenant: str, name: str, job: str, *, deadline: Deadline) -> Job:
    number = get_job(tenant, name, job).number
    return steps.advance(tenant, name, number, deadline=deadline)


def ask_to_stop(tenant: str, name: str, job: str, *, actor: str) -> Job:
    """Write down that no version shall come of it. Raises TrainingOver when one does already."""
    number = get_job(tenant, name, job).number

    def attempt() -> Job:
        found = steps.read(tenant, name, number)
        if found.job.state is State.STOPPED or found.job.stop_asked_by is not None:
            return found.job
        if found.job.state in ENDS or found.job.state is State.PUBLISHING:
            raise TrainingOver(f"training job {job!r} is {found.job.state.value!r}")
        update = {"stop_asked_by": actor, "updated_at": utc_now()}
        asked = found.job.model_copy(update=update)
        entries = telling.job_writes(tenant, asked, "stop_asked", actor=actor)
        tables.commit([store.replace_job(found, asked), *entries])
        return asked

    return tables.until_fresh(attempt)


def ask_to_stop_over_http(tenant: str, name: str, job: str, *, actor: str) -> Job:
    asked = ask_to_stop(tenant, name, job, actor=actor)
    handover.wake(name, job)
    return asked


def stop(tenant: str, name: str, job: str, *, actor: str, deadline: Deadline) -> Job:
    ask_to_stop(tenant, name, job, actor=actor)
    return advance(tenant, name, job, deadline=deadline)


def count_file(key: str) -> File | None:
    """Count a file that was uploaded; None for a key that names no tenant's episodes."""
    tenant = settings().tenant_id
    return counting.take(tenant, key) if objects.tenant_of(key) == tenant else None


def job_changed(tenant: str, job: str, *, deadline: Deadline) -> bool:
    """See how the job stands; False for jobs of others."""
    owner = store.owner_of(tenant, job)
    if owner is None:
        return False
    steps.advance(tenant, owner.model, owner.number, deadline=deadline)
    return True


def follow_all(tenant: str, *, deadline: Deadline) -> int:
    """Look at every job under way; one that fails does not keep the others from it."""
    under_way = [one for one in store.standings(tenant) if one.is_open]
    return sum(
        _failed(lambda one=one: steps.advance(tenant, one.model, one.number, deadline=deadline))
        for one in under_way
        if not deadline.passed()
    )


def start_due(tenant: str, *, deadline: Deadline) -> int:
    """Ask the rule for each model with training settings, and start what is due."""
    trained = [one for one in registry.all_models(tenant) if one.settings.training is not None]
    if not trained:
        return 0
    failed = _failed(lambda: counting.recount(tenant, deadline=deadline))
    return failed + sum(
        _failed(lambda one=one: _start_if_due(tenant, one, deadline))
        for one in trained
        if not deadline.passed()
    )


def _start_if_due(tenant: str, found: Model, deadline: Deadline) -> None:
    facts = _facts(tenant, found, store.read_standing(tenant, found.name))
    cause = rule.due(facts)
    if cause is None:
        return
    reason = f"{facts.new_episodes} new episodes, last asked for {facts.standing.requested_at}"
    answer = ask(tenant, found.name, cause=cause, reason=reason, actor=_SCHEDULE)
    if answer.job is not None:
        steps.advance(tenant, found.name, answer.job.number, deadline=deadline)


def _failed(act: Callable[[], object]) -> bool:
    """True when it was cut short; the next run of the schedule goes on."""
    try:
        act()
    except Busy as error:
        logger.warning("training_postponed", reason=error.code, error=error.detail)
        return True
    except Exception:
        # One model's trouble, whatever it is, must not keep the others waiting.
        logger.error("training_cut_short", trace=True)
        return True
    return False


def _ask(
    tenant: str, name: str, *, cause: Cause, reason: str, actor: str, token: str | None
) -> Retraining:
    """Raises tables.Stale when another job or answer came between."""
    found = store.read_standing(tenant, name)
    if token is not None and found.standing.token == token:
        return _same_answer(tenant, found)
    owner = registry.get_model(tenant, name)
    facts = _facts(tenant, owner, found)
    skip = rule.objection(facts, cause)
    if skip is not None:
        if rule.is_worth_recording(skip):
            _record(tenant, facts, found, skip, reason=reason, actor=actor, token=token)
        return Retraining(status="skipped", skip=skip)
    job = _new_job(tenant, owner, facts, cause=cause, reason=reason, actor=actor)
    standing = facts.standing.model_copy(
        update={
            "number": job.number,
            "job": job.name,
            "is_open": True,
            "requested_at": facts.now,
            "received": facts.episodes.received,
            "token": token,
            "skip": None,
        }
    )
    tables.commit(
        [
            *store.create_job(tenant, job),
            store.put_standing(tenant, found, standing),
            *telling.job_writes(tenant, job, "requested", actor=actor),
        ]
    )
    return Retraining(status="requested", job=job)


def _record(
    tenant: str,
    facts: Facts,
    found: store.StandingRow,
    skip: Skip,
    *,
    reason: str,
    actor: str,
    token: str | None,
) -> None:
    looked_at = facts.now if skip.cause is Cause.AGE else found.standing.looked_at
    update = {"looked_at": looked_at, "token": token, "skip": skip}
    standing = found.standing.model_copy(update=update)
    entries = telling.skip_writes(tenant, standing.model, skip, actor=actor, reason=reason)
    tables.commit([store.put_standing(tenant, found, standing), *entries])


def _same_answer(tenant: str, found: store.StandingRow) -> Retraining:
    standing = found.standing
    if standing.skip is not None:
        return Retraining(status="skipped", skip=standing.skip)
    job = steps.read(tenant, standing.model, standing.number).job
    return Retraining(status="requested", job=job)


def _facts(tenant: str, owner: Model, found: store.StandingRow) -> Facts:
    return Facts(
        settings=_training(owner),
        standing=found.standing,
        episodes=store.read_episodes(tenant).episodes,
        model_since=owner.created_at,
        now=utc_now(),
    )


def _new_job(
    tenant: str, owner: Model, facts: Facts, *, cause: Cause, reason: str, actor: str
) -> Job:
    number, training = facts.standing.number + 1, facts.settings
    image = training.image or owner.settings.image
    assert image is not None
    return Job(
        model=owner.name,
        number=number,
        name=model.job_name(
            prefix=settings().resource_prefix, tenant=tenant, model=owner.name, number=number
        ),
        state=State.REQUESTED,
        cause=cause,
        reason=reason,
        actor=actor,
        spec=Spec(
            image=image,
            instance_type=training.instance_type,
            volume_gb=training.volume_gb,
            max_runtime_s=training.max_runtime_s,
            hyperparameters=model.hyperparameters_of(number, training.hyperparameters),
            minimum_episodes=training.minimum_episodes,
        ),
        requested_at=facts.now,
        updated_at=facts.now,
    )


def _training(owner: Model) -> TrainingSettings:
    if owner.settings.training is None:
        raise TrainingNotConfigured(f"the settings of {owner.name!r} have no 'training'")
    return owner.settings.training
