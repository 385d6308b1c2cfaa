"""Namespaces and holdouts: who is kept out of an experiment, whatever its arms are."""

import pytest
from scipy import stats

from chalicelib.experiments.assignment import WHOLE, first_free
from tests.builders.assigned import UNITS, arms_of, plan_of


def test_no_unit_is_in_two_experiments_of_a_namespace():
    taken: list[tuple[float, float]] = []
    for width in (0.2, 0.1, 0.7):
        room = first_free(taken, width)
        assert room is not None
        taken.append(room)

    inside = [
        arms_of(plan_of(experiment=f"exp_{number}", namespace="checkout", owned=owned))
        for number, owned in enumerate(taken)
    ]

    assert sorted(unit for units in inside for unit in units) == sorted(UNITS)


def test_experiments_of_other_namespaces_share_units():
    first = arms_of(plan_of(namespace="checkout", owned=(0.0, 0.5)))
    second = arms_of(plan_of(namespace="search", owned=(0.5, 1.0)))

    both = len(first.keys() & second.keys())

    assert stats.binomtest(both, len(UNITS), 0.25).pvalue > 0.001


def test_the_held_out_are_in_no_experiment_of_the_namespace():
    inside = [
        arms_of(plan_of(experiment=experiment, salt_version=version, namespace="n", holdout=0.1))
        for experiment, version in (("exp_1", 1), ("exp_2", 5))
    ]

    assert inside[0].keys() == inside[1].keys()
    assert stats.binomtest(len(inside[0]), len(UNITS), 0.9).pvalue > 0.001


def test_a_holdout_of_all_leaves_nobody():
    assert arms_of(plan_of(holdout=1.0)) == {}


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
