"""Rows of what was counted: each unit, each event that was seen, the sums in shards.
Keys and conditional writes only; what is counted, and when, is decided in `counting`.

    <tenant>#<subject>#unit#<unit>  unit                      what is known of the unit
                                    seen#<event id>           the event as it came
    <tenant>#<subject>#sums         <shard>#<phase>#<arm>     the sums of a sixteenth of the units

Each arm and phase has rows of its own, because all cells of a large experiment, with segments,
outgrow one row.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chalicelib.experiments.counting import fold, sums
from chalicelib.experiments.counting.fold import UnitState
from chalicelib.experiments.counting.sums import Cell, CellKey
from chalicelib.experiments.events import Event
from chalicelib.kit import tables
from chalicelib.kit.settings import settings
from chalicelib.kit.tables import Key, Row, Write

SHARDS = 16
_KEPT_DAYS = 30
"""How long an event is remembered after the last moment at which its outcomes are taken; longer
than a queue keeps a message."""
_DAY_S = 86_400
_PAGE = 1_000


class Subject(NamedTuple):
    tenant: str
    name: str


class Known(NamedTuple):
    """What the table held of some units and events when it was read."""

    rows: dict[Key, Row]

    def unit(self, subject: Subject, unit: str) -> UnitState | None:
        """A copy of its own at every call."""
        row = self.rows.get(_unit_key(subject, unit))
        return fold.load(row.doc) if row else None

    def event(self, subject: Subject, event: Event) -> Event | None:
        row = self.rows.get(_seen_key(subject, event))
        return Event.model_validate_json(row.doc) if row else None

    def cell(self, subject: Subject, shard: int, key: CellKey) -> Cell:
        row = self.rows.get(_cell_key(subject, shard, key))
        return sums.load(row.doc) if row else Cell()


def shard_of(unit: str) -> int:
    return zlib.crc32(unit.encode()) % SHARDS


def read_known(subject: Subject, events: Iterable[Event]) -> Known:
    events = list(events)
    keys = [_unit_key(subject, event.unit) for event in events]
    keys += [_seen_key(subject, event) for event in events]
    return Known(tables.read_many(_table(), keys))


def read_cells(subject: Subject, shard: int, keys: Iterable[CellKey]) -> Known:
    return Known(tables.read_many(_table(), [_cell_key(subject, shard, key) for key in keys]))


def create_seen(subject: Subject, event: Event, *, now_s: int) -> Write:
    """now_s: Unix time; an event is remembered from then on too, however old its prediction is."""
    window_s = settings().outcome_window_days * _DAY_S
    last_s = max(event.predicted_at_ms // 1_000 + window_s, now_s)
    doc = event.model_dump_json(exclude_defaults=True)
    key = _seen_key(subject, event)
    return tables.create(_table(), key, doc, expires_at_s=last_s + _KEPT_DAYS * _DAY_S)


def put_unit(subject: Subject, known: Known, unit: str, state: UnitState) -> Write:
    key = _unit_key(subject, unit)
    return tables.put(_table(), key, known.rows.get(key), fold.dump(state))


def put_cell(subject: Subject, known: Known, shard: int, key: CellKey, cell: Cell) -> Write:
    row_key = _cell_key(subject, shard, key)
    return tables.put(_table(), row_key, known.rows.get(row_key), sums.dump(cell))


def cells(subject: Subject) -> Iterator[tuple[CellKey, Cell]]:
    """Of all shards; their number rests on arms and phases alone."""
    for row in tables.scan_partition(_table(), _sums_pk(subject), page_size=_PAGE):
        _, phase, arm = row.key.sk.split("#", 2)
        yield (arm, int(phase)), sums.load(row.doc)


_SEEN = "seen#"


def _table() -> str:
    return settings().outcomes_table


def _unit_key(subject: Subject, unit: str) -> Key:
    return Key(f"{subject.tenant}#{subject.name}#unit#{unit}", "unit")


def _seen_key(subject: Subject, event: Event) -> Key:
    return Key(_unit_key(subject, event.unit).pk, f"{_SEEN}{event.id}")


def _sums_pk(subject: Subject) -> str:
    return f"{subject.tenant}#{subject.name}#sums"


def _cell_key(subject: Subject, shard: int, key: CellKey) -> Key:
    arm, phase = key
    return Key(_sums_pk(subject), f"{shard:02d}#{phase}#{arm}")
