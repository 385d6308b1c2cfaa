"""The rule by built analyses: looks due, late, missed and repeated, the horizon, and its end."""

import math

import pytest

from chalicelib.experiments import lifecycle
from chalicelib.experiments.model import CONTROL, Look, State
from tests.builders import analyses
from tests.builders.analyses import (
    after,
    bound_at,
    running,
    said,
    verdict,
)

HORIZON = [0.2, 0.4, 0.6, 0.8]
"""Looks taken before the one at the horizon."""


# Looks


def test_nothing_is_decided_before_a_look_is_due():
    found = verdict(running(), share=0.19, z=9.0)

    assert said(found) == ("continue", ["before-next-look"])
    assert found.look is None


@pytest.mark.parametrize(("share", "day"), [(0.2, 0.1), (0.1, 2.0)])
def test_a_look_is_due_by_units_or_by_time(share: float, day: float):
    found = verdict(running(), share=share, day=day)

    assert found.look is not None
    assert found.look.model_dump(include={"number", "spending", "information"}) == {
        "number": 1,
        "spending": 0.2,
        "information": share,
    }


def test_a_challenger_is_promoted_from_the_boundary_on():
    bound = bound_at(0.4, taken=(0.2,))

    found = verdict(running(taken=[0.2]), share=0.4, z=bound)

    assert said(found) == ("promote", ["better"])
    assert (found.arm, found.boundary, found.z) == ("treatment", bound, bound)


def test_a_challenger_just_below_the_boundary_is_not_promoted():
    bound = math.nextafter(bound_at(0.4, taken=(0.2,)), 0.0)

    assert said(verdict(running(taken=[0.2]), share=0.4, z=bound)) == ("continue", ["not-yet"])


def test_a_challenger_at_the_mirrored_boundary_is_rolled_back():
    bound = bound_at(0.4, taken=(0.2,))

    found = verdict(running(taken=[0.2]), share=0.4, z=-bound)

    assert said(found) == ("roll_back", ["worse:score"])
    assert (found.arm, found.z) == ("treatment", -bound)


def test_the_same_moment_is_looked_at_once():
    experiment = running()
    found = verdict(experiment, share=0.2, z=1.0)

    again = verdict(after(experiment, found), share=0.2, z=9.0)

    assert said(again) == ("continue", ["before-next-look"])


def test_a_look_that_nobody_took_is_not_spent():
    late = verdict(running(), share=0.5, z=1.0)

    assert late.boundary == bound_at(0.5)
    assert verdict(running(taken=[0.5]), share=0.6, z=1.0).boundary == bound_at(0.6, taken=(0.5,))


def test_a_look_without_new_information_promotes_nobody():
    experiment = running(taken=[0.2])
    taken = [Look(number=1, at=analyses.STARTED, spending=0.2, information=0.3)]
    experiment = experiment.model_copy(update={"looks": taken})

    found = verdict(experiment, share=0.3, day=4.0, z=9.0)

    assert (found.action, found.boundary) == ("continue", None)
    assert found.look is not None


def test_a_look_held_back_is_due_later():
    ratio = {"evidence": 20.0, "alarms": True, "p_value": 0.0}
    held = verdict(running(), share=0.2, z=9.0, sample_ratio=ratio)

    assert said(held) == ("continue", ["sample-ratio"])
    assert held.look is None
    assert verdict(running(), share=0.21, z=9.0).action == "promote"


def test_a_clock_that_goes_back_takes_no_look():
    assert said(verdict(running(), day=-3.0)) == ("continue", ["before-next-look"])


def test_units_that_are_taken_back_take_no_second_look():
    assert said(verdict(running(taken=[0.2]), share=0.1, z=9.0)) == (
        "continue",
        ["before-next-look"],
    )


def test_a_pause_is_no_time_of_the_experiment():
    paused = lifecycle.pause(running(), now=analyses.STARTED + analyses.days(1))
    resumed = lifecycle.resume(paused, now=analyses.STARTED + analyses.days(31))

    assert verdict(paused, share=0.1, day=30.0).look is None
    assert verdict(resumed, share=0.1, day=31.9).look is None
    assert verdict(resumed, share=0.1, day=32.0).look is not None


# Before there is a plan


def test_nothing_is_decided_without_a_plan():
    found = verdict(running(planned_units=None), share=5.0, day=9.9, z=9.0)

    assert said(found) == ("continue", ["no-plan-yet"])


def test_without_a_plan_the_horizon_is_a_matter_of_time():
    experiment = running(planned_units=None)

    found = verdict(experiment, share=0.5, day=10.0, z=bound_at(1.0))

    assert said(found) == ("promote", ["better"])


def test_without_a_plan_nothing_is_extended():
    found = verdict(running(planned_units=None), share=0.5, day=10.0, z=1.9)

    assert said(found) == ("stop", ["no-difference-shown"])


def test_a_plan_that_comes_late_makes_one_look_of_all_that_passed():
    experiment = running(planned_units=None).model_copy(update={"planned_units": 1_000})

    found = verdict(experiment, share=0.3, day=1.0, z=1.0)

    assert found.look is not None
    assert (found.look.spending, found.look.information) == (1.0, 3.6)
    assert found.boundary == pytest.approx(bound_at(1.0))


# The horizon, and after


