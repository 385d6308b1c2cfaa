"""Deploy a template to the emulator as one CloudFormation stack, and only when it changed.
Nothing here starts a process."""

import contextlib
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.places import REGION, ROOT_KEY, STACK
from localcloud.templates import app_template, bases_template, binary_media_types, tables

CODE_BUCKET = f"{STACK}-deployments"
TEMPLATE_KEY = "template.json"
DIGEST_TAG = "digest"
DEPLOY_TIMEOUT_S = 60.0

_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


class DeployFailed(Exception):
    """The stack did not become complete; the message lists the resources that failed."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack: its outputs, and physical by logical names."""

    outputs: dict[str, str]
    resources: dict[str, str]


def client(service: str, endpoint_url: str) -> Any:
    """Return a boto3 client of the account's root at an address of the offline cloud."""
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=ROOT_KEY,
        aws_secret_access_key=ROOT_KEY,
        config=Config(retries={"mode": "standard", "max_attempts": 3}, read_timeout=120),
    )


def deploy_bases(endpoint_url: str, root: Path) -> Stack:
    """Deploy what the app stands on, without the app."""
    return _deploy(endpoint_url, bases_template(root))


def deploy_app(endpoint_url: str, root: Path, built: Path) -> Stack:
    """Deploy the packaged app: built holds deployment.zip and template.yaml."""
    code = (built / "deployment.zip").read_bytes()
    key = f"{hashlib.sha256(code).hexdigest()}.zip"
    _keep(endpoint_url, key, code)
    path = built / "template.yaml"
    template = app_template(path, code_bucket=CODE_BUCKET, code_key=key, root=root)
    return _deploy(endpoint_url, template)


def _keep(endpoint_url: str, key: str, content: bytes) -> None:
    s3 = client("s3", endpoint_url)
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=CODE_BUCKET)
    s3.put_object(Bucket=CODE_BUCKET, Key=key, Body=content)


def _deploy(endpoint_url: str, template: Any) -> Stack:
    cloudformation = client("cloudformation", endpoint_url)
    body = json.dumps(template, sort_keys=True)
    digest = hashlib.sha256(body.encode()).hexdigest()
    current = _described(cloudformation)
    if current is not None and current["StackStatus"] in ("ROLLBACK_COMPLETE", "CREATE_FAILED"):
        cloudformation.delete_stack(StackName=STACK)  # such a stack can only be deleted
        _settled(cloudformation)
        current = None
    if current is None or not _is_current(current, digest):
        act = cloudformation.create_stack if current is None else cloudformation.update_stack
        tags = [{"Key": DIGEST_TAG, "Value": digest}]
        # Through a bucket, as on AWS: a request itself takes 51,200 bytes of a template at most.
        _keep(endpoint_url, TEMPLATE_KEY, body.encode())
        url = f"{endpoint_url}/{CODE_BUCKET}/{TEMPLATE_KEY}"
        act(StackName=STACK, TemplateURL=url, Capabilities=_CAPABILITIES, Tags=tags)
        current = _settled(cloudformation)
        if current is None or not _is_complete(current):
            raise DeployFailed(_failures(cloudformation))
    stack = _stack(cloudformation, current)
    _apply_dropped(endpoint_url, template, stack)
    return stack


def _is_complete(described: Any) -> bool:
    return described["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def _is_current(described: Any, digest: str) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}
    return _is_complete(described) and tags.get(DIGEST_TAG) == digest


def _described(cloudformation: Any) -> Any:
    try:
        found = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if found["StackStatus"] == "DELETE_COMPLETE" else found


def _settled(cloudformation: Any) -> Any:
    deadline = time.monotonic() + DEPLOY_TIMEOUT_S
    while time.monotonic() < deadline:
        found = _described(cloudformation)
        if found is None or not found["StackStatus"].endswith("IN_PROGRESS"):
            return found
        time.sleep(0.05)
    raise DeployFailed(f"stack {STACK} did not settle in {DEPLOY_TIMEOUT_S} s")


def _failures(cloudformation: Any) -> str:
    events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    reasons = [f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason')}" for e in failed]
    return f"stack {STACK} failed: " + "; ".join(reasons)


def _stack(cloudformation: Any, described: Any) -> Stack:
    resources = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    return Stack(
        outputs={o["OutputKey"]: o["OutputValue"] for o in described.get("Outputs", [])},
        resources={r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources},
    )


def _apply_dropped(endpoint_url: str, template: Any, stack: Stack) -> None:
    """Apply by API what the emulator's CloudFormation leaves out and the app depends on."""
    dynamodb = client("dynamodb", endpoint_url)
    for logical_id, properties in tables(template):
        _apply_to_table(dynamodb, stack.resources[logical_id], properties)
    if media_types := binary_media_types(template):
        _apply_media_types(endpoint_url, stack.resources["RestAPI"], media_types)


def _apply_to_table(dynamodb: Any, name: str, properties: Any) -> None:
    if recovery := properties.get("PointInTimeRecoverySpecification"):
        dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification=recovery
        )
    wanted = properties.get("TimeToLiveSpecification")
    described = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if wanted and described["TimeToLiveStatus"] != "ENABLED":
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)


def _apply_media_types(endpoint_url: str, api_id: str, media_types: list[str]) -> None:
    """Without them the emulator decodes every body as text, and bytes over 0x7f are lost."""
    gateway = client("apigateway", endpoint_url)
    present = gateway.get_rest_api(restApiId=api_id).get("binaryMediaTypes", [])
    escaped = [media_type.replace("/", "~1") for media_type in media_types]
    missing = [name for name in escaped if name not in present]
    if missing:
        patches = [{"op": "add", "path": f"/binaryMediaTypes/{name}"} for name in missing]
        gateway.update_rest_api(restApiId=api_id, patchOperations=patches)
