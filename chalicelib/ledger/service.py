"""Append to the ledger within the caller's transaction, read it, and prove that it is whole.
Decides nothing about what is worth an entry: each feature does."""

import itertools
from collections.abc import Sequence

from chalicelib.kit.clock import timestamp, utc_now
from chalicelib.kit.paging import Page
from chalicelib.kit.tables import Write
from chalicelib.ledger import model, store
from chalicelib.ledger.model import Entry, Note, Verification


def writes(tenant: str, subject: str, notes: Sequence[Note]) -> list[Write]:
    """The rows that record `notes`, to be committed together with the change they describe.

    A concurrent entry of the same subject makes that commit Stale, so the caller reads again.
    """
    if not notes:
        return []
    entries = model.chain(
        notes,
        subject=subject,
        last=store.last(tenant, subject),
        tenant=tenant,
        at=timestamp(utc_now()),
    )
    return [store.create(tenant, entry) for entry in entries]


def entries(tenant: str, subject: str, *, limit: int, cursor: str | None) -> "Page[Entry]":
    """Newest first."""
    before_seq = int(cursor) if cursor else None
    found = store.newest(tenant, subject, before_seq=before_seq, page_size=limit)
    items = list(itertools.islice(found, limit))
    more = len(items) == limit and items[-1].seq > 1
    return Page(items=items, cursor=str(items[-1].seq) if more else None)


def verify(tenant: str, subject: str) -> Verification:
    return model.verify(store.oldest(tenant, subject), subject=subject, tenant=tenant)
