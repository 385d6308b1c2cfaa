"""Rows of a DynamoDB table: a key, a revision number and one JSON document.
Knows no feature's keys; every write is conditional, so a lost race is an error, never a loss."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError

from chalicelib.kit import aws
from chalicelib.kit.clock import Deadline
from chalicelib.kit.errors import Busy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

T = TypeVar("T")

_LOST_CODES = frozenset(
    {
        "ConditionalCheckFailed",
        "TransactionConflict",
        # Not a race, but as harmless: nothing was written, and it is tried again a little later.
        "ProvisionedThroughputExceeded",
        "ThrottlingError",
    }
)
_ATTEMPTS = 12
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0
_MOST_KEYS = 100
"""What one BatchGetItem takes."""
MOST_WRITES = 100
"""What one transaction takes."""


class Stale(Exception):
    """Another writer changed or created one of the rows since it was read, or the table was busy;
    nothing was written."""


class Key(NamedTuple):
    """Partition and sort key; the partition starts with the tenant."""

    pk: str
    sk: str


class Row(NamedTuple):
    """A stored document (JSON text) and the revision that the next write must name."""

    key: Key
    rev: int
    doc: str


class Write(NamedTuple):
    """One conditional put; built by `create` or `replace`, carried out by `commit`."""

    table: str
    key: Key
    doc: str
    expected_rev: int | None
    expires_at_s: int | None = None
    """Unix time after which the row may go by itself."""

    def item(self) -> "TransactWriteItemTypeDef":
        put: Any = {
            "TableName": self.table,
            "Item": {
                "pk": {"S": self.key.pk},
                "sk": {"S": self.key.sk},
                "rev": {"N": str((self.expected_rev or 0) + 1)},
                "doc": {"S": self.doc},
            },
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        if self.expires_at_s is not None:
            put["Item"]["expires_at"] = {"N": str(self.expires_at_s)}
        if self.expected_rev is not None:
            put["ConditionExpression"] = "rev = :rev"
            put["ExpressionAttributeValues"] = {":rev": {"N": str(self.expected_rev)}}
        return {"Put": put}


def create(table: str, key: Key, doc: str, *, expires_at_s: int | None = None) -> Write:
    return Write(table, key, doc, expected_rev=None, expires_at_s=expires_at_s)


def replace(table: str, row: Row, doc: str) -> Write:
    return Write(table, row.key, doc, expected_rev=row.rev)


def put(table: str, key: Key, row: Row | None, doc: str) -> Write:
    """Create the row when `row` is None, else replace exactly the revision that was read."""
    return Write(table, key, doc, expected_rev=row.rev if row else None)


def commit(writes: Iterable[Write]) -> None:
    """Carry out all writes or none. Raises Stale when any of them lost a race."""
    try:
        aws.dynamodb().transact_write_items(TransactItems=[write.item() for write in writes])
    except ClientError as error:
        reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # pyright: ignore[reportAssignmentType]
        if any(reason.get("Code") in _LOST_CODES for reason in reasons):
            raise Stale from error
        if aws.error_code(error) in {
            "TransactionConflictException",
            "TransactionInProgressException",
        }:
            raise Stale from error
        raise


def read(table: str, key: Key) -> Row | None:
    """The newest committed row (a strongly consistent read)."""
    answer = aws.dynamodb().get_item(
        TableName=table, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}}, ConsistentRead=True
    )
    item = answer.get("Item")
    return _row(item) if item else None


def read_many(table: str, keys: Iterable[Key]) -> dict[Key, Row]:
    """The newest committed rows of those keys that have one (strongly consistent reads)."""
    waiting = [{"pk": {"S": key.pk}, "sk": {"S": key.sk}} for key in dict.fromkeys(keys)]
    found: dict[Key, Row] = {}
    pause_s = _FIRST_PAUSE_S
    while waiting:
        asked: Any = {table: {"Keys": waiting[:_MOST_KEYS], "ConsistentRead": True}}
        answer: Any = aws.dynamodb().batch_get_item(RequestItems=asked)
        rows = [_row(item) for item in answer["Responses"].get(table, [])]
        found.update({row.key: row for row in rows})
        left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        waiting = [*left, *waiting[_MOST_KEYS:]]
        if left:  # throttled, or more than 16 MB: ask for the rest a little later
            time.sleep(random.uniform(0, pause_s))  # noqa: S311 - jitter, not a secret
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
    return found


def scan_partition(
    table: str,
    pk: str,
    *,
    after: str | None = None,
    upto: str | None = None,
    newest_first: bool = False,
    page_size: int = 100,
) -> Iterator[Row]:
    """Rows of one partition in order of sort key, read page by page as they are consumed.

    after: only sort keys beyond it (below it when newest_first).
    upto: only sort keys up to and including it; not together with `after`.
    """
    condition, values = "pk = :pk", {":pk": {"S": pk}}
    if after is not None:
        condition += " AND sk < :sk" if newest_first else " AND sk > :sk"
        values[":sk"] = {"S": after}
    elif upto is not None:
        condition += " AND sk <= :sk"
        values[":sk"] = {"S": upto}
    arguments: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
        "ScanIndexForward": not newest_first,
        "ConsistentRead": True,
        "Limit": page_size,
    }
    while True:
        page: Any = aws.dynamodb().query(**arguments)
        for item in page["Items"]:
            yield _row(item)
        if "LastEvaluatedKey" not in page:
            return
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def until_fresh(attempt: Callable[[], T], *, deadline: Deadline | None = None) -> T:
    """Run `attempt` again (read, decide, commit) as long as it raises Stale, with full jitter.

    Raises Busy when it still loses after the last attempt or past the deadline.
    """
    for number in range(_ATTEMPTS):
        try:
            return attempt()
        except Stale:
            ceiling_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**number)
            if deadline is not None and deadline.left_s() < ceiling_s:
                break
            time.sleep(random.uniform(0, ceiling_s))  # noqa: S311 - jitter, not a secret
    raise Busy("other changes to the same rows came first; nothing was changed")


def _row(item: Any) -> Row:
    return Row(Key(item["pk"]["S"], item["sk"]["S"]), int(item["rev"]["N"]), item["doc"]["S"])
