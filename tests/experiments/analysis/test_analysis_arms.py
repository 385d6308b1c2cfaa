"""What a report says of the arms themselves: sample ratio, and outcomes that are still to come."""

from datetime import timedelta

from chalicelib.experiments import lifecycle
from chalicelib.experiments.analysis.analysis import analyse
from chalicelib.experiments.analysis.report import Analysis
from chalicelib.experiments.counting.sums import Cell, Sums
from chalicelib.experiments.model import Experiment
from chalicelib.registry.metrics import Metric
from tests.builders.sums import STARTED, cell_of, make_experiment, reshared, six_of


def report(experiment: Experiment, sums: Sums, *, after_h: float = 0.0) -> Analysis:
    return analyse(experiment, sums, now=STARTED + timedelta(hours=after_h))


def test_a_sample_ratio_is_judged_in_each_phase_by_its_shares():
    fitting = {
        ("control", 1): Cell(units=5000),
        ("treatment", 1): Cell(units=5000),
        ("control", 2): Cell(units=9000),
        ("treatment", 2): Cell(units=1000),
    }
    experiment = reshared(make_experiment(), 0.1)

    assert not report(experiment, fitting).sample_ratio.alarms
    assert report(
        make_experiment(), {**fitting, ("treatment", 1): Cell(units=4300)}
    ).sample_ratio.alarms


def test_an_arm_without_a_share_may_have_no_units():
    challengers = [{"name": name, "version": f"1.{n}.0"} for n, name in enumerate("ab", 1)]
    experiment = lifecycle.reshare(
        make_experiment(challengers=challengers), {"control": 0.5, "a": 0.5}, now=STARTED
    )
    sums = {(arm, 2): Cell(units=n) for arm, n in (("control", 10), ("a", 10), ("b", 1))}

    found = report(experiment, sums).sample_ratio

    assert found.alarms
    assert found.evidence is None


def test_outcomes_that_may_still_come_are_told_by_arm():
    metrics = [Metric(name="score", lag_h=24)]
    start_h = int(STARTED.timestamp()) // 3600
    cell = cell_of(units=100, score=six_of([1.0] * 30))
    cell.hours = {start_h: 60, start_h + 10: 40}

    found = report(make_experiment(metrics=metrics), {("control", 1): cell}, after_h=26).arms[0]

    assert (found.outcome_share, found.matured_share) == (0.3, 0.6)
