"""The audit chain: every entry in its place, and every tampering found."""

import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.kit import aws, tables
from chalicelib.kit.settings import settings
from chalicelib.ledger import service
from chalicelib.ledger.model import GENESIS, Note
from chalicelib.registry import service as registry
from chalicelib.registry.model import ModelSettings

SUBJECT = "model/eta"


def _append(tenant: str, *numbers: int, subject: str = SUBJECT) -> None:
    notes = [Note(actor="test", action="counted", facts={"number": n, "é": 1.5}) for n in numbers]
    tables.commit(service.writes(tenant, subject, notes))


@pytest.fixture
def chain(tenant: str) -> str:
    """A tenant whose ledger has five entries about SUBJECT."""
    _append(tenant, 1)
    _append(tenant, 2, 3)
    _append(tenant, 4)
    _append(tenant, 5)
    return tenant


def test_entries_are_chained_from_the_first_on(chain: str):
    entries = service.entries(chain, SUBJECT, limit=50, cursor=None).items[::-1]

    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.facts["number"] for entry in entries] == [1, 2, 3, 4, 5]
    assert entries[0].previous_hash == GENESIS
    pairs = itertools.pairwise(entries)
    assert all(later.previous_hash == earlier.hash for earlier, later in pairs)


def test_a_whole_chain_is_intact(chain: str):
    verification = service.verify(chain, SUBJECT)

    assert (verification.intact, verification.entries) == (True, 5)
    assert verification.broken_at_seq is None


def test_a_subject_without_entries_is_intact(tenant: str):
    assert service.verify(tenant, "model/none").entries == 0


def test_no_notes_are_no_writes(tenant: str):
    assert service.writes(tenant, SUBJECT, []) == []


def test_entries_come_newest_first_page_by_page(chain: str):
    first = service.entries(chain, SUBJECT, limit=2, cursor=None)
    second = service.entries(chain, SUBJECT, limit=2, cursor=first.cursor)
    last = service.entries(chain, SUBJECT, limit=2, cursor=second.cursor)

    pages = [[entry.seq for entry in page.items] for page in (first, second, last)]
    assert pages == [[5, 4], [3, 2], [1]]
    assert last.cursor is None


def test_a_page_that_ends_with_the_first_entry_has_no_cursor(chain: str):
    assert service.entries(chain, SUBJECT, limit=5, cursor=None).cursor is None


def test_tenants_and_subjects_are_kept_apart(chain: str):
    _append(chain, 9, subject="model/other")

    assert service.verify(chain, SUBJECT).entries == 5
    assert service.entries("another", SUBJECT, limit=50, cursor=None).items == []


def test_writers_at_the_same_time_keep_one_chain(tenant: str):
    aws.dynamodb()

    def add(number: int) -> None:
        tables.until_fresh(lambda: _append(tenant, number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(12)))

    verification = service.verify(tenant, SUBJECT)
    assert (verification.intact, verification.entries) == (True, 12)


def test_a_change_and_its_entry_are_written_together(world):
    registry.put_settings(world.tenant, world.model, ModelSettings(), actor="ana")
    registry.put_settings(world.tenant, world.model, ModelSettings(description="new"), actor="ben")

    newest, oldest = service.entries(
        world.tenant, f"model/{world.model}", limit=50, cursor=None
    ).items
    assert (oldest.actor, oldest.before) == ("ana", None)
    assert newest.before == oldest.after
    assert newest.after is not None
    assert newest.after["description"] == "new"


# What someone with rights to the table could do to it, and where it must be noticed.

Rows = dict[int, dict[str, Any]]


def _change(rows: Rows) -> None:
    rows[3]["facts"] = {"number": 33}


def _change_last(rows: Rows) -> None:
    rows[5]["actor"] = "someone else"


def _drop_first(rows: Rows) -> None:
    del rows[1]


def _drop_middle(rows: Rows) -> None:
    del rows[3]


def _drop_and_close_the_gap(rows: Rows) -> None:
    rows[3] = {**rows[4], "seq": 3}
    rows[4] = {**rows[5], "seq": 4}
    del rows[5]


def _swap(rows: Rows) -> None:
    rows[2], rows[3] = rows[3], rows[2]


def _swap_and_renumber(rows: Rows) -> None:
    rows[2], rows[3] = {**rows[3], "seq": 2}, {**rows[2], "seq": 3}


def _insert(rows: Rows) -> None:
    rows[6] = {**rows[5], "seq": 6, "previous_hash": rows[5]["hash"]}


def _insert_a_copy(rows: Rows) -> None:
    rows[6] = rows[5]


def _rename(rows: Rows) -> None:
    rows[2]["subject"] = "model/other"


def _change_time(rows: Rows) -> None:
    rows[4]["at"] = "2000-01-01T00:00:00.000000Z"


TAMPERINGS: dict[str, tuple[Callable[[Rows], None], int]] = {
    "changed facts": (_change, 3),
    "changed actor of the last": (_change_last, 5),
    "first dropped": (_drop_first, 1),
    "middle dropped": (_drop_middle, 3),
    "middle dropped, gap closed": (_drop_and_close_the_gap, 3),
    "two swapped": (_swap, 2),
    "two swapped and renumbered": (_swap_and_renumber, 2),
    "one inserted": (_insert, 6),
    "one copied": (_insert_a_copy, 6),
    "moved to another subject": (_rename, 2),
    "changed time": (_change_time, 4),
}


@pytest.mark.parametrize(("tamper", "at_seq"), TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_tampering_is_found_where_it_begins(chain: str, tamper: Callable[[Rows], None], at_seq):
    _edit(chain, tamper)

    verification = service.verify(chain, SUBJECT)

    assert not verification.intact
    assert verification.broken_at_seq == at_seq


def test_a_chain_of_another_tenant_does_not_fit(chain: str, tenant: str):
    table, pk = settings().ledger_table, f"{chain}#{SUBJECT}"
    for row in list(tables.scan_partition(table, pk)):
        copied = tables.Key(f"{tenant}-b#{SUBJECT}", row.key.sk)
        tables.commit([tables.create(table, copied, row.doc)])

    assert service.verify(f"{tenant}-b", SUBJECT).broken_at_seq == 1


def _edit(tenant: str, tamper: Callable[[Rows], None]) -> None:
    """Change the table behind the product's back."""
    table, pk = settings().ledger_table, f"{tenant}#{SUBJECT}"
    rows = {int(row.key.sk): json.loads(row.doc) for row in list(tables.scan_partition(table, pk))}
    for seq in rows:
        aws.dynamodb().delete_item(TableName=table, Key=_key(pk, seq))
    tamper(rows)
    for seq, document in rows.items():
        item: Any = {**_key(pk, seq), "rev": {"N": "1"}, "doc": {"S": json.dumps(document)}}
        aws.dynamodb().put_item(TableName=table, Item=item)


def _key(pk: str, seq: int) -> Any:
    return {"pk": {"S": pk}, "sk": {"S": f"{seq:012d}"}}
