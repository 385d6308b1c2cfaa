"""Rows under conditional writes, on the offline cloud's DynamoDB."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError

from chalicelib.kit import aws, tables
from chalicelib.kit.clock import Deadline
from chalicelib.kit.errors import Busy
from chalicelib.kit.settings import settings
from chalicelib.kit.tables import Key, Stale


@pytest.fixture
def key(tenant: str) -> Key:
    return Key(f"{tenant}#counters", "one")


def _table() -> str:
    return settings().control_table


def _create(key: Key, doc: str = "{}") -> None:
    tables.commit([tables.create(_table(), key, doc)])


def test_a_created_row_is_read_back(key: Key):
    _create(key, '{"a": 1}')

    row = tables.read(_table(), key)

    assert row is not None
    assert (row.key, row.rev, row.doc) == (key, 1, '{"a": 1}')


def test_a_row_that_is_not_there_is_none(key: Key):
    assert tables.read(_table(), key) is None


def test_a_row_is_created_once(key: Key):
    _create(key)

    with pytest.raises(Stale):
        _create(key)


def test_a_row_is_replaced_only_as_it_was_read(key: Key):
    _create(key)
    read = tables.read(_table(), key)
    assert read is not None
    tables.commit([tables.replace(_table(), read, '"newer"')])

    with pytest.raises(Stale):
        tables.commit([tables.replace(_table(), read, '"older"')])

    now = tables.read(_table(), key)
    assert now is not None
    assert (now.rev, now.doc) == (2, '"newer"')


def test_put_creates_what_was_not_there_and_replaces_what_was(key: Key):
    tables.commit([tables.put(_table(), key, None, "1")])
    tables.commit([tables.put(_table(), key, tables.read(_table(), key), "2")])

    assert tables.read(_table(), key) == tables.Row(key, 2, "2")


def test_one_lost_race_leaves_every_row_of_the_transaction(key: Key):
    other = Key(key.pk, "two")
    _create(key)

    with pytest.raises(Stale):
        tables.commit([tables.create(_table(), other, "{}"), tables.create(_table(), key, "{}")])

    assert tables.read(_table(), other) is None


def test_an_error_that_is_no_lost_race_is_not_stale(key: Key):
    with pytest.raises(ClientError):
        tables.commit([tables.create("no-such-table", key, "{}")])


def test_sixteen_writers_lose_no_update(key: Key):
    _create(key, "0")
    aws.dynamodb()  # made once, before the threads

    def add_one() -> None:
        row = tables.read(_table(), key)
        assert row is not None
        tables.commit([tables.replace(_table(), row, json.dumps(int(row.doc) + 1))])

    def worker(_: int) -> None:
        for _ in range(3):
            _patiently(add_one)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(worker, range(16)))

    assert tables.read(_table(), key) == tables.Row(key, 49, "48")


def _patiently(attempt) -> None:
    """Busy says that nothing was changed: the caller may come again."""
    while True:
        try:
            return tables.until_fresh(attempt)
        except Busy:
            continue


def test_a_writer_that_always_loses_is_busy_in_the_end(key: Key):
    tries: list[int] = []

    def lose() -> None:
        tries.append(1)
        raise Stale

    with pytest.raises(Busy):
        tables.until_fresh(lose, deadline=Deadline(0.3))

    assert len(tries) > 1


def test_nothing_is_tried_again_past_the_deadline():
    tries: list[int] = []

    def lose() -> None:
        tries.append(1)
        raise Stale

    with pytest.raises(Busy):
        tables.until_fresh(lose, deadline=Deadline(0))

    assert len(tries) == 1


def test_an_error_of_the_decision_is_not_tried_again():
    with pytest.raises(ZeroDivisionError):
        tables.until_fresh(lambda: 1 // 0)


def test_a_commit_sent_again_after_its_answer_was_lost_happens_once(key: Key):
    write = tables.create(_table(), key, "{}")
    arguments = {"TransactItems": [write.item()], "ClientRequestToken": f"token-{key.pk}"}

    aws.dynamodb().transact_write_items(**arguments)
    aws.dynamodb().transact_write_items(**arguments)

    assert tables.read(_table(), key) == tables.Row(key, 1, "{}")


def test_botocore_gives_each_commit_a_token_for_its_own_retries(key: Key):
    sent: list[str] = []
    aws.dynamodb().meta.events.register(
        "before-call.dynamodb.TransactWriteItems",
        lambda params, **_: sent.append(json.loads(params["body"])["ClientRequestToken"]),
    )

    _create(key)

    assert len(sent[0]) >= 32


@pytest.fixture
def rows(tenant: str) -> str:
    """A partition with the sort keys 000 to 024."""
    pk = f"{tenant}#many"
    writes = [tables.create(_table(), Key(pk, f"{n:03d}"), str(n)) for n in range(25)]
    tables.commit(writes)
    tables.commit([tables.create(_table(), Key(f"{pk}x", "000"), "another partition")])
    return pk


def _scanned(pk: str, **how) -> list[int]:
    return [int(row.doc) for row in tables.scan_partition(_table(), pk, **how)]


def test_a_scan_goes_over_pages(rows: str):
    assert _scanned(rows, page_size=7) == list(range(25))


def test_a_scan_whose_last_page_is_full_ends(rows: str):
    assert _scanned(rows, page_size=5) == list(range(25))


def test_a_scan_goes_newest_first(rows: str):
    assert _scanned(rows, newest_first=True, page_size=4) == list(range(24, -1, -1))


def test_a_scan_goes_on_after_a_key_in_its_direction(rows: str):
    assert _scanned(rows, after="021") == [22, 23, 24]
    assert _scanned(rows, after="003", newest_first=True) == [2, 1, 0]


def test_a_scan_stops_at_a_key(rows: str):
    assert _scanned(rows, upto="002", newest_first=True, page_size=2) == [2, 1, 0]


def test_a_scan_reads_no_page_that_nobody_asks_for(rows: str):
    calls: list[str] = []
    aws.dynamodb().meta.events.register(
        "before-call.dynamodb.Query", lambda **_: calls.append("query")
    )

    first = next(tables.scan_partition(_table(), rows, page_size=2))

    assert (first.doc, len(calls)) == ("0", 1)


def test_many_rows_are_read_at_once_and_missing_ones_left_out(tenant: str):
    keys = [Key(f"{tenant}#counters", f"{number:03d}") for number in range(130)]
    for key in keys[::2]:
        _create(key, f'"{key.sk}"')

    found = tables.read_many(_table(), [*keys, *keys])

    assert {key.sk: row.doc for key, row in found.items()} == {
        key.sk: f'"{key.sk}"' for key in keys[::2]
    }


def test_no_rows_are_read_without_a_call():
    assert tables.read_many("no-such-table", []) == {}


def test_a_row_may_carry_the_time_after_which_it_goes(key: Key):
    tables.commit([tables.create(_table(), key, "{}", expires_at_s=2_000_000_000)])

    stored = {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
    item = aws.dynamodb().get_item(TableName=_table(), Key=stored)

    assert item["Item"]["expires_at"] == {"N": "2000000000"}


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceeded", "ThrottlingError"])
def test_a_write_that_was_throttled_is_tried_again(key: Key, code: str):
    """The answer's shape: DynamoDB API, TransactWriteItems, TransactionCanceledException."""
    throttled = iter([True, True])
    content = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "CancellationReasons": [{"Code": code}],
    }

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        if not next(throttled, False):
            return None
        response = AWSResponse(request.url, 400, {}, None)
        response._content = json.dumps(content).encode()
        return response

    aws.dynamodb().meta.events.register("before-send.dynamodb.TransactWriteItems", answer)
    tables.until_fresh(lambda: _create(key))

    assert tables.read(_table(), key) is not None
