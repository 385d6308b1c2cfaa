"""Which endpoint answers, and which experiments run: kept in the function for a short time.
Pure bookkeeping; reading the registry and the experiments is done by `choosing`."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Question(NamedTuple):
    """A champion is asked for by no version."""

    tenant: str
    model: str
    version: str | None = None


@dataclass
class RoutingTable(Generic[K, V]):
    """Answers of a table, each good for `ttl_s` seconds of the monotonic clock."""

    ttl_s: float
    now: Callable[[], float] = time.monotonic
    _entries: dict[K, tuple[V, float]] = field(default_factory=dict[K, tuple[V, float]])

    def find(self, question: K) -> V | None:
        entry = self._entries.get(question)
        return entry[0] if entry and self.now() - entry[1] < self.ttl_s else None

    def find_stale(self, question: K) -> V | None:
        """The last answer, however old: for when the table cannot be read."""
        entry = self._entries.get(question)
        return entry[0] if entry else None

    def put(self, question: K, answer: V) -> None:
        self._entries[question] = (answer, self.now())

    def forget(self, question: K) -> None:
        self._entries.pop(question, None)
