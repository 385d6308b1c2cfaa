"""Use cases of deployments: ask for an endpoint, promote, roll back, retire, look after them all.
The steps between are in `steps`; stages change only through the registry's gate."""

from collections.abc import Callable, Iterator
from typing import Protocol

from chalicelib.deployments import handover, leases, model, steps, store
from chalicelib.deployments.model import Deployment, DeploymentBusy, DeploymentNotFound, Spec, State
from chalicelib.kit.clock import Deadline, utc_now
from chalicelib.kit.errors import Invalid
from chalicelib.kit.settings import settings
from chalicelib.kit.tables import Write
from chalicelib.kit.telemetry import logger
from chalicelib.registry import service as registry
from chalicelib.registry.model import Change, Model, Stage, Version, is_due

_SCHEDULE = "schedule"


class NotAGoal(Invalid):
    """Stages that versions come to by themselves cannot be asked for."""

    code = "not-a-goal"


class _Look(Protocol):
    """What a reconciler does to one version."""

    def __call__(self, tenant: str, name: str, version: str, *, deadline: Deadline) -> object: ...


def get_deployment(tenant: str, name: str, version: str) -> Deployment:
    registry.get_version(tenant, name, version)
    found = store.read(tenant, name, version)
    if found is None:
        raise DeploymentNotFound(f"version {version!r} of {name!r} was never deployed")
    return found.deployment


def deploy(tenant: str, name: str, version: str, *, actor: str, deadline: Deadline) -> Deployment:
    """Ask for an endpoint with the model's present settings, and go as far as time allows.

    A deployment under way is joined; a live one whose settings are the same is left alone.
    """
    request(tenant, name, version, actor=actor)
    return steps.advance(tenant, name, version, deadline=deadline)


def ask_to_deploy(tenant: str, name: str, version: str, *, actor: str) -> Deployment:
    """Write down that an endpoint is wanted and wake up the function that may make it."""
    request(tenant, name, version, actor=actor)
    handover.wake(name, version)
    return get_deployment(tenant, name, version)


def deploy_new(tenant: str, name: str, version: str, *, actor: str, deadline: Deadline) -> None:
    """Deploy a version that never was; push on one that is under way; wake up nothing else."""
    found = request(tenant, name, version, actor=actor, only_new=True)
    if found.stage is Stage.DEPLOYING:
        steps.advance(tenant, name, version, deadline=deadline)


def request(tenant: str, name: str, version: str, *, actor: str, only_new: bool = False) -> Version:
    """Write down that an endpoint is wanted; making it is up to whoever advances the row.

    only_new: nothing for a version that was ever deployed, retired or rejected.
    """

    def also(change: Change) -> list[Write]:
        if only_new and not change.versions:
            return []
        found = store.read(tenant, name, version)
        known = found.deployment if found else None
        spec = _spec(change.model, registry.get_version(tenant, name, version))
        if known is not None and known.state is State.RETIRING:
            raise DeploymentBusy(f"version {version!r} of {name!r} is being taken down")
        if known is not None and model.is_under_way(known):
            return []
        if known is not None and known.state is State.LIVE and known.spec == spec:
            return []
        wanted = steps.wanted(tenant, name, version, spec, known)
        return leases.writes(tenant, found, wanted)

    return registry.start_deployment(
        tenant, name, version, only_new=only_new, actor=actor, also=also
    )


def promote(tenant: str, name: str, version: str, *, actor: str, reason: str) -> Version:
    """Move the champion pointer; no endpoint is made or changed."""
    return registry.promote(tenant, name, version, actor=actor, reason=reason)


def roll_back(tenant: str, name: str, *, to: str | None, actor: str, reason: str) -> Version:
    """Move the champion pointer back to an endpoint that still stands; none is made."""
    return registry.roll_back(tenant, name, to=to, actor=actor, reason=reason)


