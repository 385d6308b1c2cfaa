"""What changes in the shipped template so that the emulator can run it; each change says why.
Pure: nothing here touches AWS."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chalice.package import YAMLTemplateSerializer

from tools.template import functions, with_references

Node = Any

_BASES = ("AWS::DynamoDB::", "AWS::IAM::", "AWS::S3::", "AWS::SQS::", "AWS::SecretsManager::")
_ENVIRONMENT = "Environment"
QUEUE_WORKERS = 2
"""The least that AWS takes."""


def app_template(built: Path, *, code_bucket: str, code_key: str, root: Path) -> Node:
    """Return the packaged app's template with its code in the emulator's S3."""
    template = _load(built)
    for _, function in functions(template):
        function["Properties"]["CodeUri"] = {"Bucket": code_bucket, "Key": code_key}
        for event in function["Properties"].get("Events", {}).values():
            # Here all workers of a queue start on one machine, each with a second of its CPU.
            if "ScalingConfig" in event["Properties"]:
                event["Properties"]["ScalingConfig"] = {"MaximumConcurrency": QUEUE_WORKERS}
    return _adapted(template, root)


def bases_template(root: Path) -> Node:
    """Return the tables, bucket, secrets, queues and roles of resources.yaml, without functions."""
    template = _load(root / ".chalice" / "resources.yaml")
    resources = template["Resources"].items()
    kept = {name: found for name, found in resources if found.get("Type", "").startswith(_BASES)}
    return _adapted({**template, "Resources": kept, "Outputs": {}}, root)


def app_environment(outputs: dict[str, str], root: Path) -> dict[str, str]:
    """Return the functions' environment variables as the stack resolved them."""
    return {name: outputs[_output(name)] for name in _variables(root)}


def tables(template: Node) -> Iterator[tuple[str, Node]]:
    """Yield every DynamoDB table with its logical id."""
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == "AWS::DynamoDB::Table":
            yield logical_id, resource["Properties"]


def binary_media_types(template: Node) -> list[str]:
    """Return the content types that API Gateway hands on as bytes."""
    body = template["Resources"].get("RestAPI", {}).get("Properties", {}).get("DefinitionBody", {})
    return body.get("x-amazon-apigateway-binary-media-types", [])


def _adapted(template: Node, root: Path) -> Node:
    adapted = copy.deepcopy(template)
    # It denies every request without TLS, and the offline cloud speaks plain HTTP on loopback.
    adapted["Resources"].pop("BucketPolicy", None)
    for name, value in _variables(root).items():
        adapted.setdefault("Outputs", {})[_output(name)] = {"Value": with_references(value)}
    return adapted


def _variables(root: Path) -> dict[str, str]:
    config = json.loads((root / ".chalice" / "config.json").read_text())
    stage = config["stages"]["dev"]
    return config.get("environment_variables", {}) | stage.get("environment_variables", {})


def _output(variable: str) -> str:
    return _ENVIRONMENT + variable.title().replace("_", "")


def _load(path: Path) -> Node:
    return YAMLTemplateSerializer().load_template(path.read_text(), path.name)
