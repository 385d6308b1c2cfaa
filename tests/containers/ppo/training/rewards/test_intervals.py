"""Intervals hold as often as they say, action by action, and wherever that is known."""

from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pytest
from reward.catalogue import LEAST, MOST
from reward.model import RewardModel
from simulated_logs import make_dataset
from training.episodes.dataset import Dataset, Rows
from training.report.known import Known
from training.rewards.fitting import fit_rewards, without_policy
from training.rewards.intervals import Calibrated, calibrate, coverage

EPISODES = 3_000


@cache
def simulated() -> tuple[Dataset, RewardModel]:
    dataset = make_dataset(EPISODES)
    model = without_policy(dataset.catalogue, fit_rewards(dataset.catalogue, dataset.fit))
    found = calibrate(model, fit=dataset.fit, calibration=dataset.calibration)
    return dataset, model._replace(catalogue=found.catalogue)


def first_rows(rows: Rows, kind: int, count: int) -> Rows:
    """All rows of the other actions, and so many of this one."""
    is_kind = rows.kind == kind
    return rows.where(~is_kind | (np.cumsum(is_kind) <= count))


def recalibrate(calibration: Rows) -> Calibrated:
    dataset, model = simulated()
    return calibrate(model, fit=dataset.fit, calibration=calibration)


def test_intervals_hold_nine_in_ten_rewards_of_unseen_episodes():
    dataset, model = simulated()

    found = coverage(model, dataset.test)

    assert 0.88 <= found.overall.share <= 0.94
    assert found.overall.rows == len(dataset.test)
    assert found.overall.error == pytest.approx(
        np.sqrt(found.overall.share * (1 - found.overall.share) / len(dataset.test))
    )


def test_every_action_s_intervals_hold():
    dataset, model = simulated()

    found = coverage(model, dataset.test)

    assert sorted(found.by_action) == sorted(dataset.catalogue.types)
    assert min(one.share for one in found.by_action.values()) >= 0.8


def test_evenly_drawn_actions_flag_more_and_hold_less():
    dataset, model = simulated()
    shifted = Known(model.catalogue).shift(count=4_000, seed=3)

    usual, found = coverage(model, dataset.test), coverage(model, shifted)

    assert found.overall.flagged > usual.overall.flagged
    assert 0.8 <= found.overall.share <= 0.96
    assert found.overall.confident_share < usual.overall.confident_share


def test_half_widths_are_quantiles_with_the_finite_sample_correction():
    dataset, model = simulated()
    kind = 0
    rows = first_rows(dataset.calibration, kind, 9)
    flat = {"reward.weights": np.zeros_like(model.tensors["reward.weights"])}
    flat |= {"reward.params": np.zeros_like(model.tensors["reward.params"])}
    flat |= {"reward.leverage": np.zeros_like(model.tensors["reward.leverage"])}
    silent = model._replace(tensors={**model.tensors, **flat})

    found = calibrate(silent, fit=dataset.fit, calibration=rows)

    largest = np.abs(rows.reward[rows.kind == kind]).max()
    assert found.catalogue.actions[kind].half_width == pytest.approx(largest)


def test_an_action_with_eight_rows_has_an_interval_of_everything():
    dataset, _ = simulated()

    found = recalibrate(first_rows(dataset.calibration, 0, 8))

    assert found.uncalibrated == (dataset.catalogue.types[0],)
    widths = [kind.half_width for kind in found.catalogue.actions]
    assert widths[0] == MOST - LEAST > max(widths[1:])


def test_intervals_without_calibration_say_nothing():
    dataset, _ = simulated()
    few = np.arange(len(dataset.calibration)) < 5

    found = recalibrate(dataset.calibration.where(few))

    assert found.uncalibrated == dataset.catalogue.types
    assert {kind.half_width for kind in found.catalogue.actions} == {MOST - LEAST}


def test_what_was_met_in_fit_and_calibration_is_not_flagged():
    dataset, model = simulated()

    for rows in (dataset.fit, dataset.calibration):
        assert coverage(model, rows).overall.flagged == 0


def test_flagged_rows_hold_whatever_happens():
    dataset, model = simulated()
    strict = tuple(
        msgspec.structs.replace(kind, half_width=0.0, leverage_limit=-1.0)
        for kind in model.catalogue.actions
    )
    catalogue = msgspec.structs.replace(model.catalogue, actions=strict)

    found = coverage(model._replace(catalogue=catalogue), dataset.test).overall

    assert (found.flagged, found.share) == (1.0, 1.0)
    assert np.isnan(found.confident_share)


def test_rows_of_an_action_without_calibration_are_flagged():
    dataset, model = simulated()
    few = recalibrate(first_rows(dataset.calibration, 0, 8))

    found = coverage(model._replace(catalogue=few.catalogue), dataset.test).by_action

    assert found[dataset.catalogue.types[0]].flagged == 1.0


def test_rows_with_what_serving_calls_strange_are_flagged():
    dataset, model = simulated()
    states = dataset.test.states.copy()
    states[:] = [state._replace(severity="sev-9") for state in states]

    found = coverage(model, replace(dataset.test, states=states)).overall

    assert (found.flagged, found.share) == (1.0, 1.0)