def retire(
    tenant: str, name: str, version: str, *, actor: str, reason: str, deadline: Deadline
) -> Version:
    """Take a version out of use and its endpoint down. Raises VersionIsChampion."""
    retired = _out_of_use(tenant, name, version, actor=actor, reason=reason)
    if store.read(tenant, name, version) is not None:
        steps.advance(tenant, name, version, deadline=deadline)
    return retired


def ask_to_retire(tenant: str, name: str, version: str, *, actor: str, reason: str) -> Version:
    """Take a version out of use, and wake up the function that may take its endpoint down."""
    retired = _out_of_use(tenant, name, version, actor=actor, reason=reason)
    handover.wake(name, version)
    return retired


def advance(tenant: str, name: str, version: str, *, deadline: Deadline) -> Deployment:
    """Go on with what was asked for, whatever that is by now."""
    return steps.advance(tenant, name, version, deadline=deadline)


def endpoint_changed(tenant: str, endpoint: str, *, deadline: Deadline) -> bool:
    """Look at the deployment that an endpoint belongs to; False when it is none of ours."""
    owner = store.owner_of(tenant, endpoint)
    if owner is None:
        return False
    steps.advance(tenant, owner.model, owner.version, deadline=deadline)
    return True


def reconcile(tenant: str, *, deadline: Deadline) -> int:
    """Finish whatever stopped half-way and repair what broke; returns how many still could not.

    Events get lost and functions die: this alone brings every deployment to its end.
    """
    failed = 0
    for name, version, look in [*_forgotten_and_due(tenant), *_unfinished(tenant)]:
        if deadline.passed():
            break
        try:
            look(tenant, name, version, deadline=deadline)
        except Exception:
            # One version's trouble, whatever it is, must not keep the others waiting.
            failed += 1
            logger.error("reconcile_failed", trace=True, model=name, version=version)
    return failed


def _forgotten_and_due(tenant: str) -> Iterator[tuple[str, str, "_Look"]]:
    for found in registry.all_models(tenant):
        for version in registry.all_versions(tenant, found.name):
            if version.stage is Stage.REGISTERED:
                # Its process died before it asked for an endpoint.
                yield found.name, version.version, _deploy_forgotten
            if is_due(version, now=utc_now()):
                yield found.name, version.version, _retire_due


def _unfinished(tenant: str) -> Iterator[tuple[str, str, "_Look"]]:
    for found in store.deployments(tenant):
        if model.needs_attention(found):
            yield found.model, found.version, steps.advance


def _deploy_forgotten(tenant: str, name: str, version: str, *, deadline: Deadline) -> None:
    deploy_new(tenant, name, version, actor=_SCHEDULE, deadline=deadline)


def _retire_due(tenant: str, name: str, version: str, *, deadline: Deadline) -> None:
    also = _retiring(tenant, name, version)
    registry.retire_if_due(tenant, name, version, actor=_SCHEDULE, also=also)
    steps.advance(tenant, name, version, deadline=deadline)


def _out_of_use(tenant: str, name: str, version: str, *, actor: str, reason: str) -> Version:
    also = _retiring(tenant, name, version)
    return registry.retire(tenant, name, version, actor=actor, reason=reason, also=also)


def _retiring(tenant: str, name: str, version: str) -> Callable[[Change], list[Write]]:
    """The deployment's part of a retirement, for the registry's transaction."""

    def also(change: Change) -> list[Write]:
        found = store.read(tenant, name, version) if change.versions else None
        if found is None or found.deployment.state in (State.RETIRING, State.RETIRED):
            return []
        live = registry.get_version(tenant, name, version).live
        serving = live.endpoint if live else None
        return [store.put(tenant, found, model.retiring(found.deployment, serving, now=utc_now()))]

    return also


def _spec(found: Model, version: Version) -> Spec:
    archive_url = registry.archive_url(version)
    assert archive_url is not None, "the gate lets no version without accepted bytes deploy"
    return Spec(
        image=found.settings.image or settings().default_image,
        archive_url=archive_url,
        environment=found.settings.environment,
        hosting=found.settings.hosting,
    )
