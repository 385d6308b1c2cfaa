"""Keys and rows of logged episodes: claims of steps, batches, and lines that wait to be written.
Conditional writes only; which steps are new is not decided here."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from chalicelib.kit import tables
from chalicelib.kit.settings import settings
from chalicelib.kit.tables import Key, Row, Write
from chalicelib.rewards.batches import Batch, Claim, Line, Outbox, StepId


class OutboxRow(NamedTuple):
    row: Row
    outbox: Outbox


def read_claims(tenant: str, steps: Iterable[StepId]) -> dict[StepId, Claim]:
    id_by_key = {_claim_key(tenant, step): step for step in steps}
    rows = tables.read_many(_table(), id_by_key)
    return {id_by_key[key]: Claim.model_validate_json(row.doc) for key, row in rows.items()}


def create(tenant: str, batch: Batch, lines: Sequence[Line]) -> list[Write]:
    """A batch, its lines, and the claim of each of its steps."""
    outbox = Outbox(batch=batch, steps=[json.loads(line.text) for line in lines])
    claims = {line.id: Claim(digest=line.digest, batch=batch.id) for line in lines}
    return [
        tables.create(_table(), _batch_key(tenant, batch.id), batch.model_dump_json()),
        tables.create(_table(), _outbox_key(tenant, batch.id), outbox.model_dump_json()),
        *(
            tables.create(_table(), _claim_key(tenant, step), claim.model_dump_json())
            for step, claim in claims.items()
        ),
    ]


def outboxes(tenant: str, batches: Iterable[str]) -> list[OutboxRow]:
    """Of those batches whose lines still wait."""
    keys = [_outbox_key(tenant, batch) for batch in batches]
    return _waiting(tables.read_many(_table(), keys).values())


def all_outboxes(tenant: str) -> Iterator[OutboxRow]:
    """Those whose lines still wait, oldest first."""
    for row in tables.scan_partition(_table(), _unwritten(tenant)):
        yield from _waiting([row])


def close(tenant: str, read: OutboxRow, *, now_s: int) -> list[Write]:
    """The batch is written: its lines are dropped at once, and what is left of their row goes by
    itself."""
    batch = read.outbox.batch.model_copy(update={"written": True})
    emptied = read.outbox.model_copy(update={"steps": []})
    first = Row(_batch_key(tenant, batch.id), 1, "")
    return [
        tables.replace(_table(), first, batch.model_dump_json()),
        tables.replace(_table(), read.row, emptied.model_dump_json())._replace(expires_at_s=now_s),
    ]


def batches(tenant: str, *, before: str | None, page_size: int) -> Iterator[Batch]:
    """Newest first."""
    rows = tables.scan_partition(
        _table(), _batches(tenant), after=before, newest_first=True, page_size=page_size
    )
    return (Batch.model_validate_json(row.doc) for row in rows)


def _waiting(rows: Iterable[Row]) -> list[OutboxRow]:
    read = [OutboxRow(row, Outbox.model_validate_json(row.doc)) for row in rows]
    return [found for found in read if found.outbox.steps]


def _table() -> str:
    return settings().control_table


def _claim_key(tenant: str, step: StepId) -> Key:
    return Key(f"{tenant}#episode#{step.episode_id}", f"{step.step:06d}")


def _batches(tenant: str) -> str:
    return f"{tenant}#episode-batches"


def _batch_key(tenant: str, batch: str) -> Key:
    return Key(_batches(tenant), batch)


def _unwritten(tenant: str) -> str:
    return f"{tenant}#episode-lines"


def _outbox_key(tenant: str, batch: str) -> Key:
    return Key(_unwritten(tenant), batch)
