"""Sizes of experiments: textbook numbers, and the power promised, under the bounds of the rule."""

from math import inf, nan, sqrt
from typing import Any

import numpy as np
import pytest

from chalicelib.experiments.model import Challenger, Definition
from chalicelib.experiments.planning import sizing
from chalicelib.stats import group_sequential
from chalicelib.stats.answers import Inconclusive

ONE_LOOK = {"looks": 1, "may_extend": False}
PATHS = 20_000


def define(*shares: float, **given: Any) -> Definition:
    arms = [
        Challenger(name=f"c{number}", version="1.1.0", share=share)
        for number, share in enumerate(shares or (0.5,))
    ]
    return Definition(name="plan", model="eta", challengers=arms, **given)


def test_one_look_needs_the_textbooks_units():
    definition = define(minimal_effect=0.1, **ONE_LOOK)

    found = sizing.planned_units(definition, mean=10.0, variance=100.0)

    # q = scipy.stats.norm.ppf: 2 * (q(.975) + q(.8))^2 * 10^2 / 1^2 = 1569.8 in each arm
    assert found == 3140


def test_a_share_is_planned_by_its_bernoulli_variance():
    definition = define(minimal_effect=0.2, **ONE_LOOK)

    found = sizing.planned_units(definition, mean=0.1, variance=0.09)

    # q = scipy.stats.norm.ppf: 2 * (q(.975) + q(.8))^2 * .09 / .02^2 = 3531.996 in each arm
    assert found == 7064


def test_a_falling_mean_is_found_as_well_as_a_rising_one():
    rising = sizing.planned_units(define(), mean=2.0, variance=1.0)

    assert sizing.planned_units(define(), mean=-2.0, variance=1.0) == rising


def test_challengers_share_alpha():
    definition = define(0.25, 0.25, 0.25, minimal_effect=0.1, **ONE_LOOK)

    found = sizing.planned_units(definition, mean=10.0, variance=100.0)

    # q = scipy.stats.norm.ppf: 4 * 2 * (q(1 - .05 / 6) + q(.8))^2 * 100 = 8375.3 in four arms
    assert found == 8376


def test_the_challenger_with_the_smallest_share_is_found():
    definition = define(0.4, 0.1, minimal_effect=0.1, **ONE_LOOK)

    found = sizing.planned_units(definition, mean=10.0, variance=100.0)

    # q = scipy.stats.norm.ppf: (1 / .5 + 1 / .1) * (q(1 - .05 / 4) + q(.8))^2 * 100 = 11406.04
    assert found == 11_407


def test_the_bounds_are_those_of_the_published_tables():
    design = sizing.design_of(define(looks=5, may_extend=False))

    # Lan-DeMets O'Brien-Fleming-type, two-sided 5 %: see tests/stats/test_group_sequential.py
    published = [4.8769, 3.3570, 2.6803, 2.2898, 2.0310]
    assert sizing.bounds_of(design) == pytest.approx(published, abs=5e-5)


def test_looks_and_an_extension_cost_a_little_more():
    plain, looked, extended = (
        sizing.inflation(sizing.design_of(define(**given)))
        for given in (ONE_LOOK, {"looks": 5, "may_extend": False}, {"looks": 5})
    )

    assert plain == pytest.approx(1.0, abs=1e-9)
    assert plain < looked < extended < 1.15


def test_a_bandit_is_looked_at_once():
    definition = define(allocation="bandit", looks=10)

    found = sizing.planned_units(definition, mean=1.0, variance=1.0)

    assert found == sizing.planned_units(define(looks=1), mean=1.0, variance=1.0)


def test_each_arm_gets_the_least_that_may_be_compared():
    definition = define(0.1, least_units_per_arm=150)

    assert sizing.planned_units(definition, mean=1e3, variance=1.0) == 1_500


