"""Keys and rows of the registry: models, versions and the history of stages.
Conditional writes only; no rule about stages lives here."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from chalicelib.kit import tables
from chalicelib.kit.clock import timestamp
from chalicelib.kit.settings import settings
from chalicelib.kit.tables import Key, Row, Write
from chalicelib.registry import semver
from chalicelib.registry.model import Change, Model, Move, Version


class ModelRow(NamedTuple):
    row: Row
    model: Model


class VersionRow(NamedTuple):
    row: Row
    version: Version


def read_model(tenant: str, name: str) -> ModelRow | None:
    row = tables.read(_table(), _model_key(tenant, name))
    return ModelRow(row, Model.model_validate_json(row.doc)) if row else None


def models(tenant: str, *, after: str | None, page_size: int = 100) -> Iterator[Model]:
    """By name."""
    rows = tables.scan_partition(_table(), f"{tenant}#models", after=after, page_size=page_size)
    return (Model.model_validate_json(row.doc) for row in rows)


def put_model(tenant: str, read: ModelRow | None, model: Model) -> Write:
    row = read.row if read else None
    return tables.put(_table(), _model_key(tenant, model.name), row, model.model_dump_json())


def read_version(tenant: str, model: str, version: str) -> VersionRow | None:
    row = tables.read(_table(), _version_key(tenant, model, version))
    return VersionRow(row, Version.model_validate_json(row.doc)) if row else None


def versions(
    tenant: str, model: str, *, below: str | None = None, page_size: int = 100
) -> Iterator[Version]:
    """Highest precedence first; `below` leaves out that version and all above it."""
    rows = tables.scan_partition(
        _table(),
        _versions(tenant, model),
        after=semver.sort_key(below) if below else None,
        newest_first=True,
        page_size=page_size,
    )
    return (Version.model_validate_json(row.doc) for row in rows)


def put_version(tenant: str, read: VersionRow | None, version: Version) -> Write:
    key = _version_key(tenant, version.model, version.version)
    return tables.put(_table(), key, read.row if read else None, version.model_dump_json())


def moves(
    tenant: str, model: str, *, upto: datetime | None, before: str | None, page_size: int
) -> Iterator[Move]:
    """Newest first: those at or before `upto`, or those older than the cursor `before`."""
    rows = tables.scan_partition(
        _table(),
        f"{tenant}#history#{model}",
        after=before,
        upto=f"{timestamp(upto)}~" if upto else None,
        newest_first=True,
        page_size=page_size,
    )
    return (Move.model_validate_json(row.doc) for row in rows)


def create_move(tenant: str, move: Move) -> Write:
    key = Key(f"{tenant}#history#{move.model}", move_cursor(move))
    return tables.create(_table(), key, move.model_dump_json())


def move_cursor(move: Move) -> str:
    """Sort key of a stage change: its time, which never goes back, then its number."""
    return f"{timestamp(move.at)}#{move.number:09d}"


def writes(
    tenant: str,
    change: Change,
    *,
    model_row: ModelRow | None,
    version_rows: Sequence[VersionRow | None],
    moves: list[Move],
) -> list[Write]:
    """All rows of one change; `version_rows` are the reads behind `change.versions`, in order."""
    return [
        put_model(tenant, model_row, change.model),
        *(
            put_version(tenant, read, version)
            for read, version in zip(version_rows, change.versions, strict=True)
        ),
        *(create_move(tenant, move) for move in moves),
    ]


def _table() -> str:
    return settings().control_table


def _model_key(tenant: str, name: str) -> Key:
    return Key(f"{tenant}#models", name)


def _versions(tenant: str, model: str) -> str:
    return f"{tenant}#versions#{model}"


def _version_key(tenant: str, model: str, version: str) -> Key:
    return Key(_versions(tenant, model), semver.sort_key(version))
