"""What is known of a unit, and its part of the sums: the same in whatever order events come."""

import statistics
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.experiments.counting import fold as folding
from chalicelib.experiments.counting import sums
from chalicelib.experiments.counting.fold import Counting, Tally, entry_of, fold, make_counting
from chalicelib.experiments.counting.sums import Cell
from chalicelib.experiments.events import SCALE, Event
from chalicelib.registry.metrics import Metric
from chalicelib.stats.moments import moments
from tests.builders.outcomes import (
    HOUR_MS,
    METRICS,
    STARTED_MS,
    event,
    exact_recount,
    exposure,
    history,
    outcome,
    seen,
)

COUNTING = make_counting(METRICS, segments=["mobile", "desktop"])


def counted(events: list[Event], counting: Counting = COUNTING) -> dict[tuple[str, int], Cell]:
    return sums.cells(fold(events, counting))


def six(events: list[Event], metric: Metric) -> list[int] | None:
    """Of a single unit of the control."""
    return counted(events, make_counting([metric]))["control", 0].metrics.get(metric.name)


HISTORY = history(3, units=12)


@given(st.permutations(HISTORY), st.lists(st.sampled_from(HISTORY), max_size=20))
def test_order_and_repetition_change_no_digit(shuffled: list[Event], again: list[Event]):
    assert counted(shuffled + again) == counted(HISTORY)


@given(st.lists(st.sampled_from(HISTORY), unique_by=lambda one: one.id), st.integers(0, 99))
def test_a_unit_taken_up_again_goes_on_as_if_never_put_down(events: list[Event], cut: int):
    units: dict[str, folding.UnitState] = {}
    folding.apply(units, map(entry_of, events[:cut]), {})
    units = {unit: folding.load(folding.dump(state)) for unit, state in units.items()}
    folding.apply(units, map(entry_of, events[cut:]), {})

    found: sums.Sums = {}
    for state in units.values():
        sums.add(found, folding.contribution(state, COUNTING))

    assert sums.cells(found) == counted(events)


@pytest.mark.parametrize("seed", range(5))
def test_sums_are_those_of_an_exact_recount(seed: int):
    events = history(seed, units=60)

    assert seen(counted(events)) == exact_recount(events)


def test_a_tally_taken_in_parts_is_the_fold():
    events = history(1, units=30)
    once = list({one.id: one for one in events}.values())
    tally = Tally(COUNTING)

    for start in range(0, len(once), 7):
        tally.add(map(entry_of, once[start : start + 7]))

    assert sums.cells(tally.sums()) == counted(events)


def test_an_exposure_that_comes_last_still_brings_its_covariate_and_segment():
    late = exposure("u", covariate=7, segment="mobile")
    told = outcome("u", values={"score": 2.0})

    cell = counted([told, late])["control", 0]

    assert cell.segments["mobile"]["score"] == [1, 2 * SCALE, 4 * SCALE**2, 7, 49, 14 * SCALE]


def test_any_event_stands_in_for_a_lost_exposure():
    told = outcome("u", values={"score": 2.0}, arm="treatment", phase=3)

    assert counted([told])["treatment", 3].units == 1


def test_a_unit_that_changes_arms_counts_for_its_first_alone():
    first = outcome("u", 0, values={"clicks": 2.0})
    other = outcome("u", 1, values={"clicks": 40.0}, arm="treatment")

    cells = counted([other, first])

    assert {key: (cell.units, cell.crossed) for key, cell in cells.items()} == {
        ("control", 0): (1, 1)
    }
    assert cells["control", 0].metrics["clicks"][1] == 2 * SCALE


def test_a_unit_of_two_phases_counts_all_it_did_under_its_first():
    events = [outcome("u", n, values={"clicks": 1.0}, phase=n, id=f"{n}") for n in range(3)]

    cells = counted(events)

    assert {key: cell.metrics["clicks"][1] for key, cell in cells.items()} == {
        ("control", 0): 3 * SCALE
    }


MEAN, COUNT = Metric(name="m"), Metric(name="m", kind="count")
REVENUE = Metric(name="m", kind="revenue", cap=10)
RATIO = Metric(name="r", kind="ratio", numerator="m", denominator="d")
ZERO = Metric(name="m", absent="zero")
RATIO_ZERO = RATIO.model_copy(update={"absent": "zero"})
SKIP = Metric(name="m", kind="count", absent="skip")
S, S2 = SCALE, SCALE**2
# metric, values told one by one, sums of the one unit
SINGLE_UNITS: dict[str, tuple[Metric, list[dict[str, float]], list[int] | None]] = {
    "mean of three": (MEAN, [{"m": 1}, {"m": 2}, {"m": 6}], [1, 3 * S, 9 * S2, 0, 0, 0]),
    "mean of none": (MEAN, [], None),
    "mean of none, zero": (ZERO, [], [1, 0, 0, 0, 0, 0]),
    "mean of zeros": (MEAN, [{"m": 0}, {"m": 0}], [1, 0, 0, 0, 0, 0]),
    "count": (COUNT, [{"m": 1}, {"m": 2}], [1, 3 * S, 9 * S2, 0, 0, 0]),
    "count of none": (COUNT, [], [1, 0, 0, 0, 0, 0]),
    "count of none, skipped": (SKIP, [], None),
    "revenue below its cap": (REVENUE, [{"m": 4}, {"m": 5}], [1, 9 * S, 81 * S2, 0, 0, 0]),
    "revenue above its cap": (REVENUE, [{"m": 8}, {"m": 8}], [1, 10 * S, 100 * S2, 0, 0, 0]),
    "refund": (REVENUE, [{"m": -4}], [1, -4 * S, 16 * S2, 0, 0, 0]),
    "ratio": (RATIO, [{"m": 3, "d": 2}, {"d": 2}], [1, 3 * S, 9 * S2, 4 * S, 16 * S2, 12 * S2]),
    "ratio without numerator": (RATIO, [{"d": 2}], [1, 0, 0, 2 * S, 4 * S2, 0]),
    "ratio without denominator": (RATIO, [{"m": 3}], [1, 3 * S, 9 * S2, 0, 0, 0]),
    "ratio of nothing": (RATIO, [], None),
    "ratio of nothing, zero": (RATIO_ZERO, [], [1, 0, 0, 0, 0, 0]),
}


