"""What holds a look back, though it may be due, and how far an experiment has come."""

from typing import Any

import pytest

from chalicelib.experiments import lifecycle
from chalicelib.experiments.analysis.report import Analysis
from chalicelib.experiments.deciding.holds import holds, planned_fractions, progress_of
from chalicelib.experiments.model import CONTROL, Experiment
from tests.builders.analyses import STARTED, analysis, days, running, with_arm


def told(experiment: Experiment, arm: str = "treatment", **given: Any) -> list[str]:
    """With something said of one arm."""
    return holds(experiment, with_arm(analysis(experiment, share=0.5), arm, **given))


def arrived(control: float, treatment: float, *, units: int = 1_000, **given: Any) -> list[str]:
    """With shares of units that have an outcome."""
    experiment = running(**given)
    seen = with_arm(analysis(experiment, share=0.5), CONTROL, outcome_share=control, units=units)
    return holds(experiment, with_arm(seen, "treatment", outcome_share=treatment, units=units))


def test_nothing_holds_a_plain_experiment_back():
    assert holds(running(), analysis(running(), share=0.5)) == []


def test_arms_that_do_not_fit_their_shares_are_not_compared():
    seen = analysis(
        running(), share=0.5, sample_ratio={"evidence": None, "alarms": True, "p_value": 0.0}
    )

    assert holds(running(), seen) == ["sample-ratio"]


def test_a_ramp_is_waited_for():
    ramping = running(ramp=[0.1, 0.5])

    assert told(ramping) == ["ramping"]
    assert told(ramping.model_copy(update={"ramp_step": 1})) == []


@pytest.mark.parametrize(("day", "held"), [(6.9, ["before-one-week"]), (7.0, [])])
def test_a_whole_week_is_waited_for(day: float, held: list[str]):
    experiment = running(whole_weeks=True)

    assert holds(experiment, analysis(experiment, share=0.5, day=day)) == held


def test_a_pause_is_no_part_of_a_week():
    paused = lifecycle.pause(running(whole_weeks=True), now=STARTED + days(1))
    resumed = lifecycle.resume(paused, now=STARTED + days(7))

    assert holds(resumed, analysis(resumed, share=0.5, day=8)) == ["before-one-week"]


@pytest.mark.parametrize(("share", "held"), [(0.49, ["too-few-outcomes"]), (0.5, [])])
@pytest.mark.parametrize("arm", ["control", "treatment"])
def test_enough_units_of_each_arm_need_an_outcome(arm: str, share: float, held: list[str]):
    experiment = running(least_outcome_share=0.5)
    few = {"outcome_share": share, "units": 100}
    other = CONTROL if arm == "treatment" else "treatment"
    seen = with_arm(analysis(experiment, share=0.5), other, outcome_share=0.55, units=100)

    assert holds(experiment, with_arm(seen, arm, **few)) == held


@pytest.mark.parametrize(("share", "held"), [(0.49, ["outcomes-not-due"]), (0.5, [])])
@pytest.mark.parametrize("arm", ["control", "treatment"])
def test_outcomes_that_are_not_due_yet_are_waited_for(arm: str, share: float, held: list[str]):
    assert told(running(), arm, matured_share=share) == held


@pytest.mark.parametrize(
    ("treatment", "held"),
    [
        # z of two shares of 1,000 units each, one of them .5, pooled: by hand 3.27 and 3.32.
        (0.5730, []),
        (0.5742, ["outcomes-differ-by-arm"]),
        (0.4258, ["outcomes-differ-by-arm"]),
    ],
)
def test_arms_whose_outcomes_arrive_otherwise_are_not_compared(treatment: float, held: list[str]):
    assert arrived(0.5, treatment) == held


def test_where_absence_counts_as_zero_its_share_is_the_effect():
    counted = [{"name": "score", "kind": "count"}]

    assert arrived(0.5, 0.9, metrics=counted) == []


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_arms_in_which_all_or_none_arrived_are_alike(share: float):
    assert arrived(share, share) == []


def test_an_empty_arm_has_no_share_to_compare():
    assert told(running(), units=0, outcome_share=0.0) == []


@pytest.mark.parametrize(("differing", "held"), [(20, []), (1_000, ["outcomes-differ-by-arm"])])
def test_in_disagreement_only_units_that_differ_are_asked(differing: int, held: list[str]):
    experiment = running(mode="disagreement")
    seen = with_arm(
        analysis(experiment, share=0.5), CONTROL, outcome_share=0.5, differing=differing
    )

    found = holds(experiment, with_arm(seen, "treatment", outcome_share=0.7, differing=differing))

    assert found == held


def test_an_arm_that_was_taken_out_holds_nobody():
    experiment = running(2)
    left = lifecycle.reshare(experiment, lifecycle.without(experiment, "second"), now=STARTED)

    assert told(left, "second", outcome_share=0.1, matured_share=0.0) == []


def test_an_analysis_without_an_answer_says_why():
    experiment = running()
    seen = analysis(experiment, share=0.5, z=None, primary={"inconclusive": "too-few-units"})

    assert holds(experiment, seen) == ["inconclusive:too-few-units"]


def test_an_analysis_without_a_comparison_has_no_units():
    experiment = running()

    assert holds(experiment, analysis(experiment, comparisons=[])) == ["inconclusive:no-units"]


def test_one_answer_of_several_is_an_answer():
    experiment = running(2)

    assert holds(experiment, analysis(experiment, z={"treatment": 1.0, "second": None})) == []


def test_all_reasons_are_told():
    experiment = running(whole_weeks=True, ramp=[0.1, 0.5])
    ratio = {"evidence": None, "alarms": True, "p_value": 0.0}
    seen = with_arm(
        analysis(experiment, z=None, sample_ratio=ratio), "treatment", matured_share=0.0
    )

    assert holds(experiment, seen) == [
        "sample-ratio",
        "ramping",
        "before-one-week",
        "outcomes-not-due",
        "inconclusive:no-units",
    ]


# How far it has come


def progress(experiment: Experiment, seen: Analysis) -> tuple[float, float, float]:
    found = progress_of(experiment, seen)
    assert found is not None
    return found.spending, found.information, found.lateness


@pytest.mark.parametrize(
    ("share", "day", "expected"),
    [(0.3, 1.0, (0.3, 0.3, 0.1)), (0.3, 5.0, (0.5, 0.3, 0.5)), (1.4, 1.0, (1.4, 1.4, 0.1))],
)
def test_progress_is_by_units_or_by_time(
    share: float, day: float, expected: tuple[float, float, float]
):
    assert progress(running(), analysis(running(), share=share, day=day)) == pytest.approx(expected)


def test_a_ramp_is_counted_by_the_units_that_it_let_in():
    experiment = running(ramp=[0.01, 0.5])

    assert progress(experiment, analysis(experiment, share=0.02))[0] == pytest.approx(0.02)


def test_a_control_is_counted_once_beside_several():
    experiment = running(3)

    assert progress(experiment, analysis(experiment, share=0.4))[1] == pytest.approx(0.4)


def test_a_draft_has_not_begun():
    experiment = running().model_copy(update={"ends_at": None})

    assert progress_of(experiment, analysis(experiment)) is None


@pytest.mark.parametrize(
    ("allocation", "looks"), [("fixed", [0.25, 0.5, 0.75, 1]), ("bandit", [1])]
)
def test_looks_are_evenly_spaced_and_a_bandit_has_one(allocation: str, looks: list[float]):
    assert planned_fractions(running(2, looks=4, allocation=allocation)) == looks
