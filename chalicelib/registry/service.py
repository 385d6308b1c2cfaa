"""Use cases of the registry: settings, versions, stages and their history.
Registration of uploads is in `registration`, the way stages change in `gate`."""

import itertools
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from pydantic import BaseModel

from chalicelib.kit import tables
from chalicelib.kit.paging import Page
from chalicelib.kit.values import Value
from chalicelib.ledger import service as ledger
from chalicelib.ledger.model import Facts, Note
from chalicelib.registry import artifacts, gate, stages, store
from chalicelib.registry.gate import Also, Reads, Why
from chalicelib.registry.model import (
    Change,
    Live,
    Model,
    ModelSettings,
    Move,
    NothingToRollBackTo,
    Reason,
    Stage,
    Version,
)

subject_of = gate.subject_of


class LiveAt(Value):
    """Which version was champion at a moment, and since when."""

    at: datetime
    champion: str | None
    since: datetime | None


class History(Value):
    """Stage changes, newest first; `live` is set when one moment was asked for."""

    items: list[Move]
    cursor: str | None = None
    live: LiveAt | None = None


class Saved(NamedTuple):
    """A model after its settings were put, and whether it is new."""

    model: Model
    is_new: bool


def get_model(tenant: str, name: str) -> Model:
    return gate.read_model(tenant, name).model


def list_models(tenant: str, *, limit: int, cursor: str | None) -> "Page[Model]":
    found = list(itertools.islice(store.models(tenant, after=cursor), limit + 1))
    return Page(items=found[:limit], cursor=found[limit - 1].name if len(found) > limit else None)


def all_models(tenant: str) -> Iterator[Model]:
    return store.models(tenant, after=None)


def put_settings(tenant: str, name: str, settings: ModelSettings, *, actor: str) -> Saved:
    """Create the model or replace its settings; the same settings change nothing."""

    def attempt() -> Saved:
        read = store.read_model(tenant, name)
        if read and read.model.settings == settings:
            return Saved(read.model, is_new=False)
        return put_settings_once(tenant, name, read, settings, actor=actor)

    return tables.until_fresh(attempt)


def put_settings_once(
    tenant: str,
    name: str,
    read: store.ModelRow | None,
    settings: ModelSettings,
    *,
    actor: str,
    settings_object: str | None = None,
) -> Saved:
    """Replace exactly what was `read`; raises tables.Stale when it has changed since."""
    now = gate.not_before(read.model.updated_at if read else None)
    fresh = read.model if read else Model(name=name, created_at=now, updated_at=now)
    update: dict[str, object] = {"settings": settings, "updated_at": now}
    if settings_object is not None:
        update["settings_object"] = settings_object
    saved = fresh.model_copy(update=update)
    note = Note(
        actor=actor,
        action="model.settings_put",
        before=_facts(read.model.settings) if read else None,
        after=_facts(settings),
    )
    entries = ledger.writes(tenant, subject_of(name), [note])
    tables.commit([store.put_model(tenant, read, saved), *entries])
    return Saved(saved, is_new=read is None)


def get_version(tenant: str, name: str, version: str) -> Version:
    gate.read_model(tenant, name)
    return gate.read_version(tenant, name, version).version


def live(tenant: str, name: str, version: str | None) -> Live | None:
    """The champion, or the named version while it is in service; None when there is none."""
    if version is None:
        return get_model(tenant, name).champion
    found = get_version(tenant, name, version)
    return found.live if found.stage in (Stage.CANDIDATE, Stage.CHAMPION) else None


def list_versions(tenant: str, name: str, *, limit: int, cursor: str | None) -> "Page[Version]":
    """Highest precedence first."""
    gate.read_model(tenant, name)
    found = list(itertools.islice(store.versions(tenant, name, below=cursor), limit + 1))
    more = len(found) > limit
    return Page(items=found[:limit], cursor=found[limit - 1].version if more else None)


def all_versions(tenant: str, name: str) -> Iterator[Version]:
    return store.versions(tenant, name)


def history(
    tenant: str, name: str, *, at: datetime | None, limit: int, cursor: str | None
) -> History:
    """at: only what had happened by then, with the champion of that moment."""
    gate.read_model(tenant, name)
    found = store.moves(tenant, name, upto=at, before=cursor, page_size=limit)
    items = list(itertools.islice(found, limit))
    more = len(items) == limit and items[-1].number > 1
    live = _live_at(at, itertools.chain(items, found)) if at else None
    return History(items=items, cursor=store.move_cursor(items[-1]) if more else None, live=live)


def start_deployment(
    tenant: str, name: str, version: str, *, only_new: bool, actor: str, also: Also
) -> Version:
    """Stage `deploying`, unless the version is live already and only its endpoint is replaced.

    only_new: nothing for a version that was ever deployed, retired or rejected.
    """

    def decide(reads: Reads) -> Change:
        return stages.start_deployment(reads.model, reads.version, only_new=only_new, now=reads.now)

    why = Why("version.deploying", actor)
    return gate.change_stage(tenant, name, version, decide, why, also)


