"""From events to what is known of each unit, and from that to the unit's part of the sums.
Pure, and the same in any order; that nothing is folded twice is the part of whoever brings events.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from chalicelib.experiments.counting import sums
from chalicelib.experiments.counting.sums import Part, Sums
from chalicelib.experiments.events import SCALE, Event, to_ticks
from chalicelib.experiments.model import OTHER_SEGMENT
from chalicelib.registry.metrics import REQUESTS, Metric

_HOUR_MS = 3_600_000
_DAY_H = 24
_MOST_DAYS_BY_HOUR = 60

Origin = tuple[int, str, str, int]
"""Of a prediction: when it was made (Unix ms), its nonce, arm and phase."""
Brought = tuple[int, str, int, str]
"""By an exposure: when it was made, its nonce, the covariate in ticks (0: none), the segment
(empty: none)."""
Entry = tuple[str, Origin, tuple[tuple[str, int], ...], tuple[Brought | None, bool] | None]
"""What an event adds: the unit, the prediction, totals by outcome; and of the few that say so, what
the exposure brought and whether two answers differ. A plain tuple, because it is taken apart a
million times a second."""
Totals = dict[str, int]
"""By outcome: the sum of its ticks plus ONE for every event that carried it, in one number: the
fold then changes one place in memory an event, and memory is what it waits for."""
Places = dict[str, int]
"""Where in a unit's list the total of an outcome stands; all units of one fold share it."""
ONE = 1 << 128
"""Far above any sum of ticks: 1e21 ticks of 1e12 events stay below half of it."""


class UnitState:
    """What is known of one unit; the fold changes it in place.

    first: the earliest prediction of all that was heard of, whichever event told of it: its arm
    and phase are the unit's; at_ms is its time. brought: by the earliest exposure. totals: of
    `arm`, the one that was heard of first, by place; 0 where nothing was heard. others: totals of
    all other arms.
    """

    __slots__ = ("arm", "at_ms", "brought", "differs", "first", "others", "places", "totals")

    def __init__(self, first: Origin, places: Places) -> None:
        self.at_ms = first[0]
        self.first = first
        self.brought: Brought | None = None
        self.differs = False
        self.arm = first[2]
        self.places = places
        self.totals: list[int] = []
        self.others: dict[str, list[int]] = {}

    def hear(self, brought: Brought | None, differs: bool) -> None:
        if brought is not None and (self.brought is None or brought < self.brought):
            self.brought = brought
        self.differs = self.differs or differs

    def totals_of(self, arm: str) -> list[int]:
        return self.totals if arm == self.arm else self.others.setdefault(arm, [])

    def make_room(self, totals: list[int], name: str) -> None:
        """So that the outcome has a place in the list."""
        place = self.places.setdefault(name, len(self.places))
        totals.extend([0] * (place + 1 - len(totals)))

    def named(self, arm: str) -> Totals:
        """Those of an arm that was heard of."""
        totals = self.totals if arm == self.arm else self.others.get(arm, [])
        filled = (item for item in self.places.items() if item[1] < len(totals))
        return {name: totals[place] for name, place in filled if totals[place]}

    def arms(self) -> dict[str, Totals]:
        return {arm: self.named(arm) for arm in (self.arm, *self.others)}


class Rule(NamedTuple):
    """How one metric is made of a unit's totals."""

    name: str
    kind: str
    summed: str
    denominator: str | None
    cap: int | None
    """In ticks."""
    counts_absent: bool


class Counting(NamedTuple):
    """How a subject's units are counted: the same from its first event to its last.

    rules: None makes a mean of every outcome that is heard of. segments: the declared ones; when
    there are none, segments are not told apart. only_differing: other units count as units, but
    have no metric. bin_h: how many hours of exposures are counted as one; 0 counts them not.
    """

    rules: tuple[Rule, ...] | None = None
    segments: frozenset[str] = frozenset()
    only_differing: bool = False
    bin_h: int = 0


def make_counting(
    metrics: Iterable[Metric],
    *,
    segments: Iterable[str] = (),
    only_differing: bool = False,
    duration_days: float = 0,
) -> Counting:
    """duration_days: of exposures that are waited for; long ones are counted by the day."""
    unique = {metric.name: metric for metric in metrics}.values()
    bin_h = 1 if duration_days <= _MOST_DAYS_BY_HOUR else _DAY_H
    return Counting(
        rules=tuple(_rule(metric) for metric in unique),
        segments=frozenset(segments),
        only_differing=only_differing,
        bin_h=bin_h if any(metric.lag_h > 0 for metric in unique) else 0,
    )


def entry_of(event: Event) -> Entry:
    """An exposure is also a request."""
    totals = tuple((name, ticks + ONE) for name, ticks in event.ticks.items())
    brought: Brought | None = None
    if event.kind == "exposure":
        totals += ((REQUESTS, SCALE + ONE),)
        covariate, segment = event.covariate or 0, event.segment or ""
        brought = (event.predicted_at_ms, event.nonce, covariate, segment)
    origin = (event.predicted_at_ms, event.nonce, event.arm, event.phase)
    told = (brought, event.differs) if brought is not None or event.differs else None
    return event.unit, origin, totals, told


