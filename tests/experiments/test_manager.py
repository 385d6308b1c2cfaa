"""The Lambda function `ab-test-manager`, with the payloads that teams send already."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.experiments import triggers
from chalicelib.experiments.model import State
from chalicelib.experiments.running import service as running
from tests.experiments.conftest import Trial

CREATE = {
    "action": "create_test",
    "test_name": "recommendation_v1_vs_v2",
    "model_name": "recommendation",
    "control_version": "1.0.0",
    "treatment_version": "1.1.0",
    "traffic_split": 50,
    "duration_days": 14,
    "success_metrics": ["recommendation_accuracy", "user_satisfaction"],
}
TEST = "recommendation_v1_vs_v2"
ID = "recommendation-trial"
"""Where a trial looks for its experiment."""


@pytest.fixture
def recommendation(tenant: str) -> Trial:
    made = Trial(tenant, "recommendation")
    made.put_model()
    made.put_live("1.0.0", stage="champion")
    made.put_live("1.1.0")
    return made


def ask(**payload: Any) -> dict[str, Any]:
    return triggers.ab_test_manager(payload, None)


def result(answer: dict[str, Any]) -> Any:
    assert answer["status"] == "ok", answer
    return answer["result"]


def refusal(answer: dict[str, Any]) -> str:
    assert answer["status"] == "error"
    return answer["error"]["code"]


def tell(trial: Trial, control: float, treatment: float, *, each: int = 150) -> None:
    means = {"control": control, "treatment": treatment}
    seen = [one.model_copy(update={"kind": "exposure"}) for one in trial.scores(means, each=each)]
    trial.put_sums(seen)


def test_a_test_runs_from_its_creation_on(recommendation: Trial):
    found = result(ask(**CREATE))

    assert found["status"] == "running"
    assert {name: found[name] for name in CREATE if name != "action"} == {
        name: value for name, value in CREATE.items() if name != "action"
    }
    assert recommendation.routed() == [found["test_id"]] == [TEST]


@pytest.mark.parametrize("percent", [0.5, 10, 50, 99.5])
def test_the_split_is_the_percentage_of_the_treatment(recommendation: Trial, percent: float):
    found = result(ask(**CREATE | {"traffic_split": percent}))

    shares = running.get(recommendation.tenant, TEST).phases[0].shares()
    assert shares["treatment"] == pytest.approx(percent / 100)
    assert found["traffic_split"] == percent


def test_the_first_metric_decides_and_the_others_are_reported(recommendation: Trial):
    ask(**CREATE)

    definition = running.get(recommendation.tenant, TEST).definition
    assert definition.primary == "recommendation_accuracy"
    assert definition.secondary == ["user_satisfaction"]


def test_a_creation_that_comes_twice_makes_one_test(recommendation: Trial):
    first = ask(**CREATE)

    assert ask(**CREATE) == first
    assert len(result(ask(action="list_tests"))["items"]) == 1


def test_a_creation_that_comes_after_the_end_starts_nothing(recommendation: Trial):
    ask(**CREATE)
    ask(action="stop_test", test_id=TEST)

    assert result(ask(**CREATE))["status"] == "stopped"
    assert recommendation.routed() == []


def test_an_id_as_the_guides_print_them_is_taken(recommendation: Trial):
    found = result(ask(**CREATE, test_id="ab_20260207_150000"))

    assert found["test_id"] == "ab_20260207_150000"
    assert result(ask(action="analyze_test", test_id="ab_20260207_150000"))


def test_another_test_under_the_same_name_is_refused(recommendation: Trial):
    ask(**CREATE)

    assert refusal(ask(**CREATE | {"traffic_split": 20})) == "experiment-exists"


def test_a_test_of_what_is_not_in_service_is_refused(recommendation: Trial):
    recommendation.put_live("1.2.0", stage="failed")

    assert refusal(ask(**CREATE | {"treatment_version": "1.2.0"})) == "arm-not-live"
    assert refusal(ask(**CREATE | {"treatment_version": "9.9.9"})) == "version-not-found"
    assert refusal(ask(**CREATE | {"model_name": "nobody"})) == "model-not-found"


def test_a_test_that_was_refused_can_be_asked_for_again(recommendation: Trial):
    recommendation.put_live("1.1.0", stage="deploying")
    assert refusal(ask(**CREATE)) == "arm-not-live"
    recommendation.put_live("1.1.0")

    assert result(ask(**CREATE))["status"] == "running"


def test_a_second_test_of_a_model_waits_for_its_units(recommendation: Trial):
    ask(**CREATE)

    assert refusal(ask(**CREATE | {"test_name": "another"})) == "namespace-full"


def test_an_analysis_answers_in_the_words_of_the_guides(recommendation: Trial):
    ask(**CREATE, test_id=ID)
    tell(recommendation, 3.0, 4.0)

    found = result(ask(action="analyze_test", test_id=ID))

    told = found["analysis"]
    assert found["recommendation"] == "continue_testing"
    assert (told["metric"], told["samples"]) == ("recommendation_accuracy", 300)
    assert (told["baseline_mean"], told["candidate_mean"]) == pytest.approx((3.0, 4.0))
    assert told["effect_size"] == pytest.approx(1 / 3)
    assert (told["baseline_samples"], told["candidate_samples"]) == (150, 150)
    assert 0 < told["single_look_p_value"] < told["p_value"] < 0.05
    assert told["is_significant"] is True


def test_the_t_statistic_is_that_of_two_samples(recommendation: Trial):
    """Half of 150 scores lie 0.5 above their mean, half below: s^2 = 0.25 * 150 / 149."""
    ask(**CREATE, test_id=ID)
    tell(recommendation, 3.0, 3.1)

    told = result(ask(action="analyze_test", test_id=ID))["analysis"]

    assert told["t_statistic"] == pytest.approx(0.1 / (0.25 * 2 / 149) ** 0.5)


def test_an_analysis_without_numbers_says_so(recommendation: Trial):
    ask(**CREATE)

    found = result(ask(action="analyze_test", test_id=TEST))

    told = found["analysis"]
    assert found["recommendation"] == "continue_testing"
    assert (told["samples"], told["p_value"], told["is_significant"]) == (0, None, False)
    assert told["inconclusive"]


@pytest.mark.parametrize(
    ("means", "recommendation_", "status"),
    [
        ((3.0, 4.0), "promote_to_production", "promoted"),
        ((4.0, 2.0), "archive_candidate", "rolled_back"),
        ((3.0, 3.0), "archive_candidate", "stopped"),
    ],
    ids=["better", "worse", "same"],
)
def test_a_test_of_the_guides_ends_by_itself(
    recommendation: Trial, means: tuple[float, float], recommendation_: str, status: str
):
    ask(**CREATE, test_id=ID)
    tell(recommendation, *means, each=800)

    recommendation.advance()

    found = result(ask(action="analyze_test", test_id=ID))
    assert found["recommendation"] == recommendation_
    assert result(ask(action="list_tests"))["items"][0]["status"] == status


def test_an_analysis_changes_nothing(recommendation: Trial):
    ask(**CREATE, test_id=ID)
    tell(recommendation, 4.0, 2.0)
    before = recommendation.ending()

    for _ in range(2):
        ask(action="analyze_test", test_id=ID)

    assert recommendation.ending() == before


def test_a_test_is_stopped_with_its_reason(recommendation: Trial):
    ask(**CREATE)

    found = result(ask(action="stop_test", test_id=TEST, reason="the season is over"))

    assert (found["status"], found["conclusion"]) == ("stopped", "the season is over")
    assert recommendation.routed() == []


def test_a_stop_that_comes_twice_is_one(recommendation: Trial):
    ask(**CREATE)
    first = ask(action="stop_test", test_id=TEST)

    assert ask(action="stop_test", test_id=TEST) == first


def test_tests_are_listed_of_a_model_and_a_state(
    recommendation: Trial, make_trial: Callable[..., Trial]
):
    make_trial().begin()
    ask(**CREATE)

    mine = result(ask(action="list_tests", model_name="recommendation"))
    over = result(ask(action="list_tests", state=State.STOPPED.value))
    first = result(ask(action="list_tests", limit=1))
    rest = result(ask(action="list_tests", limit=1, cursor=first["cursor"]))

    assert [one["test_id"] for one in mine["items"]] == [TEST]
    assert over == {"items": [], "cursor": None}
    assert (len(first["items"]), len(rest["items"]), rest["cursor"]) == (1, 1, None)


@pytest.mark.parametrize("action", ["analyze_test", "stop_test"])
def test_an_unknown_test_is_refused(tenant: str, action: str):
    assert refusal(ask(action=action, test_id="your-test-id")) == "experiment-not-found"


@pytest.mark.parametrize(
    ("payload", "at"),
    [
        ({}, ""),
        ({"action": "destroy_test"}, ""),
        ({"action": ["create_test"]}, ""),
        ({"action": "analyze_test"}, "analyze_test.test_id"),
        ({"action": "analyze_test", "test_id": "../x"}, "analyze_test.test_id"),
        ({"action": "stop_test", "test_id": "x", "force": True}, "stop_test.force"),
        ({"action": "list_tests", "limit": 0}, "list_tests.limit"),
        ({"action": "list_tests", "state": "lost"}, "list_tests.state"),
        (CREATE | {"traffic_split": 0}, "create_test.traffic_split"),
        (CREATE | {"traffic_split": 100}, "create_test.traffic_split"),
        (CREATE | {"traffic_split": float("nan")}, "create_test.traffic_split"),
        (CREATE | {"duration_days": 1e308}, "create_test.duration_days"),
        (CREATE | {"duration_days": -1}, "create_test.duration_days"),
        (CREATE | {"success_metrics": []}, "create_test.success_metrics"),
        (CREATE | {"success_metrics": ["Not a name"]}, "create_test.success_metrics.0"),
        (CREATE | {"control_version": "1.0"}, "create_test.control_version"),
        (CREATE | {"model_name": "../etc"}, "create_test.model_name"),
        (CREATE | {"test_name": ""}, "create_test.test_name"),
    ],
    ids=str,
)
def test_a_payload_that_is_no_action_is_refused_with_its_flaws(
    tenant: str, payload: dict[str, Any], at: str
):
    answer = triggers.ab_test_manager(payload, None)

    assert refusal(answer) == "invalid-action"
    assert [flaw["at"] for flaw in answer["error"]["errors"]] == [at]


@pytest.mark.parametrize("payload", [None, [], "create_test", 1])
def test_what_is_no_object_is_refused(tenant: str, payload: Any):
    assert refusal(triggers.ab_test_manager(payload, None)) == "invalid-action"
