"""Sums of units: adding, taking back, merging and keeping them loses no digit."""

import json

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.experiments.counting import sums
from chalicelib.experiments.counting.sums import Part, Sums

TICKS = st.integers(-(10**21), 10**21)
VALUES = st.lists(st.tuples(st.sampled_from(["score", "clicks"]), TICKS, TICKS), max_size=3)


@st.composite
def parts(draw: st.DrawFn) -> Part:
    return Part(
        arm=draw(st.sampled_from(["control", "treatment"])),
        phase=draw(st.integers(0, 2)),
        is_crossed=draw(st.booleans()),
        differs=draw(st.booleans()),
        hour=draw(st.none() | st.integers(488_000, 488_003)),
        segment=draw(st.none() | st.sampled_from(["mobile", "other"])),
        values=tuple(draw(VALUES)),
    )


def total(added: list[Part]) -> Sums:
    found: Sums = {}
    for part in added:
        sums.add(found, part)
    return found


@given(st.lists(parts(), max_size=8), st.lists(parts(), max_size=8))
def test_what_is_taken_back_leaves_no_trace(stays: list[Part], goes: list[Part]):
    found = total(stays + goes)

    for part in goes:
        sums.add(found, part, times=-1)

    assert sums.cells(found) == sums.cells(total(stays))


@given(st.lists(parts(), max_size=12), st.integers(0, 12))
def test_merged_shards_are_one_sum(added: list[Part], cut: int):
    found = total(added[:cut])

    sums.merge(found, total(added[cut:]))

    assert sums.cells(found) == sums.cells(total(added))


@given(st.lists(parts(), max_size=8), st.lists(parts(), max_size=4))
def test_a_kept_cell_is_read_back_as_it_was(stays: list[Part], goes: list[Part]):
    found = total(stays + goes)
    for part in goes:
        sums.add(found, part, times=-1)

    kept = {key: sums.load(sums.dump(cell)) for key, cell in found.items()}

    assert sums.cells(kept) == sums.cells(found)


@given(st.lists(parts(), min_size=1, max_size=8))
def test_merging_leaves_what_is_merged_alone(added: list[Part]):
    once = total(added)
    into: Sums = {}
    sums.merge(into, once)

    sums.merge(into, once)

    assert once == total(added)


def test_an_empty_cell_takes_no_room():
    part = Part("control", 0, True, True, 5, "mobile", (("score", 1, 2),))
    found = total([part])

    sums.add(found, part, times=-1)

    assert json.loads(sums.dump(found["control", 0])) == {}


def test_cells_come_in_order_of_arm_and_phase():
    keys = [("treatment", 1), ("control", 10), ("control", 2), ("treatment", 0)]

    found = total([Part(arm, phase, False, False, None, None, ()) for arm, phase in keys])

    assert list(sums.cells(found)) == sorted(keys)
