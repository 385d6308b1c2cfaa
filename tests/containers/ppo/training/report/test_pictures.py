"""Tests of the pictures: that they draw what the report says, and the same bytes each time."""

from typing import Any
from xml.etree import ElementTree

import pytest
from training.report import pictures

CURVE = [
    {"steps": 40_960, "mean_return": None},
    {"steps": 81_920, "mean_return": -1.5},
    {"steps": 122_880, "mean_return": 0.4},
]


def make_report(*, is_known: bool = True) -> dict[str, Any]:
    values = {"random": -4.1, "logged": -1.4, "runbook": 0.55, "policy": 0.62, "optimal": 0.81}
    shares = {
        "coverage": 0.9,
        "by_action": {
            "DIAGNOSE": {"coverage": 0.91, "error": 0.01},
            "ESCALATE": {"coverage": 0.88, "error": 0.02},
        },
    }
    policies = {name: {"value": value} for name, value in values.items()} if is_known else None
    return {
        "intervals": {
            "nominal": 0.9,
            "in_distribution": shares,
            "under_shift": shares if is_known else None,
        },
        "reward": {
            "deciles": [{"predicted": i - 5.0, "realised": i - 4.8, "error": 0.1} for i in range(9)]
        },
        "policy": {
            "exact": {"policies": policies},
            "off_policy": {"logged": {"value": -1.23}},
        },
    }


def ids_of(svg: str) -> set[str]:
    return {node.get("id", "") for node in ElementTree.fromstring(svg).iter()}


def test_the_learning_curve_stands_beside_all_that_is_known():
    svg = pictures.draw_learning(CURVE, make_report())

    assert ids_of(svg) >= {"curve", "optimal", "policy", "runbook", "logged", "random"}
    assert "runbook +0.55" in svg


def test_a_log_alone_gives_its_own_return_as_the_reference():
    svg = pictures.draw_learning(CURVE, make_report(is_known=False))

    assert "logged -1.23" in svg
    assert "runbook" not in ids_of(svg)


def test_a_curve_without_an_episode_that_ended_is_drawn_empty():
    svg = pictures.draw_learning(CURVE[:1], make_report())

    assert "curve" not in ids_of(svg)


@pytest.mark.parametrize("is_known", [False, True])
def test_calibration_names_every_action_and_its_coverage_overall(is_known: bool):
    svg = pictures.draw_calibration(make_report(is_known=is_known))

    assert "DIAGNOSE" in svg
    assert "Coverage, 90.0 % overall" in svg
    assert ("under policy shift" in svg) == is_known


def test_the_same_report_gives_the_same_bytes():
    report = make_report()

    assert pictures.draw_calibration(report) == pictures.draw_calibration(report)
    assert pictures.draw_learning(CURVE, report) == pictures.draw_learning(CURVE, report)
