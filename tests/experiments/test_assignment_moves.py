"""Shares and ramps: they move only those units that they must move.
How units are hashed and dealt is in test_assignment."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chalicelib.experiments.assignment import (
    Assigned,
    Segment,
    SharesRefused,
    apportion,
    assign,
    reapportion,
)
from tests.builders.assigned import HALVES, UNITS, arms_of, plan_of

THREE = {"champion": 0.5, "a": 0.3, "b": 0.2}
STEPS = (0.01, 0.05, 0.25, 0.5, 1.0)


def _moved(before: Sequence[Segment], after: Sequence[Segment]) -> float:
    """Mass of the points whose arm is another one."""
    return sum(
        max(0.0, min(old.end, new.end) - max(old.start, new.start))
        for old in before
        for new in after
        if old.arm != new.arm
    )


def _widths(segments: Sequence[Segment]) -> dict[str, float]:
    widths: dict[str, float] = {}
    for start, end, arm in segments:
        widths[arm] = widths.get(arm, 0.0) + end - start
    return widths


def _shares_of(weights: Sequence[int]) -> dict[str, float]:
    return {f"arm_{number}": weight / sum(weights) for number, weight in enumerate(weights)}


SHARES = (
    st.lists(st.sampled_from([0, 1, 2, 5, 33, 100, 999]), min_size=1, max_size=6)
    .filter(any)
    .map(_shares_of)
)


# Shares


@given(st.lists(SHARES, min_size=1, max_size=8))
def test_every_point_has_one_arm_after_any_changes(changes: list[dict[str, float]]):
    segments: tuple[Segment, ...] = ()

    for shares in changes:
        segments = reapportion(segments, shares)

    ordered = sorted(segments)
    assert [0.0, *(one.end for one in ordered)] == [*(one.start for one in ordered), 1.0]


@given(st.lists(SHARES, min_size=1, max_size=8))
def test_every_arm_has_its_share_after_any_changes(changes: list[dict[str, float]]):
    segments: tuple[Segment, ...] = ()

    for shares in changes:
        segments = reapportion(segments, shares)

    asked = {arm: share for arm, share in changes[-1].items() if share}
    assert _widths(segments) == pytest.approx(asked, abs=1e-12)


@given(st.lists(SHARES, min_size=2, max_size=8))
def test_no_more_mass_moves_than_arms_grow_by(changes: list[dict[str, float]]):
    before: tuple[Segment, ...] = ()
    for shares in changes[:-1]:
        before = reapportion(before, shares)
    old, new = changes[-2:]

    after = reapportion(before, new)

    grown = sum(max(0.0, new[arm] - old.get(arm, 0.0)) for arm in new)
    assert _moved(before, after) == pytest.approx(grown, abs=1e-12)


@given(SHARES)
def test_the_same_shares_change_nothing(shares: dict[str, float]):
    segments = apportion(shares)

    assert reapportion(segments, shares) == segments


def test_an_arm_grows_by_the_end_of_the_one_that_shrinks():
    after = reapportion(apportion(HALVES), {"champion": 0.25, "rival": 0.75})

    assert after == (
        Segment(0.0, 0.25, "champion"),
        Segment(0.5, 1.0, "rival"),
        Segment(0.25, 0.5, "rival"),
    )


def test_what_an_arm_gets_is_joined_to_its_last_segment():
    after = reapportion(apportion(THREE), {"champion": 0.75, "a": 0.0, "b": 0.25})

    assert after[0] == Segment(0.0, 0.75, "champion")


def test_a_share_that_is_raised_and_lowered_again_gives_back_the_same_units():
    before = apportion(THREE)

    raised = reapportion(before, {"champion": 0.2, "a": 0.3, "b": 0.5})

    assert reapportion(raised, THREE) == before


@pytest.mark.parametrize(
    "shares",
    [
        {"champion": 0.4, "a": 0.4, "b": 0.2},
        {"champion": 0.9, "a": 0.05, "b": 0.05},
        {"champion": 0.4, "b": 0.6},
        {"champion": 0.5, "a": 0.2, "b": 0.2, "new": 0.1},
    ],
)
def test_units_move_only_from_arms_that_shrink_to_arms_that_grow(shares: Mapping[str, float]):
    before = apportion(THREE)
    after = reapportion(before, shares)

    old, new = arms_of(plan_of(before)), arms_of(plan_of(after))

    moved = [unit for unit in UNITS if old[unit] != new[unit]]
    assert {old[unit] for unit in moved} == {
        arm for arm in THREE if THREE[arm] > shares.get(arm, 0)
    }
    assert {new[unit] for unit in moved} == {
        arm for arm in shares if shares[arm] > THREE.get(arm, 0)
    }
    assert stats.binomtest(len(moved), len(UNITS), _moved(before, after)).pvalue > 0.001


def test_an_arm_without_a_share_gets_nobody():
    dropped = reapportion(apportion(THREE), {"champion": 0.7, "a": 0.0, "b": 0.3})

    assert set(arms_of(plan_of(dropped)).values()) == {"champion", "b"}


@pytest.mark.parametrize(
    "shares",
    [
        {},
        {"champion": 0.0},
        {"champion": 0.5, "rival": 0.4},
        {"champion": 50.0, "rival": 50.0},
        {"champion": 1.5, "rival": -0.5},
        {"champion": float("nan"), "rival": 0.5},
    ],
)
def test_shares_that_are_no_parts_of_one_are_refused(shares: Mapping[str, float]):
    with pytest.raises(SharesRefused):
        apportion(shares)


def test_thirds_written_in_decimal_leave_no_rest():
    segments = apportion(dict.fromkeys("abc", 0.3333333333))

    assert [segment.arm for segment in segments] == ["a", "b", "c"]
    assert segments[-1].end == 1.0


# Ramps

RESERVED = {
    "as made": apportion(THREE),
    "after changes": reapportion(
        reapportion(apportion(HALVES), {"champion": 0.3, "rival": 0.7}),
        {"champion": 0.45, "rival": 0.35, "new": 0.2},
    ),
}


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_ramp_only_adds_units_and_moves_none(name: str):
    steps = [arms_of(plan_of(RESERVED[name], exposed=exposed)) for exposed in STEPS]

    for fewer, more in pairwise(steps):
        assert len(fewer) < len(more)
        assert fewer.items() <= more.items()


@pytest.mark.parametrize("exposed", STEPS)
@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_ramp_keeps_the_ratio_of_thearms_of(name: str, exposed: float):
    arms = list(arms_of(plan_of(RESERVED[name], exposed=exposed)).values())

    width = _widths(RESERVED[name])
    counts = [arms.count(arm) for arm in width]
    expected = [share * exposed * len(UNITS) for share in width.values()]
    outside = len(UNITS) - len(arms)
    if exposed < 1:
        counts, expected = [*counts, outside], [*expected, (1 - exposed) * len(UNITS)]
    assert stats.chisquare(counts, expected).pvalue > 0.001


def test_a_change_of_shares_within_a_ramp_drops_no_unit_of_an_arm_that_grows():
    before = apportion(HALVES)
    after = reapportion(before, {"champion": 0.4, "rival": 0.6})

    old, new = arms_of(plan_of(before, exposed=0.5)), arms_of(plan_of(after, exposed=0.5))

    rivals = {unit for unit, arm in old.items() if arm == "rival"}
    assert rivals < {unit for unit, arm in new.items() if arm == "rival"}


def test_a_change_of_shares_within_a_ramp_takes_reserved_points_first():
    before = apportion(HALVES)
    after = reapportion(before, {"champion": 0.4, "rival": 0.6})

    old, new = arms_of(plan_of(before, exposed=0.5)), arms_of(plan_of(after, exposed=0.5))

    assert not [unit for unit in old.keys() & new.keys() if old[unit] != new[unit]]


def test_nobody_is_exposed_before_a_ramp_begins():
    assert arms_of(plan_of(exposed=0.0)) == {}


def test_the_propensity_is_the_share_of_the_arm_times_the_exposed_share():
    segments = apportion({"champion": 0.9, "rival": 0.1})

    found = {assign(plan_of(segments, exposed=0.5), unit) for unit in UNITS}

    assert found == {None, Assigned("champion", 0.45), Assigned("rival", 0.05)}