def finish_deployment(
    tenant: str, name: str, version: str, live: Live, *, actor: str, also: Also
) -> Version:
    """Champion if the model has none or its settings promote, else candidate."""

    def decide(reads: Reads) -> Change:
        return stages.finish_deployment(
            reads.model, reads.version, reads.champion, live, now=reads.now
        )

    why = Why("version.live", actor, facts={"endpoint": live.endpoint})
    return gate.change_stage(tenant, name, version, decide, why, also)


def fail_deployment(
    tenant: str, name: str, version: str, reason: Reason, *, is_lost: bool, actor: str, also: Also
) -> Version:
    """Stage `failed` for a version that was never live; a live one keeps its stage.

    is_lost: the endpoint that the version was served by is gone, too.
    """

    def decide(reads: Reads) -> Change:
        return stages.fail_deployment(
            reads.model, reads.version, reason, is_lost=is_lost, now=reads.now
        )

    why = Why("version.failed", actor, facts=_facts(reason))
    return gate.change_stage(tenant, name, version, decide, why, also)


def promote(
    tenant: str, name: str, version: str, *, actor: str, reason: str, also: Also = gate.nothing_else
) -> Version:
    """Make a candidate the champion. Raises VersionNotLive for any other stage."""

    def decide(reads: Reads) -> Change:
        return stages.promote(reads.model, reads.version, reads.champion, now=reads.now)

    why = Why("model.promoted", actor, reason)
    return gate.change_stage(tenant, name, version, decide, why, also)


def roll_back(tenant: str, name: str, *, to: str | None, actor: str, reason: str) -> Version:
    """Back to the newest former champion whose endpoint is in service, or to `to`, one of them.

    Nothing when `to` is the champion already: a repeated call must not be refused.
    """

    def decide(reads: Reads) -> Change:
        if to is not None and reads.version.stage is Stage.CHAMPION:
            return Change(reads.model, (), ())
        if reads.champion is None or reads.version.version not in reads.model.former_champions:
            raise tables.Stale
        return stages.roll_back(reads.model, reads.version, reads.champion, now=reads.now)

    def attempt() -> Version:
        target = _rollback_target(tenant, get_model(tenant, name), to)
        why = Why("model.rolled_back", actor, reason)
        return gate.change_once(tenant, name, target, decide, why)

    return tables.until_fresh(attempt)


def retire(tenant: str, name: str, version: str, *, actor: str, reason: str, also: Also) -> Version:
    def decide(reads: Reads) -> Change:
        return stages.retire(reads.model, reads.version, now=reads.now)

    why = Why("version.retired", actor, reason)
    return gate.change_stage(tenant, name, version, decide, why, also)


def retire_if_due(tenant: str, name: str, version: str, *, actor: str, also: Also) -> Version:
    """Retire a former champion whose rollback window has passed; nothing otherwise."""

    def decide(reads: Reads) -> Change:
        return stages.retire_if_due(reads.model, reads.version, now=reads.now)

    why = Why("version.retired", actor, "the rollback window has passed")
    return gate.change_stage(tenant, name, version, decide, why, also)


def report_trouble(
    tenant: str, name: str, version: str, reason: Reason, *, is_lost: bool, actor: str, also: Also
) -> Version:
    """Record what is wrong with a live version's endpoint; its stage stays.

    is_lost: the endpoint answers no more.
    """

    def decide(reads: Reads) -> Change:
        return stages.report(reads.model, reads.version, reason, is_lost=is_lost, now=reads.now)

    why = Why("endpoint.lost", actor, facts=_facts(reason))
    return gate.change_stage(tenant, name, version, decide, why, also)


def sample_of(version: Version) -> bytes | None:
    """The archive's `sample.json`: one JSON request that the version must answer."""
    if version.archive is None or not version.archive.has_sample:
        return None
    return artifacts.read_sample(version.archive.sha256)


def archive_url(version: Version) -> str | None:
    """Where the accepted bytes lie, for SageMaker to read."""
    return artifacts.archive_url(version.archive.sha256) if version.archive else None


def _rollback_target(tenant: str, found: Model, to: str | None) -> str:
    if to is not None and found.champion is not None and found.champion.version == to:
        return to
    for name in [to] if to else reversed(found.former_champions):
        row = store.read_version(tenant, found.name, name)
        is_former = name in found.former_champions
        if is_former and row and row.version.stage is Stage.CANDIDATE and row.version.live:
            return name
    asked = f"version {to!r} is not a former champion" if to else "there is no former champion"
    raise NothingToRollBackTo(f"{asked} of {found.name!r} whose endpoint is still in service")


def _live_at(at: datetime, moves: Iterator[Move]) -> LiveAt:
    """The champion after the newest move, and the move that made it so."""
    newest = next(moves, None)
    if newest is None:
        return LiveAt(at=at, champion=None, since=None)
    since = newest.at
    for move in moves:
        if move.champion != newest.champion:
            break
        since = move.at
    return LiveAt(at=at, champion=newest.champion, since=since)


def _facts(value: BaseModel) -> Facts:
    return value.model_dump(mode="json")
