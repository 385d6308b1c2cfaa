"""Holm's adjustment: the published procedure, on hand-computed and on any p-values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.stats.multiplicity import holm

p_values = st.lists(st.floats(0.0, 1.0), max_size=8)


def test_the_adjusted_values_are_those_computed_by_hand():
    # Sorted .005 .01 .03 .04, times 4 3 2 1, then never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


def test_no_questions_have_no_answers():
    assert holm([]) == ()


@given(p_values, st.sampled_from([0.01, 0.05, 0.2]))
def test_what_is_rejected_is_what_the_step_down_procedure_rejects(found: list[float], alpha: float):
    rejected: set[int] = set()
    for rank, index in enumerate(sorted(range(len(found)), key=found.__getitem__)):
        if (len(found) - rank) * found[index] > alpha:
            break
        rejected.add(index)

    adjusted = holm(found)

    assert {index for index, p in enumerate(adjusted) if p <= alpha} == rejected


@given(p_values)
def test_an_adjusted_value_is_between_the_raw_one_and_bonferronis(found: list[float]):
    for raw, adjusted in zip(found, holm(found), strict=True):
        assert raw <= adjusted <= min(1.0, len(found) * raw)


@given(st.permutations([0.001, 0.02, 0.03, 0.2, 0.9]))
def test_the_order_given_does_not_matter(found: list[float]):
    by_value = dict(zip(found, holm(found), strict=True))

    assert by_value == dict(zip(sorted(found), holm(sorted(found)), strict=True))