def apply(units: dict[str, UnitState], entries: Iterable[Entry], places: Places) -> None:
    """Take in what happened, each thing once; `units` is changed in place. places: of new units."""
    for unit, origin, ticks, told in entries:
        try:
            state = units[unit]
        except KeyError:
            state = units[unit] = UnitState(origin, places)
        if origin[0] <= state.at_ms and origin < state.first:
            state.first, state.at_ms = origin, origin[0]
        if told is not None:
            state.hear(*told)
        arm = origin[2]
        totals = state.totals if arm == state.arm else state.totals_of(arm)
        known = state.places
        for name, total in ticks:
            try:
                totals[known[name]] += total
            except (KeyError, IndexError):
                state.make_room(totals, name)
                totals[known[name]] += total


def contribution(state: UnitState, counting: Counting) -> Part:
    """The unit counts under its first arm and phase with what it did in that arm.

    What it did in another arm, because shares moved, is not counted; that it did is.
    """
    at_ms, _, arm, phase = state.first
    _, _, covariate, segment = state.brought or (0, "", 0, "")
    has_values = state.differs or not counting.only_differing
    values = _values(state.named(arm), covariate, counting) if has_values else ()
    return Part(
        arm=arm,
        phase=phase,
        is_crossed=bool(state.others),
        differs=state.differs,
        hour=_bin(at_ms, counting.bin_h),
        segment=_segment(segment, counting.segments),
        values=values,
    )


class Tally:
    """Units in memory, of which there are fewer than events."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting
        self._units: dict[str, UnitState] = {}
        self._places: Places = {}

    def add(self, entries: Iterable[Entry]) -> None:
        """Each thing once."""
        apply(self._units, entries, self._places)

    def sums(self) -> Sums:
        found: Sums = {}
        for state in self._units.values():
            sums.add(found, contribution(state, self._counting))
        return found


def fold(events: Iterable[Event], counting: Counting) -> Sums:
    """Of the events of one subject; of those with one id, the first counts."""
    once: dict[str, Event] = {}
    for event in events:
        once.setdefault(event.id, event)
    tally = Tally(counting)
    tally.add(entry_of(event) for event in once.values())
    return tally.sums()


def dump(state: UnitState) -> str:
    arms = {arm: _unpacked(totals) for arm, totals in state.arms().items()}
    fields = (state.first, state.brought, state.differs, arms)
    return json.dumps(fields, separators=(",", ":"), sort_keys=True)


def load(doc: str) -> UnitState:
    """What `dump` wrote."""
    fields: Any = json.loads(doc)
    first, brought, differs, arms = fields
    state = UnitState(tuple(first), {})
    state.brought = tuple(brought) if brought else None
    state.differs = differs
    for arm, totals in arms.items():
        packed = state.totals_of(arm)
        for name, (ticks, count) in totals.items():
            state.make_room(packed, name)
            packed[state.places[name]] = ticks + count * ONE
    return state


def _rule(metric: Metric) -> Rule:
    return Rule(
        name=metric.name,
        kind=metric.kind,
        summed=metric.summed,
        denominator=metric.denominator,
        cap=to_ticks(metric.cap) if metric.cap is not None else None,
        counts_absent=metric.counts_absent,
    )


def _bin(at_ms: int, bin_h: int) -> int | None:
    hour = at_ms // _HOUR_MS
    return hour - hour % bin_h if bin_h else None


def _segment(brought: str, declared: frozenset[str]) -> str | None:
    if not declared:
        return None
    return brought if brought in declared else OTHER_SEGMENT


def _values(totals: Totals, covariate: int, counting: Counting) -> tuple[tuple[str, int, int], ...]:
    if counting.rules is None:
        return tuple((name, _mean(total), covariate) for name, total in totals.items())
    found: list[tuple[str, int, int]] = []
    for rule in counting.rules:
        total = totals.get(rule.summed, 0)
        under = totals.get(rule.denominator, 0) if rule.denominator is not None else 0
        if not (total or under or rule.counts_absent):
            continue
        x = covariate if rule.denominator is None else _split(under)[0]
        found.append((rule.name, _value(rule, total), x))
    return tuple(found)


def _value(rule: Rule, total: int) -> int:
    if rule.kind in ("mean", "binary") and total:
        return _mean(total)
    value, _ = _split(total)
    return value if rule.cap is None else min(value, rule.cap)


def _mean(total: int) -> int:
    """To the nearest tick; a half goes to the even one."""
    value, count = _split(total)
    whole, rest = divmod(value, count)
    return whole + (2 * rest > count or (2 * rest == count and whole % 2 == 1))


def _split(total: int) -> tuple[int, int]:
    """The sum of ticks, and how many events carried it."""
    count = (total + ONE // 2) // ONE
    return total - count * ONE, count


def _unpacked(totals: Totals) -> dict[str, tuple[int, int]]:
    return {name: _split(total) for name, total in totals.items()}
