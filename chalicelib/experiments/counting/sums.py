"""Sums of what units contribute, by arm and phase: they add, subtract and merge in any order.
Whole numbers only; what a unit contributes is decided in `fold`, where sums lie in `store`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

CellKey = tuple[str, int]
"""Arm and phase."""
Six = list[int]
"""[n, sy, syy, sx, sxx, sxy] of the units that have the metric: their number, the sums of y and x
in ticks, and those of their squares and product in ticks squared. For a ratio x is the denominator,
for all other kinds the covariate."""


class Part(NamedTuple):
    """What one unit adds to the sums; values: (metric, y, x) of each metric that it has."""

    arm: str
    phase: int
    is_crossed: bool
    differs: bool
    hour: int | None
    segment: str | None
    values: tuple[tuple[str, int, int], ...]


@dataclass(slots=True)
class Cell:
    """The units of one arm that came in one phase.

    crossed: those of them that met another arm later. differing: those with two answers that
    differed. hours: units by the hour of their exposure since 1970, or by the first hour of its
    day (see `fold.Counting.bin_h`). segments: the same sums of the units of one segment.
    """

    units: int = 0
    crossed: int = 0
    differing: int = 0
    hours: dict[int, int] = field(default_factory=dict[int, int])
    metrics: dict[str, Six] = field(default_factory=dict[str, Six])
    segments: dict[str, dict[str, Six]] = field(default_factory=dict[str, dict[str, Six]])


Sums = dict[CellKey, Cell]


def add(sums: Sums, part: Part, *, times: int = 1) -> None:
    """times: 1, or -1 to take back what was added."""
    key = (part.arm, part.phase)
    cell = sums.get(key)
    if cell is None:
        cell = sums[key] = Cell()
    cell.units += times
    cell.crossed += times if part.is_crossed else 0
    cell.differing += times if part.differs else 0
    if part.hour is not None:
        cell.hours[part.hour] = cell.hours.get(part.hour, 0) + times
    _add_values(cell.metrics, part.values, times)
    if part.segment is not None and part.values:
        _add_values(cell.segments.setdefault(part.segment, {}), part.values, times)


def merge(into: Sums, other: Mapping[CellKey, Cell]) -> None:
    for key, found in other.items():
        cell = into.setdefault(key, Cell())
        cell.units += found.units
        cell.crossed += found.crossed
        cell.differing += found.differing
        for hour, units in found.hours.items():
            cell.hours[hour] = cell.hours.get(hour, 0) + units
        _merge_metrics(cell.metrics, found.metrics)
        for segment, metrics in found.segments.items():
            _merge_metrics(cell.segments.setdefault(segment, {}), metrics)


def cells(sums: Sums) -> dict[CellKey, Cell]:
    """Those that say anything, in order of arm and phase, without what was all taken back."""
    tidy = {key: _tidied(sums[key]) for key in sorted(sums)}
    return {key: cell for key, cell in tidy.items() if cell != Cell()}


def dump(cell: Cell) -> str:
    """Compact JSON; what is zero is left out."""
    tidy = _tidied(cell)
    fields = {name: getattr(tidy, name) for name in Cell.__slots__}
    return json.dumps({name: value for name, value in fields.items() if value}, **_COMPACT)


def load(doc: str) -> Cell:
    """What `dump` wrote."""
    cell = Cell(**json.loads(doc))
    cell.hours = {int(hour): units for hour, units in cell.hours.items()}
    return cell


_COMPACT: Any = {"separators": (",", ":"), "sort_keys": True}


def _add_values(
    metrics: dict[str, Six], values: tuple[tuple[str, int, int], ...], times: int
) -> None:
    for name, y, x in values:
        six = metrics.get(name)
        if six is None:
            six = metrics[name] = [0, 0, 0, 0, 0, 0]
        six[0] += times
        six[1] += times * y
        six[2] += times * y * y
        if x:
            six[3] += times * x
            six[4] += times * x * x
            six[5] += times * x * y


def _merge_metrics(into: dict[str, Six], other: Mapping[str, Six]) -> None:
    for name, found in other.items():
        six = into.get(name)
        into[name] = (
            list(found) if six is None else [a + b for a, b in zip(six, found, strict=True)]
        )


def _tidied(cell: Cell) -> Cell:
    segments = {segment: _some(metrics) for segment, metrics in cell.segments.items()}
    return Cell(
        units=cell.units,
        crossed=cell.crossed,
        differing=cell.differing,
        hours={hour: units for hour, units in cell.hours.items() if units},
        metrics=_some(cell.metrics),
        segments={segment: metrics for segment, metrics in segments.items() if metrics},
    )


def _some(metrics: Mapping[str, Six]) -> dict[str, Six]:
    return {name: six for name, six in metrics.items() if any(six)}
