"""A version's way to an endpoint: its states, the lease of its deployer, and the names it uses.
Nothing here reads a clock, a table or SageMaker."""

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from chalicelib.kit.errors import Busy, NotFound
from chalicelib.kit.values import Value
from chalicelib.registry.model import Hosting, ModelName, Reason
from chalicelib.registry.semver import VersionName

VARIANT = "AllTraffic"
"""The one variant of every endpoint of ours."""
_MODEL_LETTERS = 16
_VERSION_LETTERS = 12
_DIGEST_LETTERS = 10
_MOST_RECOVERIES = 3


class State(StrEnum):
    REQUESTED = "requested"
    CREATING = "creating"
    LIVE = "live"
    FAILED = "failed"
    RETIRING = "retiring"
    RETIRED = "retired"


class Spec(Value):
    """Everything that decides what an endpoint does; other settings need another endpoint."""

    image: str
    archive_url: str
    environment: dict[str, str]
    hosting: Hosting


class Waste(Value):
    """Names that serve nothing any more; deleted once functions have forgotten them."""

    name: str
    not_before: datetime


class Attempt(Value):
    """An endpoint that serves while its replacement is made."""

    name: str
    spec: Spec


class Lease(Value):
    """Who works on the deployment: the holder of `fence`, until `until`."""

    fence: int
    until: datetime
    signals_seen: int


class Deployment(Value):
    """One row per version. `attempt` counts endpoints that were asked for."""

    model: ModelName
    version: VersionName
    state: State
    attempt: int
    name: Annotated[str, Field(max_length=63)]
    """SageMaker name of this attempt's model, endpoint config and endpoint alike."""
    spec: Spec
    replaces: Attempt | None = None
    reason: Reason | None = None
    recoveries: int = 0
    """Attempts since the last request that were made because the endpoint was lost."""
    waste: list[Waste] = Field(default_factory=list[Waste])
    fence: int = 0
    lease: Lease | None = None
    signals: int = 0
    """How often someone came while another held the lease: the holder looks again."""
    requested_at: datetime
    updated_at: datetime


class DeploymentNotFound(NotFound):
    code = "deployment-not-found"


class DeploymentBusy(Busy):
    """The version's endpoint is being taken down; deploy it again when that is done."""

    code = "deployment-busy"


class Superseded(Exception):
    """The row was asked to go another way since the step began; the step's result is void."""


class LeaseLost(Exception):
    """Another deployer took over after the lease ran out; nothing more may be written."""


def endpoint_name(*, prefix: str, tenant: str, model: str, version: str, attempt: int) -> str:
    """Deterministic, unique per attempt, at most 63 of [a-zA-Z0-9-], readable where it fits.

    SageMaker's creates have no idempotency token, so the name is the only one.
    """
    parts = (tenant, model, version, str(attempt))
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_DIGEST_LETTERS]
    readable = version.replace(".", "-")[:_VERSION_LETTERS]
    return f"{prefix}-{model[:_MODEL_LETTERS]}-{readable}-{digest}"


def leased(found: Deployment, *, now: datetime, lease_s: int) -> Deployment | None:
    """The deployment with a new holder, or None while another holds it."""
    if found.lease is not None and found.lease.until > now:
        return None
    fence = found.fence + 1
    lease = Lease(fence=fence, until=now + timedelta(seconds=lease_s), signals_seen=found.signals)
    return found.model_copy(update={"fence": fence, "lease": lease})


def renewed(found: Deployment, *, now: datetime, lease_s: int) -> Deployment | None:
    """With a full lease again, or None while over half of it is left."""
    assert found.lease is not None
    if found.lease.until - now > timedelta(seconds=lease_s / 2):
        return None
    lease = found.lease.model_copy(update={"until": now + timedelta(seconds=lease_s)})
    return found.model_copy(update={"lease": lease})


def released(found: Deployment) -> Deployment | None:
    """Without a holder, or None when someone came meanwhile and the holder must look again."""
    if found.lease is not None and found.lease.signals_seen != found.signals:
        return None
    return found.model_copy(update={"lease": None})


def looked_again(found: Deployment) -> Deployment:
    assert found.lease is not None
    lease = found.lease.model_copy(update={"signals_seen": found.signals})
    return found.model_copy(update={"lease": lease})


def next_attempt(
    found: Deployment, *, name: str, spec: Spec, now: datetime, is_recovery: bool
) -> Deployment:
    """A recovery has nothing to fall back to; any other attempt falls back to what is live."""
    serves = found.state is State.LIVE and not is_recovery
    return found.model_copy(
        update={
            "state": State.REQUESTED,
            "attempt": found.attempt + 1,
            "name": name,
            "spec": spec,
            "replaces": Attempt(name=found.name, spec=found.spec) if serves else None,
            "reason": None,
            "recoveries": found.recoveries + 1 if is_recovery else 0,
            "requested_at": now,
            "updated_at": now,
        }
    )


def gone_live(found: Deployment, *, now: datetime) -> Deployment:
    return found.model_copy(
        update={"state": State.LIVE, "replaces": None, "reason": None, "updated_at": now}
    )


def failed(found: Deployment, reason: Reason, *, now: datetime) -> Deployment:
    """Leave the attempt's names to be deleted; go back to the endpoint it was to replace."""
    update: dict[str, object] = {
        "state": State.FAILED,
        "reason": reason,
        "waste": wasted(found, found.name, not_before=now),
        "updated_at": now,
    }
    if found.replaces is not None:
        update |= {
            "state": State.LIVE,
            "name": found.replaces.name,
            "spec": found.replaces.spec,
            "replaces": None,
        }
    return found.model_copy(update=update)


def retiring(found: Deployment, serving: str | None, *, now: datetime) -> Deployment:
    """On the way out, with every name that may still stand for something.

    serving: the endpoint that the registry knows, if any.
    """
    waste = found.waste
    for name in (serving, found.replaces.name if found.replaces else None):
        if name is not None and name != found.name:
            waste = wasted(found.model_copy(update={"waste": waste}), name, not_before=now)
    return found.model_copy(
        update={
            "state": State.RETIRING,
            "replaces": None,
            "waste": waste,
            "requested_at": now,
            "updated_at": now,
        }
    )


def is_same_way(found: Deployment, other: Deployment) -> bool:
    """True while nobody asked for another attempt or another end in between."""
    return (found.state, found.attempt, found.name) == (other.state, other.attempt, other.name)


def may_recover(found: Deployment) -> bool:
    return found.recoveries < _MOST_RECOVERIES


def is_under_way(found: Deployment) -> bool:
    return found.state in (State.REQUESTED, State.CREATING)


def needs_attention(found: Deployment) -> bool:
    """True when a reconciler has something to look at."""
    return found.state not in (State.FAILED, State.RETIRED) or bool(found.waste)


def wasted(found: Deployment, name: str, *, not_before: datetime) -> list[Waste]:
    if any(waste.name == name for waste in found.waste):
        return found.waste
    return [*found.waste, Waste(name=name, not_before=not_before)]
