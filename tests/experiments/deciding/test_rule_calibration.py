"""Calibration of the whole rule: how often it is wrong, and how often it finds what it promises.

Experiments run from the first unit to the last word, through `analyse` and `decide` as the schedule
calls them: many times between two planned looks, extensions included. All is seeded. A rate is held
to what is promised plus three standard errors of the simulation.
"""

from functools import cache
from statistics import median

import pytest

from chalicelib.experiments.planning import sizing
from tests.experiments.simulated import (
    METRICS,
    Design,
    Ending,
    define,
    endings,
    error_of,
)

TIMES = 160
ALPHA = 0.05
HARM = ("harm:score", "harm:guarded")
FUTILITY_COST = 0.008
"""Of 400,000 Brownian paths at the design effect, with five looks at their exact bounds: the share
that would have crossed at a later look, had it not been stopped below a predictive power of .05."""
EXTENDED_POWER = 0.833
"""Of as many paths: those that cross at a look or at the extension's end, a fifth of alpha kept for
it, of a design with a power of .8."""

NO_DIFFERENCE = {
    "a guardrail": Design(
        "mean", minimal_effect=0.05, definition={"guardrails": [{"metric": "guarded"}]}
    ),
    "a covariate": Design("adjusted", minimal_effect=0.03),
    "a rate, nine to one": Design(
        "binary",
        minimal_effect=0.3,
        definition={"challengers": [{"name": "treatment", "version": "1.1.0", "share": 0.1}]},
    ),
    "a ratio": Design("ratio", minimal_effect=0.2),
    "a skewed mean": Design("skewed"),
    "looked at ten times as often as planned": Design("mean", minimal_effect=0.05, per_look=10),
    "other shares by hand": Design("mean", minimal_effect=0.05, reshared=(0.5, 0.05)),
    "three challengers": Design("mean", effects=(0.0, 0.0, 0.0), minimal_effect=0.05),
}
"""Under no difference; four evaluations to a planned look, if nothing else is said."""
each_design = pytest.mark.parametrize("name", sorted(NO_DIFFERENCE))


@cache
def without_a_difference(name: str) -> list[Ending]:
    return found_by(NO_DIFFERENCE[name], times=TIMES, seed=20_261_121)


def found_by(design: Design, *, times: int, seed: int) -> list[Ending]:
    """With as many units as the rule itself would plan."""
    measured = METRICS[design.kind]
    planned = sizing.planned_units(define(design), mean=measured.mean, variance=measured.variance)
    assert planned is not None
    return endings(design, planned_units=planned, times=times, seed=seed)


def share(found: list[Ending], **is_so: str) -> float:
    ((field, value),) = is_so.items()
    return sum(getattr(one, field) == value for one in found) / len(found)


def rolled_back(found: list[Ending], *reasons: str) -> float:
    """Experiments in which any challenger was, for any of the reasons."""
    return sum(bool(one.rolled_back) and bool(one.told & set(reasons)) for one in found) / len(
        found
    )


def everything() -> list[Ending]:
    return [one for name in sorted(NO_DIFFERENCE) for one in without_a_difference(name)]


@each_design
def test_a_challenger_that_is_no_better_is_promoted_in_half_of_alpha(name: str):
    found = without_a_difference(name)

    assert share(found, action="promote") <= ALPHA / 2 + error_of(ALPHA / 2, TIMES)


@each_design
def test_a_challenger_that_is_no_worse_is_rolled_back_in_alpha(name: str):
    found = without_a_difference(name)

    # By the bounds, alpha for harm and half of it at the looks; futility comes before most.
    assert rolled_back(found, *HARM, "worse:score") <= ALPHA + error_of(ALPHA, TIMES)


def test_all_designs_together_are_promoted_in_half_of_alpha():
    found = everything()

    # More than nothing: these experiments can end in a promotion.
    assert 0.005 < share(found, action="promote") <= ALPHA / 2 + error_of(ALPHA / 2, len(found))


def test_harm_is_seen_in_less_than_alpha_of_all_designs_together():
    found = everything()

    harm, worse = rolled_back(found, *HARM), rolled_back(found, "worse:score")

    assert harm <= ALPHA + error_of(ALPHA, len(found))
    assert worse <= ALPHA / 2 + error_of(ALPHA / 2, len(found))


def test_the_sample_ratio_holds_one_in_a_thousand():
    found = everything()
    alarmed = sum("sample-ratio" in one.told for one in found) / len(found)

    assert alarmed <= 0.001 + error_of(0.001, len(found))


def test_most_experiments_without_a_difference_end_before_the_horizon():
    found = everything()

    assert median(one.share for one in found) < 0.7


@pytest.mark.parametrize(
    ("may_extend", "power"), [(False, 0.8 - FUTILITY_COST), (True, EXTENDED_POWER)]
)
def test_the_planned_effect_is_found_with_the_promised_power(may_extend: bool, power: float):
    design = Design(
        "mean",
        effects=(0.05,),
        minimal_effect=0.05,
        definition={"may_extend": may_extend},
        per_look=2,
    )
    times = 250

    found = found_by(design, times=times, seed=7)

    assert abs(share(found, action="promote") - power) <= error_of(power, times)
    assert any(one.is_extended for one in found) == may_extend


def test_one_that_is_twice_as_bad_as_matters_is_rolled_back_before_half():
    times = 120

    found = found_by(Design("mean", effects=(-0.1,), minimal_effect=0.05), times=times, seed=11)

    bad = [one for one in found if one.action == "roll_back"]
    assert len(bad) / times > 0.9
    assert median(one.share for one in bad) < 0.5


def test_one_harmful_arm_of_three_goes_and_the_good_one_is_promoted():
    design = Design("mean", effects=(0.1, -0.1, 0.0), minimal_effect=0.05)

    found = found_by(design, times=80, seed=13)

    assert share(found, arm="treatment") > 0.9
    assert sum("second" in one.rolled_back for one in found) > 5
    assert not any("treatment" in one.rolled_back for one in found)
