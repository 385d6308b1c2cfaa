"""Answers about rewards, kept in the function for who asks the same of the same version again.
Nobody is asked here; whether an answer may be given again is the caller's to say."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from chalicelib.serving.model import Asking, Earlier

_MOST_BYTES = 128 * 1024
"""Of an answer that is kept; a ranking of 200 known actions has about 70 KB."""


class _Key(NamedTuple):
    tenant: str
    model: str
    version: str
    endpoint: str
    question: bytes


class Answers:
    """At most `most` answers, each given again for `ttl_s` seconds; the oldest gives way."""

    def __init__(
        self, *, ttl_s: float, most: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._ttl_s, self._most, self._now = ttl_s, most, now
        self._entries: OrderedDict[_Key, tuple[Earlier, float]] = OrderedDict()

    def find(self, asking: Asking) -> Earlier | None:
        entry = self._entries.get(_key(asking))
        if entry is None:
            return None
        answer, put_at_s = entry
        age_s = self._now() - put_at_s
        return answer._replace(age_s=age_s) if age_s < self._ttl_s else None

    def put(self, asking: Asking, answer: Earlier) -> None:
        if len(answer.output.content) > _MOST_BYTES:
            return
        key = _key(asking)
        self._entries.pop(key, None)
        self._entries[key] = (answer, self._now())
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)


def _key(asking: Asking) -> _Key:
    request = asking.request
    said = "\0".join((request.content_type, request.accept, ""))
    question = hashlib.sha256(said.encode() + request.body).digest()
    live = asking.live
    return _Key(asking.tenant, asking.model, live.version, live.endpoint, question)
