"""The roles of the real app: what no policy file may ever grant."""

import json
from pathlib import Path
from typing import Any

import pytest
from chalice.package import YAMLTemplateSerializer

REPOSITORY = Path(__file__).parents[2]
POLICIES = sorted((REPOSITORY / ".chalice" / "policies").glob("*.json"))
WITHOUT_RESOURCES = {"Trace", "ReadMetrics"}
"""Statements about services that know no resources: X-Ray, and the reading of CloudWatch."""


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_a_policy_names_its_actions_and_resources(path: Path) -> None:
    for statement in statements(path):
        assert statement["Effect"] == "Allow"
        assert not [action for action in listed(statement["Action"]) if "*" in action]
        if listed(statement["Resource"]) == ["*"]:
            assert statement["Sid"] in WITHOUT_RESOURCES


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_the_ledger_can_only_grow(path: Path) -> None:
    assert granted_on("LedgerTable", path) <= {
        "dynamodb:ConditionCheckItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
    }


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_only_the_function_that_counts_may_change_what_was_counted(path: Path) -> None:
    reading = {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}

    changing = granted_on("OutcomesTable", path) - reading

    assert bool(changing) == (path.stem == "fold_outcomes")


def test_http_can_make_and_remove_no_endpoint() -> None:
    path = REPOSITORY / ".chalice" / "policies" / "api_handler.json"

    granted = {action for statement in statements(path) for action in listed(statement["Action"])}

    assert {action for action in granted if action.startswith("sagemaker:")} == {
        "sagemaker:DescribeEndpoint",
        "sagemaker:InvokeEndpoint",
    }
    assert "iam:PassRole" not in granted


def test_a_function_may_take_messages_of_its_queue_and_of_no_other() -> None:
    taking = {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}

    granted = {path.stem: granted_on("Queue", path) & taking for path in POLICIES}

    # To ask a queue what it is takes nothing from it.
    assert {name for name, actions in granted.items() if actions - {"sqs:GetQueueAttributes"}} == {
        "answer_shadows",
        "fold_outcomes",
    }
    for name, queue in (("answer_shadows", "ShadowQueue"), ("fold_outcomes", "OutcomesQueue")):
        path = REPOSITORY / ".chalice" / "policies" / f"{name}.json"
        assert granted_on(queue, path) >= taking


@pytest.mark.parametrize(
    ("queue", "function"), [("OutcomesQueue", "fold_outcomes"), ("ShadowQueue", "answer_shadows")]
)
def test_a_message_stays_hidden_for_six_times_its_functions_timeout(
    queue: str, function: str
) -> None:
    text = (REPOSITORY / ".chalice" / "resources.yaml").read_text()
    config = json.loads((REPOSITORY / ".chalice" / "config.json").read_text())

    found = YAMLTemplateSerializer().load_template(text)["Resources"][queue]["Properties"]

    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    timeout_s = config["lambda_functions"][function]["lambda_timeout"]
    assert found["VisibilityTimeout"] >= 6 * timeout_s


def test_every_policy_file_belongs_to_a_function() -> None:
    config = json.loads((REPOSITORY / ".chalice" / "config.json").read_text())

    used = {function["iam_policy_file"] for function in config["lambda_functions"].values()}

    assert used == {f"policies/{path.name}" for path in POLICIES}


def granted_on(resource: str, path: Path) -> set[str]:
    return {
        action
        for statement in statements(path)
        if any(resource in named for named in listed(statement["Resource"]))
        for action in listed(statement["Action"])
    }


def statements(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text())["Statement"]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
