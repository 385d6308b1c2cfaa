"""Who may train, and what a training job may read and write."""

import json
from pathlib import Path
from typing import Any

import pytest
from chalice.package import YAMLTemplateSerializer

REPOSITORY = Path(__file__).parents[2]
POLICIES = sorted((REPOSITORY / ".chalice" / "policies").glob("*.json"))
TRAINING = {
    "follow_training_jobs",
    "model-retraining-trigger",
    "on_training_job_state_change",
    "retrain_due_models",
}


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def statements(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text())["Statement"]


def granting(path: Path, action: str) -> list[dict[str, Any]]:
    return [one for one in statements(path) if action in listed(one["Action"])]


def test_only_the_functions_of_training_may_start_jobs_and_only_under_our_prefix():
    found = {path.stem: granting(path, "sagemaker:CreateTrainingJob") for path in POLICIES}

    assert {name for name, granted in found.items() if granted} == TRAINING
    for granted in found.values():
        for statement in granted:
            assert statement["Resource"].endswith(":training-job/${AWS::StackName}-*")


def test_a_job_can_be_given_one_role_and_only_by_way_of_sagemaker():
    for name in sorted(TRAINING):
        path = REPOSITORY / ".chalice" / "policies" / f"{name}.json"
        (granted,) = granting(path, "iam:PassRole")

        assert granted["Resource"] == "${SageMakerExecutionRole.Arn}"
        passed_to = granted["Condition"]["StringEquals"]["iam:PassedToService"]
        assert passed_to == "sagemaker.amazonaws.com"


def test_the_function_that_counts_episodes_may_write_none_and_train_nothing():
    path = REPOSITORY / ".chalice" / "policies" / "on_episode_file.json"

    actions = {action for one in statements(path) for action in listed(one["Action"])}

    assert {action for action in actions if action.startswith(("s3:", "sagemaker:", "iam:"))} == {
        "s3:GetObject",
        "s3:ListBucket",
    }


def test_no_function_may_delete_what_was_trained_or_logged():
    for path in POLICIES:
        for statement in granting(path, "s3:DeleteObject"):
            assert not [one for one in listed(statement["Resource"]) if "training" in one]


def test_a_training_job_reads_episodes_and_writes_under_training_only():
    template = YAMLTemplateSerializer().load_template(
        (REPOSITORY / ".chalice" / "resources.yaml").read_text()
    )
    role = template["Resources"]["SageMakerExecutionRole"]["Properties"]

    found = {action: set() for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")}
    for statement in role["Policies"][0]["PolicyDocument"]["Statement"]:
        for action in listed(statement["Action"]):
            if action in found:
                found[action].add(statement["Resource"]["Fn::Sub"].removeprefix("${Bucket.Arn}/"))

    assert found == {
        "s3:GetObject": {"artifacts/*", "episodes/*", "training/*"},
        "s3:PutObject": {"capture/*", "training/*"},
        "s3:DeleteObject": {"training/*/checkpoints/*"},
    }


CALLED = {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"}
"""What `kit.tables` comes to: a transaction of puts asks for the right to put, and for no other."""


@pytest.mark.parametrize("name", sorted({*TRAINING, "on_episode_file", "write_episodes"}))
def test_a_function_may_do_to_tables_what_it_does_and_no_more(name: str):
    path = REPOSITORY / ".chalice" / "policies" / f"{name}.json"

    actions = {action for one in statements(path) for action in listed(one["Action"])}

    assert {action for action in actions if action.startswith("dynamodb:")} <= CALLED
