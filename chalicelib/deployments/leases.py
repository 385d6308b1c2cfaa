"""Who works on a deployment: the lease, and the writes that only its holder may make.
What the holder does is in `steps`."""

from collections.abc import Callable

from chalicelib.deployments import model, store
from chalicelib.deployments.model import Deployment, LeaseLost, Superseded
from chalicelib.kit import tables
from chalicelib.kit.clock import utc_now
from chalicelib.kit.settings import settings
from chalicelib.kit.tables import Write
from chalicelib.registry.model import Change


def acquire(tenant: str, name: str, version: str) -> Deployment | None:
    """The deployment with us as holder; None when another is, who is told to look again."""

    def attempt() -> Deployment | None:
        found = read(tenant, name, version)
        lease_s = settings().lease_s
        held = model.leased(found.deployment, now=utc_now(), lease_s=lease_s)
        if held is None:
            told = found.deployment.model_copy(update={"signals": found.deployment.signals + 1})
            tables.commit([store.put(tenant, found, told)])
            return None
        tables.commit([store.put(tenant, found, held)])
        return held

    return tables.until_fresh(attempt)


def hold(tenant: str, held: Deployment) -> Deployment:
    """The deployment as it now stands, with at least half of the lease left for the next step.

    Raises LeaseLost when another deployer took over.
    """

    def attempt() -> Deployment:
        found = _read_held(tenant, held.model, held.version, held.fence)
        lease_s = settings().lease_s
        renewed = model.renewed(found.deployment, now=utc_now(), lease_s=lease_s)
        if renewed is None:
            return found.deployment
        tables.commit([store.put(tenant, found, renewed)])
        return renewed

    return tables.until_fresh(attempt)


def release(tenant: str, name: str, version: str, fence: int) -> bool:
    """False when someone came meanwhile: the holder keeps the lease and walks again."""

    def attempt() -> bool:
        found = _read_held(tenant, name, version, fence)
        free = model.released(found.deployment)
        row = free or model.looked_again(found.deployment)
        tables.commit([store.put(tenant, found, row)])
        return free is not None

    return tables.until_fresh(attempt)


def update(tenant: str, current: Deployment, **fields: object) -> None:
    def attempt() -> None:
        found = _read_unchanged(tenant, current)
        changed = found.deployment.model_copy(update={**fields, "updated_at": utc_now()})
        tables.commit([store.put(tenant, found, changed)])

    tables.until_fresh(attempt)


def with_row(
    tenant: str, current: Deployment, change: Callable[[Deployment], Deployment]
) -> Callable[[Change], list[Write]]:
    """Writes for the registry's transaction; the row is read anew in each of its attempts."""

    def also(_: Change) -> list[Write]:
        found = _read_unchanged(tenant, current)
        return writes(tenant, found, change(found.deployment))

    return also


def writes(tenant: str, found: store.DeploymentRow | None, deployment: Deployment) -> list[Write]:
    """The row, and for a new attempt the row that finds it by its endpoint's name."""
    rows = [store.put(tenant, found, deployment)]
    if found is None or found.deployment.attempt != deployment.attempt:
        owner = store.Owner(model=deployment.model, version=deployment.version)
        rows.append(store.create_owner(tenant, deployment.name, owner))
    return rows


def read(tenant: str, name: str, version: str) -> store.DeploymentRow:
    found = store.read(tenant, name, version)
    if found is None:
        raise model.DeploymentNotFound(f"version {version!r} of {name!r} was never deployed")
    return found


def _read_unchanged(tenant: str, current: Deployment) -> store.DeploymentRow:
    found = _read_held(tenant, current.model, current.version, current.fence)
    if not model.is_same_way(found.deployment, current):
        raise Superseded
    return found


def _read_held(tenant: str, name: str, version: str, fence: int) -> store.DeploymentRow:
    found = read(tenant, name, version)
    if found.deployment.fence != fence:
        raise LeaseLost
    return found
