"""How often an endpoint is asked a day, by what CloudWatch keeps of the hours."""

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.experiments.planning import invocations
from chalicelib.experiments.planning.invocations import Rate, rate_of
from tests.builders.plans import tell_requests

NOW = datetime(2026, 2, 7, 15, 30, tzinfo=UTC)


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 2, day, hour, tzinfo=UTC)


def test_only_whole_days_count():
    asked = {at(4, 9): 1_000.0, at(5, 3): 100.0, at(5, 20): 200.0, at(6, 1): 50.0, at(7, 1): 1e6}

    assert rate_of(asked, now=NOW) == Rate(175.0, "2 whole days")


def test_idle_days_count_as_well():
    asked = {at(2, 9): 1.0, at(3, 9): 400.0, at(7, 9): 5.0}

    assert rate_of(asked, now=NOW) == Rate(100.0, "4 whole days")


def test_a_day_that_was_busy_from_its_first_hour_is_whole():
    assert rate_of({at(6, 0): 48.0}, now=NOW) == Rate(48.0, "1 whole day")


def test_without_a_whole_day_the_hours_are_scaled():
    asked = {at(6, 15): 150.0, at(7, 12): 50.0}

    found = rate_of(asked, now=NOW)

    assert found == Rate(pytest.approx(200 / 24.5 * 24), "24.5 hours, scaled to a day")  # type: ignore[arg-type]


def test_a_few_minutes_are_not_stretched_beyond_an_hour():
    found = rate_of({at(7, 15): 10.0}, now=at(7, 15) + timedelta(minutes=3))

    assert found == Rate(240.0, "1.0 hours, scaled to a day")


def test_whole_days_without_any_request_are_no_rate():
    found = rate_of({at(5, 22): 84.0}, now=at(7, 4))

    assert found == Rate(pytest.approx(84 / 30 * 24), "30.0 hours, scaled to a day")  # type: ignore[arg-type]


def test_nobody_asked():
    assert rate_of({at(6, 3): 0.0}, now=NOW) is None


def test_cloudwatch_tells_the_hours_of_the_endpoint(tenant: str):
    now = datetime.now(UTC)
    tell_requests(f"ep-{tenant}", {15: 7e6, 3: 1.0, 2: 120.0, 1: 80.0})
    tell_requests(f"other-{tenant}", {1: 5e6})

    found = invocations.read(f"ep-{tenant}", now=now)

    assert found == Rate(100.0, "2 whole days")


def test_an_endpoint_that_cloudwatch_does_not_know_has_no_rate(tenant: str):
    assert invocations.read(f"nobody-{tenant}", now=datetime.now(UTC)) is None
