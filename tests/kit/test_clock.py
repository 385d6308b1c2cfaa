"""Time as values: text whose order is time order, and what is left of a run."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kit.clock import Deadline, timestamp, utc_now
from tests.builders.http import Context

MOMENTS = st.integers(0, 8_000_000_000 * 10**6).map(
    lambda microseconds: datetime(1971, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)


@given(MOMENTS, MOMENTS)
def test_the_order_of_timestamps_is_the_order_of_moments(one: datetime, other: datetime):
    assert (timestamp(one) < timestamp(other)) == (one < other)


def test_a_timestamp_is_in_utc_whatever_the_zone():
    east = timezone(timedelta(hours=9))

    assert timestamp(datetime(2026, 2, 8, tzinfo=east)) == "2026-02-07T15:00:00.000000Z"


def test_the_present_has_a_zone():
    assert utc_now().tzinfo is UTC


def test_a_deadline_leaves_the_margin_of_the_functions_own_time():
    deadline = Deadline.of(Context(left_ms=10_000), margin_s=4, at_most_s=60)

    assert 5 < deadline.left_s() <= 6
    assert not deadline.passed()


def test_a_deadline_is_never_longer_than_asked_for():
    assert Deadline.of(Context(left_ms=900_000), margin_s=4, at_most_s=20).left_s() <= 20


def test_without_a_context_the_whole_time_is_left():
    assert 59 < Deadline.of(None, margin_s=4, at_most_s=60).left_s() <= 60


def test_a_deadline_in_the_past_has_passed():
    assert Deadline.of(Context(left_ms=1_000), margin_s=4, at_most_s=60).passed()
