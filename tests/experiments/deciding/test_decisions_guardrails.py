"""The rule by built analyses: what guardrails keep a better challenger from."""

from typing import Any

import pytest

from tests.builders.analyses import (
    guardrail,
    running,
    said,
    verdict,
)

HORIZON = [0.2, 0.4, 0.6, 0.8]
"""Looks taken before the one at the horizon."""


@pytest.mark.parametrize(
    ("fields", "is_promoted"),
    [
        ({"margin": 0.0, "is_non_inferior": False}, True),
        ({"margin": 0.01, "is_non_inferior": True}, True),
        ({"margin": 0.01, "is_non_inferior": False}, False),
        ({"margin": 0.01, "inconclusive": "too-few-units"}, False),
    ],
)
def test_a_guardrail_with_a_margin_must_be_kept_to_be_promoted(
    fields: dict[str, Any], is_promoted: bool
):
    found = verdict(running(), share=0.6, z=9.0, others=[guardrail(**fields)])

    expected = (
        ("promote", ["better"]) if is_promoted else ("continue", ["guardrail-open:error_rate"])
    )
    assert said(found) == expected


@pytest.mark.parametrize(
    ("fields", "is_promoted"),
    [
        ({"units": 300, "mean": 0.0, "control_mean": 0.0}, True),
        ({"units": 299, "mean": 0.0, "control_mean": 0.0}, False),
        ({"units": 300, "mean": 1.0, "control_mean": 0.0}, False),
        ({"units": 300, "mean": 0.0, "control_mean": 1.0}, True),
    ],
)
def test_where_nothing_varies_three_hundred_without_an_error_keep_a_percent(
    fields: dict[str, Any], is_promoted: bool
):
    nothing = {"margin": 0.01, "inconclusive": "no-variance", "z": None, "control_units": 400}

    found = verdict(running(), share=0.6, z=9.0, others=[guardrail(**nothing, **fields)])

    assert (found.action == "promote") == is_promoted


def test_a_share_of_nothing_is_never_shown_to_be_kept():
    experiment = running(guardrails=[{"metric": "error_rate", "margin": 0.1, "is_relative": True}])
    nothing = {"margin": 0.1, "inconclusive": "no-variance", "mean": 0.0, "control_mean": 0.0}

    found = verdict(
        experiment,
        share=0.6,
        z=9.0,
        others=[guardrail(**nothing, units=9_000, control_units=9_000)],
    )

    assert said(found) == ("continue", ["guardrail-open:error_rate"])


@pytest.mark.parametrize(
    ("is_extended", "outcome"),
    [
        (False, ("extend", ["promising", "guardrail-open:error_rate"])),
        (True, ("stop", ["guardrail-open:error_rate"])),
    ],
)
def test_an_open_guardrail_is_a_reason_to_extend_once(
    is_extended: bool, outcome: tuple[str, list[str]]
):
    taken = [*HORIZON, 1.0] if is_extended else HORIZON
    experiment = running(taken=taken, is_extended=is_extended)
    others = [guardrail(margin=0.01, is_non_inferior=False)]

    found = verdict(experiment, share=1.5 if is_extended else 1.0, z=9.0, others=others)

    assert said(found) == outcome
