"""Lists as AWS answers them: filters, order, pages.
Nothing here knows what the items are."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

from localcloud.sagemaker.wire import JsonObject, ValidationException

T = TypeVar("T")
DEFAULT_PAGE = 10

SortKey = tuple[str | float, ...]


def select_page(
    items: Iterable[T], parameters: JsonObject, *, key: Callable[[T], SortKey]
) -> tuple[list[T], str | None]:
    """The page after NextToken in the asked order, and the token of the next page.

    key must be unique: a token holds the last item's key, so that items made or deleted between
    two pages neither repeat nor hide others.
    """
    is_descending = parameters.get("SortOrder", "Descending") == "Descending"
    ordered = sorted(items, key=key, reverse=is_descending)
    if "NextToken" in parameters:
        last = _decode(parameters["NextToken"])
        ordered = [
            item for item in ordered if (key(item) < last if is_descending else key(item) > last)
        ]
    size = parameters.get("MaxResults", DEFAULT_PAGE)
    page = ordered[:size]
    return page, _encode(key(page[-1])) if len(ordered) > size else None


def page_answer(member: str, items: list[JsonObject], token: str | None) -> JsonObject:
    return {member: items} | ({} if token is None else {"NextToken": token})


def matches_times(parameters: JsonObject, *, created_at: float, modified_at: float = 0.0) -> bool:
    """Whether the times lie in the asked windows."""
    times = {"CreationTime": created_at, "LastModifiedTime": modified_at}
    for name, time in times.items():
        after, before = parameters.get(f"{name}After"), parameters.get(f"{name}Before")
        if after is not None and time <= _epoch(after):
            return False
        if before is not None and time >= _epoch(before):
            return False
    return True


def _epoch(time: float | str) -> float:
    return datetime.fromisoformat(time).timestamp() if isinstance(time, str) else time


def _encode(key: SortKey) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _decode(token: str) -> SortKey:
    try:
        return tuple(json.loads(base64.urlsafe_b64decode(token)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise ValidationException("Invalid NextToken.") from error
