"""Keys and rows of the ledger table: one partition per tenant and subject, one row per entry.
Rows are only ever created; the roles of all functions lack the rights to change one."""

from collections.abc import Iterator

from chalicelib.kit import tables
from chalicelib.kit.settings import settings
from chalicelib.kit.tables import Key, Write
from chalicelib.ledger.model import Entry


def create(tenant: str, entry: Entry) -> Write:
    key = Key(_partition(tenant, entry.subject), _sort(entry.seq))
    return tables.create(settings().ledger_table, key, entry.model_dump_json())


def last(tenant: str, subject: str) -> Entry | None:
    return next(newest(tenant, subject, before_seq=None, page_size=1), None)


def newest(
    tenant: str, subject: str, *, before_seq: int | None, page_size: int = 100
) -> Iterator[Entry]:
    after = _sort(before_seq) if before_seq is not None else None
    return _entries(tenant, subject, after=after, newest_first=True, page_size=page_size)


def oldest(tenant: str, subject: str) -> Iterator[Entry]:
    return _entries(tenant, subject, after=None, newest_first=False, page_size=200)


def _entries(
    tenant: str, subject: str, *, after: str | None, newest_first: bool, page_size: int
) -> Iterator[Entry]:
    rows = tables.scan_partition(
        settings().ledger_table,
        _partition(tenant, subject),
        after=after,
        newest_first=newest_first,
        page_size=page_size,
    )
    return (Entry.model_validate_json(row.doc) for row in rows)


def _partition(tenant: str, subject: str) -> str:
    return f"{tenant}#{subject}"


def _sort(seq: int) -> str:
    return f"{seq:012d}"
