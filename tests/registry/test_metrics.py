"""Metrics: what a declaration must hold, and which outcomes may be sent for it."""

from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.registry.metrics import (
    BUILT_IN,
    LARGEST_VALUE,
    PAIRED,
    SERVED,
    Metric,
    metrics_by_name,
    outcome_ranges,
)
from chalicelib.registry.model import ModelSettings


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "ratio"},
        {"denominator": "clicks"},
        {"kind": "revenue"},
        {"cap": 5.0},
        {"minimum": 2.0, "maximum": 1.0},
        {"minimum": 1.0, "maximum": 1.0},
        {"maximum": 1e308},
        {"kind": "median"},
        {"better": "more"},
    ],
    ids=str,
)
def test_a_metric_that_makes_no_sense_is_refused(wrong: dict[str, Any]):
    with pytest.raises(ValidationError):
        Metric.model_validate({"name": "m", **wrong})


@pytest.mark.parametrize("name", ["", "Upper", "1st", "a-b", "a" * 65, "é"])
def test_a_name_is_plain(name: str):
    with pytest.raises(ValidationError):
        Metric.model_validate({"name": name})


@pytest.mark.parametrize(
    ("kind", "counts"),
    [("mean", False), ("binary", False), ("count", True), ("revenue", True), ("ratio", False)],
)
def test_a_unit_without_an_outcome_counts_as_zero_where_things_are_summed(kind: str, counts: bool):
    needs: dict[str, dict[str, Any]] = {"revenue": {"cap": 10}, "ratio": {"denominator": "d"}}
    metric = Metric.model_validate({"name": "m", "kind": kind, **needs.get(kind, {})})

    assert metric.counts_absent is counts


def test_what_is_said_about_absent_outcomes_wins():
    assert Metric(name="m", kind="binary", absent="zero").counts_absent
    assert not Metric(name="m", kind="count", absent="skip").counts_absent


def test_what_is_built_in_is_not_declared_anew():
    mine = Metric(name="quality_score", minimum=0, maximum=100)

    assert metrics_by_name([mine])["quality_score"] == BUILT_IN["quality_score"]
    with pytest.raises(ValidationError):
        ModelSettings(metrics=[mine])


def test_two_metrics_of_one_name_are_refused():
    with pytest.raises(ValidationError):
        ModelSettings(metrics=[Metric(name="m"), Metric(name="m", better="lower")])


def test_outcomes_are_taken_in_their_range():
    ranges = outcome_ranges(
        [
            Metric(name="clicked", kind="binary"),
            Metric(name="spent", kind="ratio", numerator="euros", denominator="orders"),
            *BUILT_IN.values(),
        ]
    )

    assert ranges == {
        "clicked": (0.0, 1.0),
        "euros": (-LARGEST_VALUE, LARGEST_VALUE),
        "orders": (0.0, LARGEST_VALUE),
        "quality_score": (1.0, 5.0),
        "is_correct": (0.0, 1.0),
    }
    assert not ranges.keys() & SERVED


@pytest.mark.parametrize("metric", [*BUILT_IN.values(), *PAIRED], ids=lambda metric: metric.name)
def test_what_is_built_in_would_pass_as_a_declaration(metric: Metric):
    assert Metric.model_validate(metric.model_dump()) == metric
