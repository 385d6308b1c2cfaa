"""The report of hand-made sums: what is told, what is not, and why not."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from chalicelib.experiments.analysis.analysis import analyse
from chalicelib.experiments.analysis.report import Analysis, Comparison
from chalicelib.experiments.counting.sums import Cell, Sums
from chalicelib.experiments.model import Experiment
from tests.builders.sums import STARTED, cell_of, make_experiment, ones, six_of

RNG = np.random.default_rng(5)
SCORES_C, SCORES_T = RNG.normal(4, 1, 300), RNG.normal(4.2, 1.5, 280)
SCORES: Sums = {
    ("control", 1): cell_of(score=six_of(SCORES_C)),
    ("treatment", 1): cell_of(score=six_of(SCORES_T)),
}


def report(experiment: Experiment, sums: Sums) -> Analysis:
    return analyse(experiment, sums, now=STARTED)


def primary(experiment: Experiment, sums: Sums) -> Comparison:
    return report(experiment, sums).comparisons[0]


def rates(control: tuple[int, int], treatment: tuple[int, int]) -> Comparison:
    """(units, successes) of each arm, by a binary primary metric."""
    sums = {
        ("control", 1): cell_of(bought=ones(*control)),
        ("treatment", 1): cell_of(bought=ones(*treatment)),
    }
    return primary(make_experiment(primary="bought"), sums)


def test_a_mean_is_told_as_scipy_tells_it():
    found = primary(make_experiment(), SCORES)

    welch = scipy_stats.ttest_ind(SCORES_T, SCORES_C, equal_var=False)
    expected = welch.confidence_interval(0.95)
    assert found.p_value == pytest.approx(welch.pvalue, rel=1e-6)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(expected.low, rel=1e-6)
    assert found.interval.high == pytest.approx(expected.high, rel=1e-6)


def test_the_always_valid_p_is_below_alpha_just_when_the_sequence_leaves_zero_out():
    grown = [
        {
            arm: cell_of(score=[value * times for value in cell.metrics["score"]])
            for arm, cell in SCORES.items()
        }
        for times in range(1, 40)
    ]

    found = [primary(make_experiment(), sums) for sums in grown]

    shown = [one.always_valid_p is not None and one.always_valid_p <= 0.05 for one in found]
    outside = [
        one.sequence is not None and one.sequence.low is not None and one.sequence.low >= 0
        for one in found
    ]
    assert shown == outside
    assert True in shown
    assert False in shown


def test_less_of_a_cost_is_better():
    sums = {
        ("control", 1): cell_of(cost=six_of(SCORES_T)),
        ("treatment", 1): cell_of(cost=six_of(SCORES_C)),
    }

    found = primary(make_experiment(primary="cost"), sums)

    # The mirror of the scores: the same evidence and chance for a difference of the other sign.
    mirror = primary(make_experiment(), SCORES)
    assert found.difference == pytest.approx(-(mirror.difference or 0))
    assert found.z == pytest.approx(mirror.z)
    assert found.harm_evidence == pytest.approx(mirror.harm_evidence)
    assert found.chance_to_beat == pytest.approx(mirror.chance_to_beat)
    assert found.expected_loss == pytest.approx(mirror.expected_loss)


def test_no_conversion_on_one_side_is_no_lack_of_evidence():
    found = rates((1000, 0), (1000, 30))

    exact = scipy_stats.fisher_exact([[0, 1000], [30, 970]]).pvalue
    assert found.p_value == pytest.approx(exact, rel=1e-6)
    assert found.always_valid_p is not None
    assert found.always_valid_p < 0.001


def test_no_conversion_at_all_is_no_answer():
    found = rates((1000, 0), (1000, 0))

    assert found.inconclusive == "no-variance"
    assert found.p_value is None
    assert found.always_valid_p is None
    assert found.harm_evidence is None
    assert found.chance_to_beat is None


def test_everybody_against_nobody_is_evidence_without_variance():
    found = rates((500, 500), (500, 0))

    assert found.p_value is not None
    assert found.p_value < 1e-200
    # By the variance between the arms alone: the root of n - 1.
    assert found.z == pytest.approx(-math.sqrt(999))
    assert found.harm_evidence is not None
    assert found.harm_evidence > 100


def test_a_challenger_that_always_fails_does_harm_though_neither_arm_varies():
    metrics: dict[str, list[int]] = {"failures": six_of([0] * 200, [1] * 200)}
    broken = {"failures": six_of([1] * 200, [1] * 200)}
    guardrails = [{"metric": "failures", "margin": 0.01}]
    sums = {
        ("control", 1): cell_of(score=six_of(SCORES_C[:200]), **metrics),
        ("treatment", 1): cell_of(score=six_of(SCORES_T[:200]), **broken),
    }

    found = report(make_experiment(guardrails=guardrails), sums).comparisons[1]

    assert found.harm_evidence is not None
    assert found.harm_evidence > 20
    assert found.interval is None
    assert found.inconclusive == "no-variance"
    assert found.is_non_inferior is None


@pytest.mark.parametrize(
    ("rate", "is_shown"),
    [((100_000, 50_000), True), ((300, 150), False), ((100_000, 45_000), False)],
)
def test_a_margin_is_kept_only_when_that_is_shown(rate: tuple[int, int], is_shown: bool):
    guardrails = [{"metric": "bought", "margin": 0.03}]
    sums = {
        ("control", 1): cell_of(score=six_of(SCORES_C), bought=ones(100_000, 50_000)),
        ("treatment", 1): cell_of(score=six_of(SCORES_T), bought=ones(*rate)),
    }

    found = report(make_experiment(guardrails=guardrails), sums).comparisons[1]

    assert found.is_non_inferior is is_shown


def test_worse_by_less_than_the_margin_is_no_harm():
    # 1 point worse, 3 allowed, at a hundred thousand units: z of the difference is about -4.5.
    guardrails = [{"metric": "bought", "margin": 0.03}]
    sums = {
        ("control", 1): cell_of(score=six_of(SCORES_C), bought=ones(100_000, 50_000)),
        ("treatment", 1): cell_of(score=six_of(SCORES_T), bought=ones(100_000, 49_000)),
    }

    found = report(make_experiment(guardrails=guardrails), sums).comparisons[1]

    assert found.z is not None
    assert found.z < -4
    assert found.harm_evidence is not None
    assert found.harm_evidence < 0


def test_too_few_units_show_their_means_and_nothing_else():
    sums = {
        ("control", 1): cell_of(score=six_of(SCORES_C[:99])),
        ("treatment", 1): cell_of(score=six_of(SCORES_T)),
    }

    found = primary(make_experiment(), sums)

    assert found.mean == pytest.approx(SCORES_T.mean())
    assert found.inconclusive == "too-few-units"
    assert (found.p_value, found.interval, found.z, found.harm_evidence) == (None,) * 4


@pytest.mark.parametrize(
    ("control", "treatment", "reason"),
    [
        ([], [1.0], "empty-arm"),
        ([1.0], [1.0, 2.0], "too-few-units"),
        ([1.0] * 100, [1.0] * 100, "no-variance"),
    ],
)
def test_degenerate_sums_say_why_there_is_no_answer(
    control: list[float], treatment: list[float], reason: str
):
    sums = {
        ("control", 1): cell_of(score=six_of(control)),
        ("treatment", 1): cell_of(score=six_of(treatment)),
    }

    assert primary(make_experiment(), sums).inconclusive == reason


def test_an_experiment_without_any_unit_has_a_report():
    found = report(make_experiment(segments=["mobile"]), {})

    assert found.units == 0
    assert found.comparisons[0].inconclusive == "empty-arm"
    assert not found.sample_ratio.alarms


@pytest.mark.parametrize("offset", [0.0, 1e11])
def test_a_p_value_near_1e_300_keeps_its_digits(offset: float):
    low, high = [0.0, 1.0] * 300, [1.5, 2.5] * 300
    sums = {
        ("control", 1): cell_of(score=six_of(offset + value for value in low)),
        ("treatment", 1): cell_of(score=six_of(offset + value for value in high)),
    }

    found = primary(make_experiment(), sums)

    welch = scipy_stats.ttest_ind(high, low, equal_var=False).pvalue
    assert welch < 1e-290
    assert found.p_value == pytest.approx(welch, rel=1e-6, abs=0)


def test_a_p_value_that_no_float_holds_is_not_zero():
    sums = {
        ("control", 1): cell_of(score=six_of([0.0, 1.0] * 300)),
        ("treatment", 1): cell_of(score=six_of([16.0, 17.0] * 300)),
    }

    assert primary(make_experiment(), sums).p_value == math.ulp(0.0)


def test_a_secondary_metric_decides_nothing():
    sums = {
        arm: cell_of(score=cell.metrics["score"], cost=cell.metrics["score"])
        for arm, cell in SCORES.items()
    }

    found = report(make_experiment(secondary=["cost", "score"]), sums).comparisons

    assert [one.metric for one in found] == ["score", "cost"]
    assert found[1].always_valid_p is not None
    assert (found[1].harm_evidence, found[1].adjusted_p) == (None, None)


def test_holms_p_counts_all_challengers_and_guardrails_that_answer():
    challengers = [{"name": name, "version": f"1.{n}.0"} for n, name in enumerate("abc", 1)]
    experiment = make_experiment(challengers=challengers)
    sums = {
        ("control", 1): cell_of(score=six_of(SCORES_C)),
        ("a", 1): cell_of(score=six_of(SCORES_C + 0.5)),
        ("b", 1): cell_of(score=six_of(SCORES_C + 0.4)),
        ("c", 1): cell_of(score=six_of([1.0])),
    }

    a, b, c = report(experiment, sums).comparisons

    # Two answer: the smaller p counts twice, the larger once, and never below the smaller.
    assert a.adjusted_p == pytest.approx(2 * (a.always_valid_p or 0))
    assert b.adjusted_p == max(a.adjusted_p or 0, b.always_valid_p or 0)
    assert c.adjusted_p is None


def test_segments_are_compared_without_decisions():
    sums = {
        key: Cell(cell.units, segments={"mobile": cell.metrics}) for key, cell in SCORES.items()
    }

    (found,) = report(make_experiment(segments=["mobile", "desk"]), sums).segments

    assert found.segment == "mobile"
    assert found.comparisons[0].p_value == primary(make_experiment(), SCORES).p_value
    assert found.comparisons[0].harm_evidence is None