@pytest.mark.parametrize("name", sorted(SINGLE_UNITS))
def test_a_unit_has_one_value_of_a_metric(name: str):
    metric, told, expected = SINGLE_UNITS[name]
    outcomes = [outcome("u", values=values, id=f"{n}") for n, values in enumerate(told)]

    assert six([exposure("u"), *outcomes], metric) == expected


@given(st.lists(st.integers(-(10**21), 10**21), min_size=1, max_size=9))
def test_a_mean_is_rounded_to_the_nearest_tick(ticks: list[int]):
    events = [outcome("u", ticks={"m": one}, id=f"{n}") for n, one in enumerate(ticks)]

    found = six(events, MEAN)

    assert found is not None
    assert found[1] == round(Fraction(sum(ticks), len(ticks)))  # halves go to the even one


def test_an_offset_of_a_million_millions_keeps_the_variance():
    offsets = [0.25 * n for n in range(200)]
    events = [outcome(f"u{n}", values={"score": 1e12 - offset}) for n, offset in enumerate(offsets)]

    n, s, ss = counted(events)["control", 0].metrics["score"][:3]

    found = moments(n, s, ss, scale=SCALE)
    assert found.variance == pytest.approx(statistics.variance(offsets), rel=1e-12)


def test_requests_are_counted_from_exposures():
    events = [exposure("u", n) for n in range(4)] + [event("measurement", "u", 0)]

    assert six(events, Metric(name="requests", kind="count")) == [1, 4 * S, 16 * S2, 0, 0, 0]


def test_without_rules_every_outcome_is_a_mean():
    events = [outcome("u", n, values={"any": n}, id=f"{n}") for n in (1, 3)]

    cell = counted([exposure("u"), *events], Counting())["control", 0]

    assert cell.metrics == {"any": [1, 2 * S, 4 * S2, 0, 0, 0], "requests": [1, S, S2, 0, 0, 0]}


@pytest.mark.parametrize(
    ("segment", "expected"), [("fridge", "other"), ("mobile", "mobile"), (None, "other")]
)
def test_a_segment_that_was_not_declared_is_other(segment: str | None, expected: str):
    told = [exposure("u", segment=segment)]

    assert list(counted(told)["control", 0].segments) == [expected]


def test_where_only_differing_units_count_the_others_are_still_units():
    counting = make_counting([COUNT], only_differing=True)
    same = [exposure("u"), outcome("u", values={"m": 5})]
    differing = [exposure("v"), event("pair", "v", 0, differs=True), outcome("v", values={"m": 3})]

    cell = counted(same + differing, counting)["control", 0]

    assert (cell.units, cell.differing) == (2, 1)
    assert cell.metrics["m"] == [1, 3 * S, 9 * S2, 0, 0, 0]


LAGGED = Metric(name="m", lag_h=5)


@pytest.mark.parametrize(
    ("metrics", "days", "expected"),
    [
        ([MEAN], 14, {}),
        ([MEAN, LAGGED.model_copy(update={"name": "l"})], 14, {0: 1, 1: 1, 30: 1}),
        ([LAGGED], 90, {0: 2, 24: 1}),
    ],
    ids=["no lag", "by the hour", "by the day"],
)
def test_exposures_are_told_by_the_hour_where_outcomes_lag(
    metrics: list[Metric], days: float, expected: dict[int, int]
):
    midnight = STARTED_MS - STARTED_MS % (24 * HOUR_MS)
    at = [midnight + hours * HOUR_MS + 17 for hours in (0, 1, 30)]
    events = [exposure(f"u{one}", predicted_at_ms=one) for one in at]

    cell = counted(events, make_counting(metrics, duration_days=days))["control", 0]

    assert {hour - midnight // HOUR_MS: n for hour, n in cell.hours.items()} == expected


@pytest.mark.parametrize("field", ["covariate", "segment"])
def test_the_earliest_exposure_says_what_the_unit_brought(field: str):
    brought: dict[str, tuple[Any, Any]] = {"covariate": (1, 2), "segment": ("mobile", "desktop")}
    early, late = brought[field]
    events = [exposure("u", 1, **{field: late}), exposure("u", 0, **{field: early})]

    assert counted(events) == counted([exposure("u", 0, **{field: early}), exposure("u", 1)])
