"""Ticks: the whole numbers that values become before anything is added."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.experiments.events import SCALE, to_ticks


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_a_value_becomes_the_nearest_number_of_ticks(value: float):
    exact = Fraction(value) * SCALE

    assert abs(to_ticks(value) - exact) <= Fraction(1, 2) + abs(exact) / 2**53 / 2**10


@given(st.integers(-(10**12), 10**12))
def test_whole_values_are_exact(value: int):
    assert to_ticks(float(value)) == value * SCALE


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_a_sign_changes_nothing_but_the_sign(value: float):
    assert to_ticks(-value) == -to_ticks(value)
