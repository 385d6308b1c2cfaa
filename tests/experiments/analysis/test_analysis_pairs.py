"""Reports of copies and of differing answers, and what holds for any sums at all."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.experiments.analysis.analysis import analyse
from chalicelib.experiments.analysis.report import Analysis
from chalicelib.experiments.counting.sums import Cell, Sums
from tests.builders.sums import STARTED, cell_of, make_experiment, reshared, six_of


def test_copies_are_told_in_pairs_without_a_comparison_of_arms():
    rng = np.random.default_rng(6)
    pairs = rng.integers(1, 6, 400)
    slower = rng.normal(12, 4, 400) * pairs
    sums = {
        ("control", 1): cell_of(
            agreement=six_of(rng.binomial(pairs, 0.9), pairs),
            latency_difference_ms=six_of(slower, pairs),
            error_difference=six_of(np.zeros(400), pairs),
        )
    }

    found = analyse(make_experiment(mode="shadow"), sums, now=STARTED)

    agreement, latency, errors = found.paired
    ratio = slower.sum() / pairs.sum()
    # Delta method by numpy on raw values; 1.966 is t at 0.975 with 399 degrees (printed tables).
    half = 1.966 * ((slower - ratio * pairs) / pairs.mean()).std(ddof=1) / 20
    assert found.comparisons == []
    assert not found.sample_ratio.alarms
    assert agreement.mean == pytest.approx(0.9, abs=0.04)
    assert latency.interval is not None
    assert latency.interval.low == pytest.approx(ratio - half, rel=1e-3)
    assert latency.sequence is not None
    assert (latency.sequence.low or 0) < latency.interval.low
    assert (errors.mean, errors.interval, errors.inconclusive) == (0.0, None, "no-variance")


def test_where_only_differing_units_count_their_number_is_told():
    cell = cell_of(units=1000, score=six_of([1.0, 2.0] * 30))
    cell.differing = 80

    found = analyse(make_experiment(mode="disagreement"), {("control", 1): cell}, now=STARTED)

    assert found.arms[0].differing == 80
    assert found.arms[0].outcome_share == 60 / 80


def test_a_covariate_is_told_by_the_variance_that_it_took():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((2, 2_000))
    y = 0.8 * x + 0.6 * rng.standard_normal((2, 2_000))
    sums = {
        (arm, 1): cell_of(score=six_of(y[i], x[i]))
        for i, arm in enumerate(("control", "treatment"))
    }

    found = analyse(make_experiment(covariate=True), sums, now=STARTED).comparisons[0]

    # rho = 0.8 by construction.
    assert found.variance_reduction == pytest.approx(0.64, abs=0.04)
    # What is decided on profits as well: the z is the difference by the smaller error.
    assert found.z == pytest.approx((found.difference or 0) / (found.standard_error or 1), rel=0.01)


values = st.lists(st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1.0]), max_size=12)
shares = st.sampled_from([0.1, 0.5, 0.9])


def _sums(told: list[list[float]]) -> Sums:
    keys = [(arm, phase) for phase in (1, 2) for arm in ("control", "treatment")]
    return {
        key: cell_of(
            score=six_of(found, [1.0] * len(found)), bought=six_of([v == 1 for v in found])
        )
        for key, found in zip(keys, told, strict=True)
    }


@given(st.lists(values, min_size=4, max_size=4), st.sampled_from(["fixed", "bandit"]))
@settings(max_examples=80, deadline=None)
def test_no_sums_crash_an_analysis_or_leave_json(told: list[list[float]], allocation: str):
    experiment = make_experiment(
        allocation=allocation,
        least_units_per_arm=2,
        guardrails=[{"metric": "bought", "margin": 0.1, "is_relative": True}],
        secondary=["failures"],
    )

    found = analyse(reshared(experiment, 0.3), _sums(told), now=STARTED)

    document = json.loads(json.dumps(found.model_dump(mode="json"), allow_nan=False))
    assert Analysis.model_validate(document) == found


@given(
    st.lists(values, min_size=4, max_size=4),
    st.randoms(use_true_random=False),
    st.sampled_from(["bandit", "fixed"]),
)
@settings(max_examples=40, deadline=None)
def test_the_order_of_cells_changes_nothing(
    told: list[list[float]], dice: random.Random, allocation: str
):
    sums = _sums(told)
    experiment = reshared(
        make_experiment(allocation=allocation, least_units_per_arm=2, secondary=["bought"]), 0.3
    )
    shuffled: list[tuple[tuple[str, int], Cell]] = list(sums.items())
    dice.shuffle(shuffled)

    found = analyse(experiment, dict(shuffled), now=STARTED)

    assert found == analyse(experiment, sums, now=STARTED)
