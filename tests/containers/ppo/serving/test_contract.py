"""SageMaker's contract over real sockets: /ping, /invocations, /execution-parameters."""

import copy
import json

import pytest
from builders import GUIDE, TYPES

RANKING = {"state": GUIDE["state"]}


def test_ping_is_200_and_empty(served):
    answer = served.call("GET", "/ping")

    assert (answer.status, answer.body) == (200, b"")


def test_the_guides_question_is_answered_with_all_members(served):
    answer = served.ask(GUIDE, Content_Type="application/json").json

    assert list(answer) == [
        "reward",
        "factors",
        "interval",
        "guarded",
        "outOfDistribution",
        "policy",
        "value",
        "recommendedAction",
        "modelVersion",
    ]
    assert list(answer["factors"]) == ["resolution", "time", "risk", "cost"]
    assert sum(answer["factors"].values()) == pytest.approx(answer["reward"], abs=1e-6)
    assert answer["interval"]["low"] < answer["reward"] < answer["interval"]["high"]
    assert sum(answer["policy"].values()) == pytest.approx(1.0, abs=1e-6)
    assert answer["modelVersion"].startswith("sha256:")


def test_several_actions_are_ranked_best_first(served):
    actions = [{"type": "SCALE_K8S", "params": {"replicas": n}} for n in (1, 3, 6)]

    answer = served.ask({"state": GUIDE["state"], "proposedActions": actions}).json

    rewards = [part["reward"] for part in answer["ranking"]]
    assert rewards == sorted(rewards, reverse=True)
    assert sorted(part["action"]["params"]["replicas"] for part in answer["ranking"]) == [1, 3, 6]
    assert "recommendedAction" in answer


def test_a_state_alone_ranks_the_catalogue(served):
    ranking = served.ask(RANKING).json["ranking"]

    assert {part["action"]["type"] for part in ranking} == set(TYPES)


def test_a_batch_is_answered_in_order(served):
    batch = {"instances": [GUIDE, RANKING, GUIDE]}

    predictions = served.ask(batch).json["predictions"]

    assert ["ranking" in one for one in predictions] == [False, True, False]
    assert predictions[0]["reward"] == pytest.approx(served.ask(GUIDE).json["reward"], abs=1e-5)


def test_lines_are_answered_by_lines(served):
    answer = served.ask_lines(GUIDE, b"", RANKING, GUIDE)

    assert answer.headers["content-type"] == "application/jsonlines"
    assert ["ranking" in one for one in answer.lines] == [False, True, False]


def test_a_long_body_is_answered_as_a_short_one(served):
    short = served.ask_lines(GUIDE).lines[0]

    lines = served.ask_lines(*[GUIDE] * 1_200).lines

    assert len(lines) == 1_200
    assert lines[-1]["reward"] == pytest.approx(short["reward"], abs=1e-5)


def test_more_lines_than_a_batch_may_have_are_answered(served):
    """Batch transform packs as many lines into one request as 6 MB hold."""
    line = json.dumps(RANKING | GUIDE).encode()

    answer = served.ask_lines(*[line] * 10_500)

    assert len(answer.body.splitlines()) == 10_500


def test_a_bad_line_is_named_and_nothing_is_half_answered(served):
    answer = served.ask_lines(GUIDE, b"{", GUIDE)

    assert (answer.status, answer.code) == (422, "invalid-question")
    assert answer.json["errors"][0]["at"] == "line 2"


def test_an_unknown_action_in_a_line_is_named_with_the_lines_number(served):
    other = copy.deepcopy(GUIDE) | {"proposedAction": {"type": "X"}}

    answer = served.ask_lines(GUIDE, b"", other)

    assert (answer.status, answer.code) == (422, "unknown-action")
    assert answer.json["errors"][0]["at"] == "line 3: proposedAction.type"


def test_an_unknown_action_is_refused_with_the_catalogue(served):
    answer = served.ask(GUIDE | {"proposedAction": {"type": "REBOOT_MOON"}})

    assert (answer.status, answer.code) == (422, "unknown-action")
    assert "DIAGNOSE" in answer.json["errors"][0]["because"]


def test_what_was_never_seen_is_answered_and_flagged(served):
    state = GUIDE["state"] | {"symptoms": ["solar_flare"]}

    answer = served.ask(GUIDE | {"state": state}).json

    assert answer["outOfDistribution"][0]["at"] == "state.symptoms[0]"
    assert answer["interval"] == {"low": -10.0, "high": 10.0, "coverage": 0.9}


def test_execution_parameters_say_what_batch_transform_may_send(served):
    answer = served.call("GET", "/execution-parameters")

    assert answer.json == {
        "MaxConcurrentTransforms": 1,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }


@pytest.mark.parametrize(
    ("sent", "accept", "found"),
    [
        ("application/json", "application/json", "application/json"),
        ("application/json; charset=utf-8", "*/*", "application/json"),
        ("", "", "application/json"),
        ("application/jsonlines", "*/*", "application/jsonlines"),
        ("application/jsonlines", "application/json", "application/json"),
        ("application/json", "application/jsonlines;q=0.9, text/html", "application/jsonlines"),
        ("application/json", "application/jsonlines;q=0.1, */*;q=0.5", "application/json"),
    ],
)
def test_accept_decides_on_the_type_of_the_answer(served, sent, accept, found):
    answer = served.ask(GUIDE, Content_Type=sent, Accept=accept)

    assert (answer.status, answer.headers["content-type"]) == (200, found)


@pytest.mark.parametrize("accept", ["text/csv", "application/json;q=0", "image/*"])
def test_an_answer_that_nobody_accepts_is_406(served, accept):
    answer = served.ask(GUIDE, Accept=accept)

    assert (answer.status, answer.code) == (406, "not-acceptable")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/csv"},
        {"Content_Type": "application/x-npy"},
        {"Content_Type": "application/json; charset=latin-1"},
        {"Content_Type": "application/json", "Content_Encoding": "gzip"},
    ],
)
def test_a_body_that_is_no_json_is_415(served, headers):
    answer = served.ask(GUIDE, **headers)

    assert (answer.status, answer.code) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "/models", 404),
        ("GET", "/invocations", 405),
        ("POST", "/ping", 405),
        ("DELETE", "/execution-parameters", 405),
    ],
)
def test_other_paths_and_methods_are_refused(served, method, path, status):
    answer = served.call(method, path)

    assert answer.status == status
    assert answer.code in ("no-such-path", "method-not-allowed")


def test_headers_of_sagemaker_are_ignored(served):
    answer = served.ask(GUIDE, **{"X-Amzn-SageMaker-Custom-Attributes": "trace=1"})

    assert answer.status == 200
