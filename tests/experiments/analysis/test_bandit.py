"""Shares that follow outcomes, and evidence that survives them."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from chalicelib.experiments import lifecycle
from chalicelib.experiments.analysis import bandit, estimates
from chalicelib.experiments.analysis.analysis import analyse
from chalicelib.experiments.analysis.estimates import Contrast, Reading
from chalicelib.experiments.counting.sums import Sums
from chalicelib.experiments.model import State
from tests.builders.sums import STARTED, cell_of, make_experiment, ones, reshared, six_of

POOLED = Reading("mean", is_pooled=True)
BANDIT = make_experiment(allocation="bandit", primary="bought", least_units_per_arm=10)
RNG = np.random.default_rng(8)


def test_two_arms_get_the_chance_that_each_is_better():
    c, t = RNG.normal(0, 1, 50), RNG.normal(0.2, 1, 60)
    sums = {("control", 1): cell_of(score=six_of(c)), ("treatment", 1): cell_of(score=six_of(t))}

    shares = bandit.next_shares(make_experiment(allocation="bandit"), sums)

    # The normal chance by scipy, each arm with the larger of its own and all units' variance.
    both = np.concatenate([c, t]).var(ddof=1)
    spread = sum(max(arm.var(ddof=1), both) / arm.size for arm in (c, t))
    chance = scipy_stats.norm.cdf((t.mean() - c.mean()) / math.sqrt(spread))
    assert shares["treatment"] == pytest.approx(0.05 + 0.9 * chance, rel=1e-9)


def test_less_is_better_for_a_cost():
    sums: Sums = {
        ("control", 1): cell_of(cost=six_of([1.0, 2.0] * 50)),
        ("treatment", 1): cell_of(cost=six_of([3.0, 4.0] * 50)),
    }

    shares = bandit.next_shares(make_experiment(allocation="bandit", primary="cost"), sums)

    assert shares == pytest.approx({"control": 0.95, "treatment": 0.05})


def test_arms_without_two_units_are_explored():
    sums = {
        ("control", 1): cell_of(bought=ones(100, 50)),
        ("treatment", 1): cell_of(bought=ones(1, 0)),
    }

    assert bandit.next_shares(BANDIT, sums) == pytest.approx({"control": 0.5, "treatment": 0.5})


def test_two_units_that_happen_to_agree_do_not_make_an_arm_certain():
    sums = {
        ("control", 1): cell_of(bought=ones(1000, 500)),
        ("treatment", 1): cell_of(bought=ones(2, 0)),
    }

    assert bandit.next_shares(BANDIT, sums)["treatment"] > 0.1


def test_better_times_are_not_taken_for_a_better_arm():
    # Both arms convert alike, 10 % early and 60 % late, when the treatment has most units.
    sums = {
        ("control", 1): cell_of(bought=ones(900, 90)),
        ("treatment", 1): cell_of(bought=ones(100, 10)),
        ("control", 2): cell_of(bought=ones(100, 60)),
        ("treatment", 2): cell_of(bought=ones(900, 540)),
    }

    assert bandit.next_shares(BANDIT, sums) == pytest.approx({"control": 0.5, "treatment": 0.5})


def test_a_challenger_that_was_taken_out_gets_no_share():
    challengers = [{"name": name, "version": f"1.{n}.0"} for n, name in enumerate("ab", 1)]
    experiment = lifecycle.reshare(
        make_experiment(challengers=challengers, allocation="bandit"),
        {"control": 0.5, "a": 0.5},
        now=STARTED,
    )

    assert bandit.next_shares(experiment, {}) == pytest.approx({"control": 0.5, "a": 0.5})


def test_only_a_phase_that_gets_no_more_units_is_a_batch():
    running = reshared(BANDIT, 0.3, 0.6)

    assert bandit.closed_phases(running) == {1, 2}
    assert bandit.closed_phases(
        lifecycle.conclude(running, State.STOPPED, why="", now=STARTED)
    ) == {1, 2, 3}


def test_the_batched_interval_ends_where_the_batched_z_is_critical():
    sixes = [{n: six_of(RNG.normal(0, 1 + n, 40)) for n in (1, 2, 3)} for _ in range(2)]
    found = estimates.contrast(*sixes, POOLED, least=2)
    assert isinstance(found, Contrast)
    batches = bandit.batches(found.parts, estimates.scores(found, sign=1))

    end = bandit.interval(batches, critical=2.5).low

    # The definition (Zhang, Janson, Murphy 2020), with the difference at the interval's end.
    z = sum(
        (b.treatment_mean - end) / math.sqrt(b.variance * (1 / b.control_n + 1 / b.treatment_n))
        for b in batches
    ) / math.sqrt(3)
    assert z == pytest.approx(2.5, rel=1e-9)


def test_before_the_first_batch_is_closed_a_bandit_tells_means_only():
    sums = {
        ("control", 1): cell_of(bought=ones(90, 45)),
        ("treatment", 1): cell_of(bought=ones(80, 60)),
    }

    found = analyse(BANDIT, sums, now=STARTED).comparisons[0]

    assert found.difference == pytest.approx(0.25)
    assert (found.inconclusive, found.z) == ("no-usable-batch", None)


def test_the_report_of_a_bandit_tells_what_its_arms_get_next():
    sums = {
        ("control", 1): cell_of(bought=ones(90, 45)),
        ("treatment", 1): cell_of(bought=ones(80, 60)),
    }

    found = analyse(BANDIT, sums, now=STARTED)

    assert found.shares == bandit.next_shares(BANDIT, sums)
    assert sum(found.shares.values()) == pytest.approx(1.0)


def test_equal_arms_of_a_bandit_are_told_apart_in_alpha_of_the_runs_at_any_batch():
    runs, batches, size, rng = 300, 10, 100, np.random.default_rng(9)
    at_end = ever = 0
    for _ in range(runs):
        experiment, share, least_p, z = BANDIT, 0.5, 1.0, 0.0
        told: Sums = {}
        for phase in range(1, batches + 1):
            n = int(rng.binomial(size, share))
            for arm, units in (("control", size - n), ("treatment", n)):
                told[arm, phase] = cell_of(bought=ones(units, int(rng.binomial(units, 0.5))))
            share = bandit.next_shares(experiment, told)["treatment"]
            experiment = reshared(experiment, share)
            found = analyse(experiment, told, now=STARTED).comparisons[0]
            least_p = min(least_p, found.always_valid_p or 1.0)
            z = found.z or 0.0
        at_end += abs(z) >= 1.96
        ever += least_p <= 0.05

    most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    assert 0 < ever / runs <= most
    assert 0 < at_end / runs <= most
