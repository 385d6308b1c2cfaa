"""The one gate: every stage change is read, decided and written here, with history and ledger.
Which change is right is decided by the pure rules in `model`; nothing else writes a stage."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from chalicelib.kit import tables
from chalicelib.kit.clock import utc_now
from chalicelib.kit.tables import Write
from chalicelib.ledger import service as ledger
from chalicelib.ledger.model import Facts, Note
from chalicelib.registry import store
from chalicelib.registry.model import (
    Change,
    Model,
    ModelNotFound,
    Move,
    Version,
    VersionNotFound,
)


class Reads(NamedTuple):
    """What a decision may look at; each row is written only if it is still as it was read."""

    model: Model
    version: Version
    champion: Version | None
    now: datetime


Decide = Callable[[Reads], Change]
Also = Callable[[Change], Sequence[Write]]
"""Further rows of the caller that must change together with the stage, or not at all."""


class Why(NamedTuple):
    """Who changes a stage, what the ledger calls it, and the numbers it rests on."""

    action: str
    actor: str
    reason: str = ""
    facts: Facts | None = None


def nothing_else(change: Change) -> Sequence[Write]:
    return ()


def change_stage(
    tenant: str, name: str, version: str, decide: Decide, why: Why, also: Also = nothing_else
) -> Version:
    """Read, decide and write until no other change comes between; returns the version after it."""
    return tables.until_fresh(lambda: change_once(tenant, name, version, decide, why, also))


def change_once(
    tenant: str, name: str, version: str, decide: Decide, why: Why, also: Also = nothing_else
) -> Version:
    """Raises tables.Stale when another change came between."""
    model_row = read_model(tenant, name)
    rows = {version: read_version(tenant, name, version)}
    champion = model_row.model.champion
    if champion and champion.version not in rows:
        rows[champion.version] = read_version(tenant, name, champion.version)
    if read_model(tenant, name).row.rev != model_row.row.rev:
        # The rows are of different moments: not even a refusal may rest on them.
        raise tables.Stale
    change = decide(
        Reads(
            model=model_row.model,
            version=rows[version].version,
            champion=rows[champion.version].version if champion else None,
            now=not_before(model_row.model.updated_at),
        )
    )
    version_rows = [rows[changed.version] for changed in change.versions]
    further = list(also(change))
    if further and not change.versions:
        # The stage stays, but what is decided on it holds only while it does.
        further.append(store.put_version(tenant, rows[version], rows[version].version))
    write(tenant, change, why, model_row=model_row, version_rows=version_rows, further=further)
    return next(
        (changed for changed in change.versions if changed.version == version),
        rows[version].version,
    )


def write(
    tenant: str,
    change: Change,
    why: Why,
    *,
    model_row: store.ModelRow | None,
    version_rows: Sequence[store.VersionRow | None],
    further: Sequence[Write] = (),
) -> None:
    """One transaction: model, versions, history, ledger and `further`; nothing when all are empty.

    version_rows: the rows that `change.versions` were made from, in the same order.
    """
    writes = list(further)
    if change.versions:
        moves, numbered = _numbered(change, why)
        notes = [_note(change, why)]
        writes += store.writes(
            tenant, numbered, model_row=model_row, version_rows=version_rows, moves=moves
        )
        writes += ledger.writes(tenant, subject_of(change.model.name), notes)
    if writes:
        tables.commit(writes)


def subject_of(name: str) -> str:
    """The ledger subject under which everything about a model is recorded."""
    return f"model/{name}"


def read_model(tenant: str, name: str) -> store.ModelRow:
    row = store.read_model(tenant, name)
    if row is None:
        raise ModelNotFound(f"there is no model {name!r}")
    return row


def read_version(tenant: str, name: str, version: str) -> store.VersionRow:
    row = store.read_version(tenant, name, version)
    if row is None:
        raise VersionNotFound(f"model {name!r} has no version {version!r}")
    return row


def not_before(last: datetime | None) -> datetime:
    """The present, but never before what the row already says: history must not run backwards."""
    now = utc_now()
    return max(now, last) if last else now


def _note(change: Change, why: Why) -> Note:
    return Note(
        actor=why.actor,
        action=why.action,
        before={
            version.version: before.value if before else None
            for version, before in zip(change.versions, change.before, strict=True)
        },
        after={version.version: version.stage.value for version in change.versions},
        facts={**(why.facts or {}), **({"reason": why.reason} if why.reason else {})},
    )


def _numbered(change: Change, why: Why) -> tuple[list[Move], Change]:
    """One history row per stage that really changed, and the model that counts them."""
    moves: list[Move] = []
    number = change.model.number
    for before, version in zip(change.before, change.versions, strict=True):
        if before is version.stage:
            continue
        number += 1
        moves.append(
            Move(
                number=number,
                at=change.model.updated_at,
                model=change.model.name,
                version=version.version,
                before=before,
                after=version.stage,
                champion=change.model.champion.version if change.model.champion else None,
                actor=why.actor,
                reason=why.reason or why.action,
            )
        )
    counted = change.model.model_copy(update={"number": number})
    return moves, Change(counted, change.versions, change.before)
