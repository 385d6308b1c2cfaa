"""Tests of the report: what it says of a log whose truth is known, and of one where it is not."""

import json
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pytest
import simulated_logs
from reward.catalogue import NumberParam
from simulator import exact, policies
from training.episodes.dataset import Dataset
from training.policy.learned import LearnedSimulator, Thinness
from training.policy.outcomes import learn_outcomes
from training.report.evaluation import Report, evaluate, metrics
from training.report.known import Known, is_of_the_simulator

EPISODES = 1500


def make_simulator(dataset: Dataset) -> LearnedSimulator:
    model = simulated_logs.make_reward_model(EPISODES)
    thin = Thinness(
        leverage=np.asarray(model.tensors["reward.leverage"], np.float32),
        scale=simulated_logs.residual_scale(dataset, model),
        pessimism=1.0,
    )
    return LearnedSimulator(
        dataset.catalogue,
        learn_outcomes(dataset.catalogue, dataset.fit),
        thin=thin,
        states=list(dataset.fit.states[dataset.fit.step == 0]),
    )


@cache
def report(*, is_known: bool = True, with_propensities: bool = True) -> Report:
    """Of a calibrated reward model whose actor is untrained."""
    dataset = simulated_logs.make_dataset(EPISODES)
    if not with_propensities:
        nothing = np.full(len(dataset.test), np.nan)
        dataset = replace(dataset, test=replace(dataset.test, propensity=nothing))
    model = simulated_logs.make_reward_model(EPISODES)
    return evaluate(dataset, model, simulator=make_simulator(dataset), is_known=is_known)


def test_the_report_is_json_without_anything_that_is_no_number():
    for told in (report(), report(is_known=False, with_propensities=False)):
        assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_the_same_model_and_log_give_the_same_report():
    dataset = simulated_logs.make_dataset(EPISODES)
    model = simulated_logs.make_reward_model(EPISODES)

    again = evaluate(dataset, model, simulator=make_simulator(dataset), is_known=True)

    assert json.dumps(again) == json.dumps(report())


def test_r2_stands_beside_a_ceiling_that_it_cannot_pass():
    reward = report()["reward"]

    assert 0.5 < reward["r2"] < reward["ceiling"]["r2"] < 1
    assert reward["r2_of_expected"] > reward["r2"]


def test_known_policies_have_their_exact_values():
    told = report()["policy"]["exact"]["policies"]

    assert told["runbook"]["value"] == pytest.approx(exact.value_of(policies.follow_runbook()))
    assert told["random"]["percent"] == 0
    assert told["optimal"]["percent"] == 100


def test_acting_on_predicted_rewards_is_worth_more_with_the_guard_than_without():
    told = report()["policy"]["exact"]["policies"]

    assert told["greedy_on_model"]["value"] > told["greedy_on_model_without_guard"]["value"]


def test_coverage_is_told_for_every_action_here_and_under_a_shift():
    told = report()["intervals"]

    assert 0.86 < told["in_distribution"]["coverage"] < 0.94
    assert len(told["in_distribution"]["by_action"]) == 8
    assert len(told["under_shift"]["by_action"]) == 8
    worst = min(one["coverage"] for one in told["under_shift"]["by_action"].values())
    assert told["under_shift"]["worst_action"]["coverage"] == worst


def test_what_only_a_simulator_knows_is_none_for_a_log_alone():
    told = report(is_known=False)

    assert told["reward"]["ceiling"] is None
    assert told["reward"]["ranking"]["top_1"] is None
    assert told["policy"]["exact"]["policies"] is None
    assert "not of a simulator" in told["policy"]["exact"]["because"]


def test_a_log_with_propensities_is_weighted_to_evenly_drawn_actions():
    told = report(is_known=False)["intervals"]["under_shift"]

    assert told["effective_size"] < told["rows"]


def test_a_log_without_propensities_says_nothing_of_a_shift():
    told = report(is_known=False, with_propensities=False)

    assert told["intervals"]["under_shift"] is None
    assert told["policy"]["off_policy"]["estimates"] == {}


def test_deciles_rise_with_what_was_predicted():
    told = report()["reward"]["deciles"]

    predicted = [one["predicted"] for one in told]
    assert predicted == sorted(predicted)
    assert sum(one["rows"] for one in told) == report()["log"]["parts"]["test"]["rows"]


def test_metrics_leave_out_what_is_not_known():
    known, alone = metrics(report()), metrics(report(is_known=False, with_propensities=False))

    assert known["policy_percent"] == report()["policy"]["exact"]["policies"]["policy"]["percent"]
    assert alone.keys() == known.keys() - {
        "policy_off_policy_return",
        "policy_percent",
        "reward_r2_of_ceiling",
        "top_1",
    }


def test_expected_factors_are_what_the_log_has_on_average():
    dataset = simulated_logs.make_dataset(EPISODES)

    left = dataset.fit.factors - Known(dataset.catalogue).expect(dataset.fit)

    errors = left.std(axis=0) / len(left) ** 0.5
    assert (np.abs(left.mean(axis=0)) < 4 * errors).all()


def test_a_foreign_log_is_told_from_the_simulators():
    dataset = simulated_logs.make_dataset(EPISODES)
    foreign = dataset.test.states.copy()
    foreign[0] = foreign[0]._replace(incident="Disk is full")

    assert is_of_the_simulator(dataset.catalogue, dataset.test)
    assert not is_of_the_simulator(dataset.catalogue, replace(dataset.test, states=foreign))


def test_a_log_that_words_its_incidents_alike_and_pays_otherwise_is_foreign():
    dataset = simulated_logs.make_dataset(EPISODES)
    factors = dataset.test.factors.copy()
    factors[0, 2] -= 1.0

    assert not is_of_the_simulator(dataset.catalogue, replace(dataset.test, factors=factors))


def test_a_log_of_more_replicas_than_the_simulator_has_is_foreign():
    dataset = simulated_logs.make_dataset(EPISODES)
    more = (NumberParam("replicas", 1.0, 50.0, 3.0),)
    actions = tuple(
        msgspec.structs.replace(kind, params=more) if kind.params else kind
        for kind in dataset.catalogue.actions
    )
    catalogue = msgspec.structs.replace(dataset.catalogue, actions=actions)

    assert not is_of_the_simulator(catalogue, dataset.test)
