"""Shares, ramps, namespaces and holdouts: they move only those units that they must move.
How units are hashed and dealt is in test_assignment."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chalicelib.experiments.assignment import (
    WHOLE,
    Assigned,
    Plan,
    Segment,
    SharesRefused,
    apportion,
    assign,
    first_free,
    hash_unit,
    make_plan,
    reapportion,
)

UNITS = [hash_unit(b"k" * 32, f"user-{number}") for number in range(10_000)]
HALVES = {"champion": 0.5, "rival": 0.5}
THREE = {"champion": 0.5, "a": 0.3, "b": 0.2}
STEPS = (0.01, 0.05, 0.25, 0.5, 1.0)


def _plan(segments: Sequence[Segment] | None = None, **given: object) -> Plan:
    asked: dict[str, object] = {"experiment": "exp_7", "salt_version": 1, **given}
    return make_plan(segments=segments or apportion(HALVES), **asked)  # type: ignore[arg-type]


def _arms(plan: Plan) -> dict[str, str]:
    """Arm by unit, of those that are in the experiment."""
    found = {unit: assign(plan, unit) for unit in UNITS}
    return {unit: assigned.arm for unit, assigned in found.items() if assigned}


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

    old, new = _arms(_plan(before)), _arms(_plan(after))

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

    assert set(_arms(_plan(dropped)).values()) == {"champion", "b"}


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
    steps = [_arms(_plan(RESERVED[name], exposed=exposed)) for exposed in STEPS]

    for fewer, more in pairwise(steps):
        assert len(fewer) < len(more)
        assert fewer.items() <= more.items()


@pytest.mark.parametrize("exposed", STEPS)
@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_ramp_keeps_the_ratio_of_the_arms(name: str, exposed: float):
    arms = list(_arms(_plan(RESERVED[name], exposed=exposed)).values())

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

    old, new = _arms(_plan(before, exposed=0.5)), _arms(_plan(after, exposed=0.5))

    rivals = {unit for unit, arm in old.items() if arm == "rival"}
    assert rivals < {unit for unit, arm in new.items() if arm == "rival"}


def test_a_change_of_shares_within_a_ramp_takes_reserved_points_first():
    before = apportion(HALVES)
    after = reapportion(before, {"champion": 0.4, "rival": 0.6})

    old, new = _arms(_plan(before, exposed=0.5)), _arms(_plan(after, exposed=0.5))

    assert not [unit for unit in old.keys() & new.keys() if old[unit] != new[unit]]


def test_nobody_is_exposed_before_a_ramp_begins():
    assert _arms(_plan(exposed=0.0)) == {}


def test_the_propensity_is_the_share_of_the_arm_times_the_exposed_share():
    segments = apportion({"champion": 0.9, "rival": 0.1})

    found = {assign(_plan(segments, exposed=0.5), unit) for unit in UNITS}

    assert found == {None, Assigned("champion", 0.45), Assigned("rival", 0.05)}


# Namespaces and holdouts


def test_no_unit_is_in_two_experiments_of_a_namespace():
    taken: list[tuple[float, float]] = []
    for width in (0.2, 0.1, 0.7):
        room = first_free(taken, width)
        assert room is not None
        taken.append(room)

    inside = [
        _arms(_plan(experiment=f"exp_{number}", namespace="checkout", owned=owned))
        for number, owned in enumerate(taken)
    ]

    assert sorted(unit for units in inside for unit in units) == sorted(UNITS)


def test_experiments_of_other_namespaces_share_units():
    first = _arms(_plan(namespace="checkout", owned=(0.0, 0.5)))
    second = _arms(_plan(namespace="search", owned=(0.5, 1.0)))

    both = len(first.keys() & second.keys())

    assert stats.binomtest(both, len(UNITS), 0.25).pvalue > 0.001


def test_the_held_out_are_in_no_experiment_of_the_namespace():
    inside = [
        _arms(_plan(experiment=experiment, salt_version=version, namespace="n", holdout=0.1))
        for experiment, version in (("exp_1", 1), ("exp_2", 5))
    ]

    assert inside[0].keys() == inside[1].keys()
    assert stats.binomtest(len(inside[0]), len(UNITS), 0.9).pvalue > 0.001


def test_a_holdout_of_all_leaves_nobody():
    assert _arms(_plan(holdout=1.0)) == {}


@pytest.mark.parametrize(
    ("taken", "width", "room"),
    [
        ([], 1.0, WHOLE),
        ([], 0.25, (0.0, 0.25)),
        ([(0.0, 0.25)], 0.5, (0.25, 0.75)),
        ([(0.75, 1.0), (0.0, 0.25)], 0.5, (0.25, 0.75)),
        ([(0.25, 0.5)], 0.5, (0.5, 1.0)),
        ([(0.0, 0.5)], 0.75, None),
        ([WHOLE], 0.01, None),
        ([(0.0, 0.1 + 0.2)], 0.7, (0.1 + 0.2, 1.0)),  # 0.1 + 0.2 is a little more than 0.3
    ],
)
def test_a_new_experiment_gets_the_first_room_that_is_wide_enough(
    taken: list[tuple[float, float]], width: float, room: tuple[float, float] | None
):
    assert first_free(taken, width) == room
