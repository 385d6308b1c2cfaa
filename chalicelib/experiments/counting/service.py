"""Use cases of counting: take events in exactly once, and read the sums that they made.
What an event changes is decided in `fold`; queues and messages are not known here."""

import functools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.experiments import store
from chalicelib.experiments.counting import fold, sums
from chalicelib.experiments.counting import store as outcome_store
from chalicelib.experiments.counting.fold import Counting, UnitState
from chalicelib.experiments.counting.store import Known, Subject
from chalicelib.experiments.counting.sums import CellKey, Part, Sums
from chalicelib.experiments.events import Event
from chalicelib.experiments.lifecycle import EXTENSION
from chalicelib.experiments.model import Experiment, State
from chalicelib.kit import aws, tables
from chalicelib.kit.clock import Deadline, utc_now
from chalicelib.kit.errors import Busy
from chalicelib.kit.tables import Write
from chalicelib.kit.telemetry import logger
from chalicelib.registry import semver
from chalicelib.registry.metrics import PAIRED

T = TypeVar("T")
RulesOf = Callable[[str], Counting | None]
UNKNOWN_SUBJECT, OUT_OF_TIME = "unknown-subject", "out-of-time"
_MOST_ROWS = tables.MOST_WRITES - 3
"""Events and units of one write. It also changes cells, of which one unit has two at most, so that
even one unit with so many events fits in."""


class Uncounted(NamedTuple):
    """An event that was not counted, and why.

    may_pass: the same may be counted later, which is safe; else it will never be.
    """

    event: Event
    reason: str
    may_pass: bool


class _Group(NamedTuple):
    """Units of one subject that lie in one shard."""

    subject: Subject
    shard: int
    counting: Counting


class _Change(NamedTuple):
    """What the new events of one unit change."""

    unit: str
    events: list[Event]
    state: UnitState
    before: Part | None
    after: Part

    def cells(self) -> set[CellKey]:
        parts = {self.before, self.after} if self.before != self.after else set[Part | None]()
        return {(part.arm, part.phase) for part in parts if part is not None}


def count(
    tenant: str,
    events: Sequence[Event],
    *,
    rules_of: RulesOf,
    deadline: Deadline | None = None,
) -> list[Uncounted]:
    """Count each event once, however often it comes; the answer names those that were not.

    Of two different events with one id the first stays. rules_of: by subject, None for an
    unknown one. After the deadline no write is begun.
    """
    uncounted: list[Uncounted] = []
    for name, found in _by(attrgetter("subject"), events):
        try:
            counting = rules_of(name)
        except (ClientError, BotoCoreError) as error:
            uncounted += _all(found, _reason(error), may_pass=aws.may_pass(error))
            continue
        if counting is None:
            uncounted += _all(found, UNKNOWN_SUBJECT, may_pass=False)
            continue
        shards = list(_by(lambda event: outcome_store.shard_of(event.unit), found))
        random.shuffle(shards)  # those who count at once shall meet in different shards
        for shard, sharers in shards:
            group = _Group(Subject(tenant, name), shard, counting)
            uncounted += _count_group(group, sharers, deadline)
    return uncounted


def read_sums(tenant: str, subject: str) -> Sums:
    """What was counted by now; the cost rests on arms, phases and metrics, not on events."""
    found: Sums = {}
    for key, cell in outcome_store.cells(Subject(tenant, subject)):
        sums.merge(found, {key: cell})
    return sums.cells(found)


def rules_of(tenant: str, subject: str) -> Counting | None:
    """None when there is no such experiment, or it never ran."""
    model, at, version = subject.partition("@")
    if at:
        return Counting() if model and _is_version(version) else None
    read = store.read_experiment(tenant, subject)
    if read is None or read.experiment.state == State.DRAFT:
        return None
    return counting_of(read.experiment)


def counting_of(experiment: Experiment) -> Counting:
    """The same from the experiment's start to its end, because what it rests on is frozen."""
    definition = experiment.definition
    paired = () if definition.mode == "split" else PAIRED
    return fold.make_counting(
        [*experiment.metrics, *paired],
        segments=definition.segments,
        only_differing=definition.mode == "disagreement",
        duration_days=definition.duration_days * (EXTENSION if definition.may_extend else 1.0),
    )


