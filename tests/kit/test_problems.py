"""Problem details: the status of each kind, and what a caller may read of it."""

import json

import pytest

from chalicelib.kit import errors, problems
from chalicelib.kit.errors import Busy, Conflict, Failure, Flaw, Invalid, Upstream, UpstreamTimeout

STATUS_BY_KIND = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Invalid: 422,
    errors.Malformed: 400,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.Forbidden: 403,
    errors.Busy: 503,
    errors.Upstream: 502,
    errors.UpstreamTimeout: 504,
}


class ExperimentNotRunning(Conflict):
    code = "experiment-not-running"


def _document(error: Exception) -> dict[str, object]:
    problem = problems.problem_of_failure(error, instance="/api/x", request_id="r-1")
    return json.loads(problem.content())


@pytest.mark.parametrize(("kind", "status"), STATUS_BY_KIND.items())
def test_every_kind_has_its_status(kind: type[Failure], status: int):
    assert problems.status_of(kind) == status


def test_a_feature_inherits_the_status_of_its_kind():
    assert _document(ExperimentNotRunning("experiment 'e' is 'stopped'")) == {
        "type": "/problems/experiment-not-running",
        "title": "Experiment not running",
        "status": 409,
        "detail": "experiment 'e' is 'stopped'",
        "instance": "/api/x",
        "request_id": "r-1",
    }


@pytest.mark.parametrize(
    "error",
    [
        Upstream("SageMaker answered 'canary'"),
        UpstreamTimeout("endpoint 'canary' timed out"),
        RuntimeError("canary"),
        KeyError("canary"),
    ],
)
def test_what_went_wrong_behind_us_is_not_told(error: Exception):
    document = _document(error)

    assert document["status"] in (500, 502, 504)
    assert "canary" not in json.dumps(document)


def test_busy_says_when_to_come_again():
    problem = problems.problem_of_failure(
        Busy("not now", retry_after_s=7), instance=None, request_id=""
    )

    assert (problem.status, problem.retry_after_s) == (503, 7)


def test_flaws_say_where_and_why():
    failure = Invalid("1 flaw", flaws=(Flaw(at="body.alpha", because="must be below 1"),))

    assert _document(failure)["errors"] == [{"at": "body.alpha", "because": "must be below 1"}]


def test_a_flood_of_flaws_is_cut():
    flaws = tuple(Flaw(at=f"body.{number}", because="no") for number in range(10_000))

    assert len(_document(Invalid("x" * 10_000, flaws=flaws))["errors"]) == 50


def test_a_lone_surrogate_in_the_detail_is_still_json():
    assert _document(Invalid("'\ud800'"))["detail"] == "'\ud800'"


@pytest.mark.parametrize("status", [400, 404, 405, 413, 500, 502])
def test_what_chalice_answers_becomes_a_problem(status: int):
    problem = problems.problem_of_status(status, instance="/", request_id="r-1")

    assert json.loads(problem.content())["status"] == status
    assert problem.code in {*problems.all_codes(), "bad-request"}


def test_every_code_is_listed_once_a_feature_names_it():
    assert {"experiment-not-running", "internal-error", "busy"} <= set(problems.all_codes())


def test_a_code_reads_as_a_path_segment():
    assert [code for code in problems.all_codes() if not code.replace("-", "").isalpha()] == []
