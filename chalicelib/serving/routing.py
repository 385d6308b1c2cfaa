"""Which endpoint answers: the routing table, kept in the function for a short time.
Pure bookkeeping; reading the registry is the service's part."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from chalicelib.registry.model import Live


class Question(NamedTuple):
    """A champion is asked for by no version."""

    tenant: str
    model: str
    version: str | None = None


class _Entry(NamedTuple):
    live: Live
    read_at: float


@dataclass
class RoutingTable:
    """Answers of the registry, each good for `ttl_s` seconds of the monotonic clock."""

    ttl_s: float
    now: Callable[[], float] = time.monotonic
    _entries: dict[Question, _Entry] = field(default_factory=dict[Question, _Entry])

    def find(self, question: Question) -> Live | None:
        entry = self._entries.get(question)
        return entry.live if entry and self.now() - entry.read_at < self.ttl_s else None

    def find_stale(self, question: Question) -> Live | None:
        """The last answer, however old: for when the registry cannot be read."""
        entry = self._entries.get(question)
        return entry.live if entry else None

    def put(self, question: Question, live: Live) -> None:
        self._entries[question] = _Entry(live, self.now())

    def forget(self, question: Question) -> None:
        self._entries.pop(question, None)