@pytest.mark.parametrize(("share", "day"), [(1.0, 5.0), (0.7, 10.0)])
def test_it_ends_at_the_horizon_by_units_or_by_time(share: float, day: float):
    found = verdict(running(taken=HORIZON[:3]), share=share, day=day, z=0.5)

    assert said(found) == ("stop", ["no-difference-shown"])


def test_a_promising_one_is_extended():
    found = verdict(running(taken=HORIZON), share=1.0, z=1.9)

    assert said(found) == ("extend", ["promising"])
    assert (found.predictive_power or 0.0) > 0.5


def test_it_is_not_extended_where_that_is_not_allowed():
    experiment = running(taken=HORIZON, may_extend=False)

    assert said(verdict(experiment, share=1.0, z=1.9)) == ("stop", ["no-difference-shown"])


def test_it_is_not_extended_when_the_extension_would_be_over_too():
    late = verdict(running(), share=0.9, day=15.0, z=1.9)

    assert said(late) == ("stop", ["no-difference-shown"])


def test_an_extended_one_is_looked_at_once_at_its_end():
    experiment = running(taken=[*HORIZON, 1.0], is_extended=True)

    early = verdict(experiment, share=1.4, z=9.0)
    last = verdict(experiment, share=1.5, z=2.3)

    assert said(early) == ("continue", ["before-next-look"])
    assert last.boundary == bound_at(1.5, taken=(*HORIZON, 1.0))
    assert said(last) == ("promote", ["better"])


def test_it_is_extended_once():
    experiment = running(taken=[*HORIZON, 1.0], is_extended=True)

    assert said(verdict(experiment, share=1.5, z=2.0)) == ("stop", ["no-difference-shown"])


@pytest.mark.parametrize(
    ("share", "z", "outcome"),
    [
        (0.4, -1.0, ("continue", ["not-yet"])),
        (0.6, -0.5, ("stop", ["futile"])),
        (0.6, 1.0, ("continue", ["not-yet"])),
    ],
)
def test_the_hopeless_are_stopped_from_half_of_the_horizon_on(
    share: float, z: float, outcome: tuple[str, list[str]]
):
    taken = [at for at in HORIZON if at < share]

    assert said(verdict(running(taken=taken), share=share, z=z)) == outcome


def test_a_best_challenger_at_exactly_zero_is_ranked_by_its_number():
    experiment = running(2, taken=[0.2, 0.4])

    found = verdict(experiment, share=0.6, z={"treatment": 0.0, "second": -1.0})

    assert found.z == 0.0


# Other shares


def test_other_shares_change_what_a_look_is_worth():
    # By hand: after 1,200 units of halves and 1,200 of 9 to 1, n^2 by the effective units is
    # 1,200 / .25 + 1,200 / .09; that of 12,000 units in halves is 48,000.
    experiment = lifecycle.reshare(
        running(), {CONTROL: 0.9, "treatment": 0.1}, now=analyses.STARTED
    )
    grown = 1_200 / 0.25 + 1_200 / 0.09
    per_unit = (2 * math.log(20) + math.log(1 + 2 * math.log(20))) / experiment.tuned_for_units

    found = verdict(
        experiment,
        share=0.2,
        primary={
            "control_units": 1_680,
            "units": 720,
            "information_ratio": 2_400**2 / grown * per_unit,
        },
    )

    assert found.look is not None
    assert found.look.spending == 0.2
    assert found.look.information == pytest.approx(grown / 48_000)


# Giving up, shadows, bandits


@pytest.mark.parametrize(("day", "action"), [(19.9, "continue"), (20.0, "stop")])
def test_what_is_held_back_is_given_up_after_twice_its_time(day: float, action: str):
    experiment = running(taken=[*HORIZON])
    ratio = {"evidence": 20.0, "alarms": True, "p_value": 0.0}

    found = verdict(experiment, share=1.0, day=day, z=9.0, sample_ratio=ratio)

    assert said(found) == (action, ["sample-ratio"])


@pytest.mark.parametrize(
    ("share", "day", "action"),
    [(0.9, 9.0, "continue"), (1.0, 1.0, "stop"), (0.1, 10.0, "stop")],
)
def test_a_shadow_ends_by_itself_and_promotes_nobody(share: float, day: float, action: str):
    experiment = running(mode="shadow")

    found = verdict(experiment, share=share, day=day, comparisons=[])

    assert said(found) == (action, ["shadow"])


def test_a_shadow_without_a_plan_ends_by_time():
    experiment = running(mode="shadow", planned_units=None)

    assert verdict(experiment, share=9.0, day=9.0, comparisons=[]).action == "continue"
    assert verdict(experiment, share=9.0, day=10.0, comparisons=[]).action == "stop"


def test_a_bandit_is_looked_at_once():
    experiment = running(3, allocation="bandit")

    early = verdict(experiment, share=0.99, z=9.0)
    last = verdict(experiment, share=1.0, z=9.0)

    assert said(early) == ("continue", ["before-next-look"])
    assert (last.action, last.boundary) == ("promote", bound_at(1.0, alpha=0.025 / 3.0))


def test_a_paused_one_is_judged_as_it_stood():
    paused = running(state=State.PAUSED)

    assert said(verdict(paused, day=9.0)) == ("continue", ["before-next-look"])
