"""The rule by built analyses: what is broken or harmful, several challengers, and what
must decide nothing. When it looks, and how it ends, is in test_decisions_looks."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.experiments import lifecycle
from chalicelib.experiments.deciding.rule import decide, harm_threshold
from chalicelib.experiments.model import CONTROL
from tests.builders import analyses
from tests.builders.analyses import (
    after,
    analysis,
    bound_at,
    comparison,
    guardrail,
    running,
    said,
    standing,
    verdict,
)

HARM = 10.0
"""A log e-value above every threshold here."""
HORIZON = [0.2, 0.4, 0.6, 0.8]
"""Looks taken before the one at the horizon."""


# What is broken, and what does harm


def test_it_stops_when_the_champion_is_another_one():
    experiment = running()
    seen = analysis(experiment, share=0.5, z=9.0)

    found = decide(experiment, seen, standing(experiment, control_is_champion=False))

    assert said(found) == ("stop", ["champion-changed"])


@pytest.mark.parametrize("lost", ["control", "treatment"])
def test_it_stops_when_an_arm_is_not_live(lost: str):
    experiment = running()
    live = [arm for arm in experiment.versions if arm != lost]

    found = decide(experiment, analysis(experiment), standing(experiment, live_arms=live))

    assert said(found) == ("stop", [f"arm-not-live:{lost}"])


def test_an_arm_without_units_need_not_be_live():
    experiment = running(2)
    experiment = lifecycle.reshare(
        experiment, lifecycle.without(experiment, "second"), now=analyses.STARTED
    )

    found = decide(
        experiment, analysis(experiment), standing(experiment, live_arms=[CONTROL, "treatment"])
    )

    assert said(found) == ("continue", ["before-next-look"])


@pytest.mark.parametrize("held", ["none", "ramping", "sample-ratio"])
def test_harm_is_rolled_back_at_any_time(held: str):
    experiment = running(ramp=[0.1, 0.5] if held == "ramping" else [])
    ratio = {"evidence": 20.0, "alarms": held == "sample-ratio", "p_value": 0.0}

    found = verdict(experiment, share=0.01, primary={"harm_evidence": HARM}, sample_ratio=ratio)

    assert said(found) == ("roll_back", ["harm:score"])
    assert found.arm == "treatment"


def test_harm_by_a_guardrail_is_named():
    found = verdict(running(), share=0.2, z=9.0, others=[guardrail(harm_evidence=HARM)])

    assert said(found) == ("roll_back", ["harm:error_rate"])


def test_a_secondary_metric_does_no_harm():
    other = comparison(metric="clicks", role="secondary", harm_evidence=HARM)

    assert verdict(running(), others=[other]).action == "continue"


@pytest.mark.parametrize(("challengers", "tests"), [(1, 2), (2, 4), (3, 6)])
def test_alpha_is_shared_by_all_that_can_show_harm(challengers: int, tests: int):
    experiment = running(challengers)

    assert harm_threshold(experiment) == pytest.approx(math.log(tests / 0.05))


@pytest.mark.parametrize(("above", "action"), [(0.0, "roll_back"), (-1e-9, "continue")])
def test_harm_is_shown_from_the_threshold_on(above: float, action: str):
    experiment = running()
    evidence = harm_threshold(experiment) + above

    assert verdict(experiment, primary={"harm_evidence": evidence}).action == action


def test_the_most_harmful_of_several_is_rolled_back_first():
    experiment = running(3)
    others = [
        guardrail("treatment", harm_evidence=HARM),
        guardrail("third", harm_evidence=HARM + 1.0),
    ]

    assert verdict(experiment, others=others).arm == "third"


def test_an_arm_that_was_rolled_back_does_no_more_harm():
    experiment = running(2)
    left = lifecycle.reshare(
        experiment, lifecycle.without(experiment, "second"), now=analyses.STARTED
    )

    found = verdict(left, share=0.1, others=[guardrail("second", harm_evidence=HARM)])

    assert said(found) == ("continue", ["before-next-look"])


# Several challengers


def test_the_best_of_several_is_promoted_by_its_share_of_alpha():
    z = {"treatment": 2.5, "second": 4.0, "third": 9.0}

    found = verdict(running(3), share=0.6, z=z)

    assert found.arm == "third"
    assert found.boundary == bound_at(0.6, alpha=0.025 / 3.0)


def test_one_that_has_lost_still_costs_its_share_of_alpha():
    experiment = running(2)
    left = lifecycle.reshare(
        experiment, lifecycle.without(experiment, "second"), now=analyses.STARTED
    )

    found = verdict(left, share=0.6, z=0.0)

    assert found.boundary == bound_at(0.6, alpha=0.0125)


def test_one_that_cannot_be_compared_keeps_the_others_from_nothing():
    found = verdict(running(2), share=0.6, z={"treatment": 9.0, "second": None})

    assert (found.action, found.arm) == ("promote", "treatment")


def test_the_worst_of_several_is_rolled_back_at_a_look():
    found = verdict(running(2), share=0.6, z={"treatment": 1.0, "second": -9.0})

    assert (found.action, found.arm) == ("roll_back", "second")
    assert found.look is not None


def test_a_better_one_within_its_guardrails_is_promoted_before_the_best():
    others = [
        guardrail("treatment", margin=0.01, is_non_inferior=True),
        guardrail("second", margin=0.01, is_non_inferior=False),
    ]

    found = verdict(running(2), share=0.6, z={"treatment": 8.0, "second": 9.0}, others=others)

    assert (found.action, found.arm, found.z) == ("promote", "treatment", 8.0)


@pytest.mark.parametrize(
    ("z", "outcome"),
    [(0.0, ("stop", ["no-difference-shown"])), (2.2, ("extend", ["promising"]))],
)
def test_it_ends_though_the_last_look_took_only_one_arm_out(
    z: float, outcome: tuple[str, list[str]]
):
    experiment = running(2, taken=HORIZON)
    found = verdict(experiment, share=1.0, z={"treatment": z, "second": -9.0})
    left = lifecycle.reshare(
        after(experiment, found), lifecycle.without(experiment, "second"), now=analyses.STARTED
    )

    later = verdict(left, share=1.0, z=z)

    assert said(later) == outcome
    assert later.look is None


# Symmetries

_Z = st.dictionaries(
    st.sampled_from(["treatment", "second", "third"]),
    st.floats(-6, 6, allow_nan=False),
    min_size=3,
)
_SHARES = st.floats(0.0, 1.2)


@given(_Z, _SHARES, st.permutations([0, 1, 2]))
def test_the_order_of_comparisons_and_arms_decides_nothing(
    z: dict[str, float], share: float, order: list[int]
):
    experiment = running(3)
    seen = analysis(experiment, share=share, z=z)
    mixed = seen.model_copy(
        update={
            "comparisons": [seen.comparisons[index] for index in order],
            "arms": seen.arms[::-1],
        }
    )

    found, again = (decide(experiment, one, standing(experiment)) for one in (seen, mixed))

    assert again == found


@given(_Z, _SHARES, st.permutations(["treatment", "second", "third"]))
def test_names_decide_nothing(z: dict[str, float], share: float, names: list[str]):
    experiment = running(3)
    renamed = dict(zip(["treatment", "second", "third"], names, strict=True))

    found = verdict(experiment, share=share, z=z)
    again = verdict(experiment, share=share, z={renamed[arm]: value for arm, value in z.items()})

    assert again.action == found.action
    assert again.z == found.z


@given(_Z, _SHARES)
def test_any_verdict_is_carried_out_once_at_one_moment(z: dict[str, float], share: float):
    experiment = running(3)
    found = verdict(experiment, share=share, z=z)

    again = verdict(after(experiment, found), share=share, z=z) if found.look else found

    assert again.look is None
