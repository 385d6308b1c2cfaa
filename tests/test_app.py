"""The face of the product: every route and every Lambda function, as one table each.
A change of either is a change for someone: it is made here, too."""

import json
from pathlib import Path

import pytest

from app import app
from chalicelib.about.routes import operations
from chalicelib.kit.http import OPERATION

ROOT = Path(__file__).resolve().parents[1]

ROUTES = """
POST   /api/ai/rl/reward                                    viewer
GET    /api/episodes                                        viewer
POST   /api/episodes                                        operator
GET    /api/experiments                                     viewer
POST   /api/experiments                                     operator
POST   /api/experiments/plan                                viewer
GET    /api/experiments/{experiment}                        viewer
GET    /api/experiments/{experiment}/analysis               viewer
POST   /api/experiments/{experiment}/pause                  operator
POST   /api/experiments/{experiment}/promote                operator
GET    /api/experiments/{experiment}/replay                 viewer
PUT    /api/experiments/{experiment}/shares                 operator
POST   /api/experiments/{experiment}/start                  operator
POST   /api/experiments/{experiment}/stop                   operator
POST   /api/feedback                                        viewer
GET    /api/ledger                                          viewer
GET    /api/ledger/verification                             viewer
GET    /api/models                                          viewer
GET    /api/models/{model}                                  viewer
PUT    /api/models/{model}                                  operator
GET    /api/models/{model}/history                          viewer
POST   /api/models/{model}/predictions                      viewer
POST   /api/models/{model}/rollback                         operator
GET    /api/models/{model}/training-jobs                    viewer
POST   /api/models/{model}/training-jobs                    operator
GET    /api/models/{model}/training-jobs/{job}              viewer
POST   /api/models/{model}/training-jobs/{job}/stop         operator
GET    /api/models/{model}/versions                         viewer
GET    /api/models/{model}/versions/{version}               viewer
POST   /api/models/{model}/versions/{version}/deploy        operator
GET    /api/models/{model}/versions/{version}/deployment    viewer
POST   /api/models/{model}/versions/{version}/promote       operator
POST   /api/models/{model}/versions/{version}/retire        operator
GET    /api/receipts/{request_id}                           viewer
GET    /docs                                                viewer
GET    /health                                              viewer
GET    /openapi.json                                        viewer
POST   /production/feedback                                 viewer
"""
FUNCTIONS = """
ab-test-manager             chalicelib.experiments.triggers.ab_test_manager
advance_experiments         chalicelib.experiments.triggers.advance_experiments
answer_shadows              chalicelib.serving.triggers.answer_shadows
fold_outcomes               chalicelib.experiments.triggers.fold_outcomes
follow_training_jobs        chalicelib.training.triggers.follow_training_jobs
model-retraining-trigger    chalicelib.training.triggers.model_retraining_trigger
model-version-manager       chalicelib.deployments.triggers.model_version_manager
on_endpoint_state_change    chalicelib.deployments.triggers.on_endpoint_state_change
on_episode_file             chalicelib.training.triggers.on_episode_file
on_feedback_file            chalicelib.experiments.triggers.on_feedback_file
on_training_job_state_change chalicelib.training.triggers.on_training_job_state_change
on_upload                   chalicelib.deployments.triggers.on_upload
reconcile                   chalicelib.deployments.triggers.reconcile
retrain_due_models          chalicelib.training.triggers.retrain_due_models
write_episodes              chalicelib.rewards.triggers.write_episodes
"""


def _table(literal: str) -> list[list[str]]:
    return [line.split() for line in literal.strip().splitlines()]


def test_the_routes_are_these():
    found = [
        [method, path, getattr(entry.view_function, OPERATION).role.name.lower()]
        for path, methods in app.routes.items()
        for method, entry in methods.items()
    ]

    assert sorted(found, key=lambda row: (row[1], row[0])) == _table(ROUTES)


def test_the_functions_and_their_handlers_are_these():
    found = [[function.name, function.handler_string] for function in _functions()]

    assert sorted(found) == _table(FUNCTIONS)


def _functions():
    return [*app.pure_lambda_functions, *app.event_sources]


def test_every_function_has_its_policy_and_timeout_in_the_config():
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())

    assert set(config["lambda_functions"]) == {"api_handler", *(f.name for f in _functions())}
    for name, settings in config["lambda_functions"].items():
        assert (ROOT / ".chalice" / settings["iam_policy_file"]).is_file(), name
        assert settings["lambda_timeout"] > 0


def test_every_route_has_an_operation_that_says_what_it_is():
    assert len(operations()) == len(_table(ROUTES))
    assert all(operation.summary and operation.hints["return"] for operation in operations())


def test_every_body_travels_as_bytes():
    assert app.api.binary_types == ["*/*"]


@pytest.mark.parametrize("row", _table(FUNCTIONS), ids=lambda row: row[0])
def test_a_handler_string_names_what_is_there(row: list[str]):
    module, _, name = row[1].rpartition(".")

    assert callable(getattr(__import__(module, fromlist=[name]), name))
