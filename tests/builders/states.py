"""What is true of one model after everything settled, in the registry, SageMaker and the ledger,
without names, times and hashes: two runs that ended alike compare equal."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from chalicelib.deployments import store as deployments
from chalicelib.deployments import triggers
from chalicelib.deployments.model import Deployment, State
from chalicelib.kit import aws, tables
from chalicelib.kit.clock import utc_now
from chalicelib.ledger import service as ledger
from chalicelib.registry import service as registry
from chalicelib.registry import store as rows
from chalicelib.registry.model import Version
from tests.builders import events


@dataclass(frozen=True)
class EndState:
    champion: str | None
    former_champions: tuple[str, ...]
    versions: dict[str, tuple[object, ...]]
    deployments: dict[str, tuple[object, ...]]
    moves: tuple[tuple[object, ...], ...]
    stands_in_sagemaker: int


def end_state(world: Any) -> EndState:
    """Also asserts what must hold in any end: nothing orphaned, history and ledger whole."""
    found = registry.get_model(world.tenant, world.model)
    versions = list(registry.all_versions(world.tenant, world.model))
    deployed = {one.version: one for one in _deployments(world)}
    serving = {one.live.endpoint for one in versions if one.live}
    for kind, names in world.names_in_sagemaker().items():
        assert set(names) == serving, f"{kind} that serve nothing, or are missing"
    assert {one.name for one in deployed.values() if one.state == "live"} == serving
    assert sum(one.stage == "champion" for one in versions) == (found.champion is not None)
    return EndState(
        champion=found.champion.version if found.champion else None,
        former_champions=tuple(found.former_champions),
        versions={one.version: _outline(one) for one in versions},
        deployments={
            one.version: (one.state, one.attempt, one.recoveries, one.reason, len(one.waste))
            for one in deployed.values()
        },
        moves=_moves(world),
        stands_in_sagemaker=len(serving),
    )


def settle(worlds: list[Any]) -> None:
    """Let the reconciler bring the deployments of one tenant to their ends, telling nobody else."""
    tenant = worlds[0].tenant

    def is_settled() -> bool:
        leased = (one.lease for one in _restless(tenant))
        if _is_changing() or any(lease and lease.until > utc_now() for lease in leased):
            return False  # a look at all deployments would cost much and see nothing
        triggers.reconcile(events.scheduled(), None)
        return not _restless(tenant) and not _is_changing()

    worlds[0].wait_until(is_settled)


def _restless(tenant: str) -> list[Deployment]:
    ends, now = {State.LIVE, State.FAILED, State.RETIRED}, utc_now()
    return [
        one
        for one in deployments.deployments(tenant)
        if one.state not in ends or any(waste.not_before <= now for waste in one.waste)
    ]


def _is_changing() -> bool:
    listed = aws.sagemaker().list_endpoints
    return any(listed(StatusEquals=status)["Endpoints"] for status in ("Creating", "Deleting"))


def turn_back(world: Any, version: str, *, hours: float = 24.0) -> None:
    """Let so much time pass for what a version and its deployment wait for."""
    by = timedelta(hours=hours)
    read = rows.read_version(world.tenant, world.model, version)
    assert read is not None
    if read.version.retire_after is not None:
        update = {"retire_after": read.version.retire_after - by}
        changed = read.version.model_copy(update=update)
        tables.commit([rows.put_version(world.tenant, read, changed)])
    found = deployments.read(world.tenant, world.model, version)
    if found is not None:
        tables.commit([deployments.put(world.tenant, found, _older(found.deployment, by))])


def scaled_endpoints(world: Any) -> list[str]:
    pages = aws.autoscaling().get_paginator("describe_scalable_targets")
    part = f"-{world.model[:16]}-"
    found = pages.paginate(ServiceNamespace="sagemaker").search("ScalableTargets[].ResourceId")
    return [resource for resource in found if part in resource]


def ledger_actions(world: Any) -> list[str]:
    """Newest first."""
    page = ledger.entries(world.tenant, f"model/{world.model}", limit=200, cursor=None)
    return [entry.action for entry in page.items]


def _older(found: Deployment, by: timedelta) -> Deployment:
    waste = [
        one.model_copy(update={"not_before": min(one.not_before, utc_now()) - by})
        for one in found.waste
    ]
    update = {
        "waste": waste,
        "requested_at": found.requested_at - by,
        "updated_at": found.updated_at - by,
    }
    return found.model_copy(update=update)


def _outline(version: Version) -> tuple[object, ...]:
    return (
        version.stage,
        version.archive.sha256 if version.archive else None,
        version.reason.code if version.reason else None,
        version.live.hosting if version.live else None,
        version.retire_after is not None,
    )


def _moves(world: Any) -> tuple[tuple[object, ...], ...]:
    history = registry.history(world.tenant, world.model, at=None, limit=200, cursor=None)
    moves = history.items[::-1]
    assert [move.number for move in moves] == list(range(1, len(moves) + 1))
    assert ledger.verify(world.tenant, f"model/{world.model}").intact
    return tuple((move.version, move.before, move.after, move.champion) for move in moves)


def _deployments(world: Any) -> Iterator[Deployment]:
    every = deployments.deployments(world.tenant)
    return (one for one in every if one.model == world.model)