def _count_group(group: _Group, events: list[Event], deadline: Deadline | None) -> list[Uncounted]:
    left = sorted(events, key=attrgetter("unit"))  # stable: of one id, the first stays
    try:
        while left:
            if deadline is not None and deadline.passed():
                return _all(left, OUT_OF_TIME, may_pass=True)
            attempt = functools.partial(_count_some, group, left)
            left = tables.until_fresh(attempt, deadline=deadline)
    except (Busy, BotoCoreError) as error:
        return _all(left, _reason(error), may_pass=True)
    except ClientError as error:
        units = [of_unit for _, of_unit in _by(attrgetter("unit"), left)]
        if aws.may_pass(error) or len(units) == 1:
            return _all(left, _reason(error), may_pass=aws.may_pass(error))
        # One unit's rows may be what was refused; its neighbours' are not.
        return [one for of_unit in units for one in _count_group(group, of_unit, deadline)]
    return []


def _count_some(group: _Group, events: list[Event]) -> list[Event]:
    """One write, all or nothing; the answer is what it left. Raises Stale. events: by unit."""
    taken = _most(events)
    known = outcome_store.read_known(group.subject, events[:taken])
    changes = list(_changes(group, known, events[:taken]))
    kept = _most_changes(changes)
    if kept:
        tables.commit(_writes(group, known, changes[:kept]))
    return [*(event for change in changes[kept:] for event in change.events), *events[taken:]]


def _most(events: list[Event]) -> int:
    """How many of the first events may fit in one write, with their units."""
    units: set[str] = set()
    for number, event in enumerate(events):
        units.add(event.unit)
        if number + 1 + len(units) > _MOST_ROWS:
            return number
    return len(events)


def _most_changes(changes: list[_Change]) -> int:
    """How many of the first changes fit in one write, with their cells."""
    rows, cells = 0, set[CellKey]()
    for number, change in enumerate(changes):
        rows += len(change.events) + 1
        cells |= change.cells()
        if rows + len(cells) > tables.MOST_WRITES:
            return number
    return len(changes)


def _changes(group: _Group, known: Known, events: list[Event]) -> Iterator[_Change]:
    for unit, found in groupby(events, key=attrgetter("unit")):
        fresh = _unseen(group.subject, known, found)
        if not fresh:
            continue
        states: dict[str, UnitState] = {}
        before: Part | None = None
        if (state := known.unit(group.subject, unit)) is not None:
            states[unit] = state
            before = fold.contribution(state, group.counting)
        fold.apply(states, map(fold.entry_of, fresh), {})
        after = fold.contribution(states[unit], group.counting)
        yield _Change(unit, fresh, states[unit], before, after)


def _unseen(subject: Subject, known: Known, events: Iterable[Event]) -> list[Event]:
    fresh: dict[str, Event] = {}
    for event in events:
        seen = known.event(subject, event) or fresh.setdefault(event.id, event)
        if seen != event:
            logger.warning("outcome_conflicted", tenant=subject.tenant, key=event.id)
    return list(fresh.values())


def _writes(group: _Group, known: Known, changes: list[_Change]) -> Iterator[Write]:
    now_s = int(utc_now().timestamp())
    for change in changes:
        for event in change.events:
            yield outcome_store.create_seen(group.subject, event, now_s=now_s)
        yield outcome_store.put_unit(group.subject, known, change.unit, change.state)
    keys = set[CellKey]().union(*(change.cells() for change in changes))
    read = outcome_store.read_cells(group.subject, group.shard, keys)
    cells = {key: read.cell(group.subject, group.shard, key) for key in keys}
    for change in changes:
        if change.before != change.after:
            if change.before is not None:
                sums.add(cells, change.before, times=-1)
            sums.add(cells, change.after)
    for key, cell in cells.items():
        yield outcome_store.put_cell(group.subject, read, group.shard, key, cell)


def _by(key: Callable[[Event], T], events: Iterable[Event]) -> Iterator[tuple[T, list[Event]]]:
    found: dict[T, list[Event]] = {}
    for event in events:
        found.setdefault(key(event), []).append(event)
    yield from found.items()


def _all(events: Iterable[Event], reason: str, *, may_pass: bool) -> list[Uncounted]:
    return [Uncounted(event, reason, may_pass) for event in events]


def _is_version(text: str) -> bool:
    try:
        semver.parse(text)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return aws.error_code(error) or type(error).__name__
    return type(error).__name__
