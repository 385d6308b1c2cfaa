"""Injected faults and the log of calls: what a test may do to us and see of us.
Nothing here carries a fault out; the caller asks which apply."""

import threading
from collections import deque
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt

from localcloud.sagemaker.wire import JsonObject

FaultKind = Literal[
    "throttle",
    "error_500",
    "service_unavailable",
    "slow",
    "drop_before",
    "drop_after",
    "fail_creation",
    "silent_rollback",
    "lose_event",
    "duplicate_event",
    "vanish",
]
EVENT_KINDS: frozenset[FaultKind] = frozenset({"lose_event", "duplicate_event"})
KEPT_CALLS = 10_000


class Fault(BaseModel):
    """A rule: which calls (or events) it meets, and what happens to them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    operation: str = "*"
    """An operation's name, or * for all.

    For the event kinds it is the status: IN_SERVICE of an endpoint, a job's secondary one, such
    as Training.
    """
    resource_prefix: str = ""
    after: NonNegativeInt = 0
    """So many matching calls pass before the first is met."""
    times: PositiveInt | None = None
    """So many calls are met; None means until the rule is deleted."""
    seconds: NonNegativeFloat = 1.0
    """How long slow waits, in real time."""
    reason: str = "The fault injector failed this deployment."
    """The failure reason of fail_creation, also of a training job."""
    status: Literal["Failed", "InService", "UpdateRollbackFailed"] | None = None
    """Where fail_creation ends: by default Failed for a creation, InService for an update."""
    config: str | None = None
    """The config on which silent_rollback goes in service; by default the previous one."""


@dataclass
class Rule:
    """A fault with its counts."""

    fault: Fault
    seen_count: int = 0
    met_count: int = 0

    def meets(self, operation: str, resource: str) -> bool:
        """Count the call when it matches, and say whether it is to be met."""
        fault = self.fault
        if fault.operation not in ("*", operation):
            return False
        if not resource.startswith(fault.resource_prefix):
            return False
        self.seen_count += 1
        is_due = self.seen_count > fault.after
        if not is_due or (fault.times is not None and self.met_count >= fault.times):
            return False
        self.met_count += 1
        return True


@dataclass(frozen=True)
class Call:
    """One call received: at is epoch seconds on the server's clock, outcome "ok" or a code."""

    number: int
    operation: str
    resource: str
    at: float
    outcome: str
    faults: tuple[FaultKind, ...]


class Injector:
    """The rules in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []

    def add(self, faults: list[Fault]) -> None:
        with self._lock:
            self._rules.extend(Rule(fault) for fault in faults)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def describe(self) -> list[JsonObject]:
        with self._lock:
            return [
                rule.fault.model_dump() | {"seen": rule.seen_count, "met": rule.met_count}
                for rule in self._rules
            ]

    def for_call(self, operation: str, resource: str) -> list[Fault]:
        return self._take(operation, resource, is_event=False)

    def for_event(self, status: str, resource: str) -> list[Fault]:
        return self._take(status, resource, is_event=True)

    def _take(self, operation: str, resource: str, *, is_event: bool) -> list[Fault]:
        if not self._rules:  # the path of every invocation: no lock when nothing is injected
            return []
        with self._lock:
            return [
                rule.fault
                for rule in self._rules
                if (rule.fault.kind in EVENT_KINDS) is is_event and rule.meets(operation, resource)
            ]


class CallLog:
    """The last calls, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self._count = 0

    def write(
        self, operation: str, resource: str, *, at: float, outcome: str, faults: list[Fault]
    ) -> None:
        with self._lock:
            self._count += 1
            kinds: tuple[FaultKind, ...] = tuple(fault.kind for fault in faults)
            self._calls.append(Call(self._count, operation, resource, at, outcome, kinds))

    def read(self) -> list[JsonObject]:
        with self._lock:
            return [asdict(call) for call in self._calls]

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()