@pytest.mark.parametrize(
    ("mean", "variance", "reason"),
    [
        (1.0, 0.0, "no-variance"),
        (0.0, 1.0, "no-effect"),
        (5e-324, 1.0, "no-effect"),
        (1e-170, 1.0, "out-of-range"),
        (1e-5, 1e12, "out-of-range"),
        (1.0, inf, "out-of-range"),
        (nan, 1.0, "out-of-range"),
    ],
)
def test_what_cannot_be_planned_says_why(mean: float, variance: float, reason: str):
    effect = abs(mean) * 0.05

    found = sizing.needed_units(sizing.design_of(define()), variance=variance, effect=effect)

    assert found == Inconclusive(reason)
    assert sizing.planned_units(define(), mean=mean, variance=variance) is None


def test_a_vanishing_share_has_no_plan():
    assert sizing.planned_units(define(1e-320), mean=1.0, variance=1.0) is None


def test_the_effect_found_with_the_planned_units_is_the_effect():
    design = sizing.design_of(define(0.3, 0.2))
    units = sizing.needed_units(design, variance=4.0, effect=0.1)
    assert isinstance(units, int)

    found = sizing.found_effect(design, variance=4.0, units=units)

    assert found == pytest.approx(0.1, rel=1e-4)


def test_too_few_units_find_no_effect():
    design = sizing.design_of(define(least_units_per_arm=100))

    assert sizing.found_effect(design, variance=4.0, units=199) == Inconclusive("too-few-units")


def test_arms_get_their_shares_and_no_unit_more():
    design = sizing.design_of(define(1 / 3, 1 / 3))

    assert sizing.by_arm(design, 4710) == {"control": 1570, "c0": 1570, "c1": 1570}


@pytest.mark.parametrize(
    ("shares", "given", "power"),
    [
        ((0.5,), ONE_LOOK, 0.8),
        ((0.5,), {"looks": 5}, 0.8),
        ((0.2,), {"looks": 10}, 0.9),
        ((0.25, 0.25), {"looks": 3, "alpha": 0.1}, 0.6),
    ],
)
def test_the_planned_units_give_the_power_asked_for(
    shares: tuple[float, ...], given: dict[str, Any], power: float
):
    definition = define(*shares, minimal_effect=0.05, power=power, **given)
    units = sizing.planned_units(definition, mean=5.0, variance=4.0)
    assert units is not None

    found = _share_of_promotions(definition, units, mean=5.0, sd=2.0, lift=0.05)

    assert found == pytest.approx(power, abs=3 * sqrt(power * (1 - power) / PATHS))


def _share_of_promotions(
    definition: Definition, units: int, *, mean: float, sd: float, lift: float
) -> float:
    """Of one challenger, by the z of exact sums at every planned look and the bounds for them.

    Sums of normal values: their totals are normal and their squared deviations chi-square.
    """
    dice = np.random.default_rng(20_260_207)
    looks = sizing.looks_of(sizing.design_of(definition))
    reserve = 0.2 if definition.may_extend else 0.0
    alpha = definition.alpha / 2 / len(definition.challengers)
    bounds = group_sequential.boundary(looks, alpha=alpha, reserve=reserve)
    shares = definition.shares()
    sums = {arm: np.zeros(PATHS) for arm in ("control", "c0")}
    counts, promoted = {"control": 0, "c0": 0}, np.zeros(PATHS, dtype=bool)
    for look, bound in zip(looks, bounds, strict=True):
        means, errors = {}, {}
        for arm, its_mean in (("control", mean), ("c0", mean * (1 + lift))):
            more = round(units * shares[arm] * look.spending) - counts[arm]
            counts[arm] += more
            sums[arm] += dice.normal(its_mean * more, sd * sqrt(more), PATHS)
            freedom = counts[arm] - 1
            means[arm] = sums[arm] / counts[arm]
            errors[arm] = sd**2 * dice.chisquare(freedom, PATHS) / freedom / counts[arm]
        z = (means["c0"] - means["control"]) / np.sqrt(errors["c0"] + errors["control"])
        promoted |= z >= bound
    return float(promoted.mean())
