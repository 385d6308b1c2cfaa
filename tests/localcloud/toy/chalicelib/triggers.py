"""The toy's event handlers; each leaves what it saw in the bucket."""

import json
import os
import time
import uuid
from typing import Any

import boto3
from botocore.exceptions import ClientError
from chalice import Blueprint

bp = Blueprint(__name__)

_UPLOADS = {
    "source": ["aws.s3"],
    "detail-type": ["Object Created"],
    "detail": {"bucket": {"name": ["${Bucket}"]}, "object": {"key": [{"prefix": "models/"}]}},
}


@bp.on_cw_event(_UPLOADS)
def on_upload(event: Any) -> None:
    detail = event.to_dict()["detail"]
    _keep(f"artifacts/{detail['object']['key']}.json", detail)
    if detail["object"]["key"].endswith("broken"):
        raise RuntimeError("this upload always fails")


@bp.schedule("rate(1 minute)")
def tick(event: Any) -> None:
    _keep("artifacts/tick.json", event.to_dict())


@bp.on_sqs_message(
    queue_arn="arn:aws:sqs:REGION:ACCOUNT:WORK",
    batch_size=100,
    maximum_batching_window_in_seconds=1,
)
def consume(event: Any) -> dict[str, Any]:
    """Keep the batch, fail what is poison, and answer nonsense to nonsense."""
    body_by_id = {each["messageId"]: each["body"] for each in event.to_dict()["Records"]}
    _keep(f"artifacts/batches/{uuid.uuid4()}.json", list(body_by_id.values()))
    if any(body == "crash" for body in body_by_id.values()):
        raise RuntimeError("this batch always fails")
    failed = [message_id for message_id, body in body_by_id.items() if body == "poison"]
    failed += ["no-message-of-mine" for body in body_by_id.values() if body == "nonsense"]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


@bp.lambda_function(name="worker")
def worker(event: dict[str, Any], context: Any) -> Any:
    match event.get("action"):
        case "sleep":
            time.sleep(event["seconds"])
        case "environment":
            return dict(os.environ)
        case "send":
            entries = [{"Id": "1", "MessageBody": event["body"]}]
            queue = os.environ["WORK_QUEUE_URL"]
            boto3.client("sqs").send_message_batch(QueueUrl=queue, Entries=entries)
        case "overreach":
            return _overreach()
    return {"pid": os.getpid(), "left_ms": context.get_remaining_time_in_millis()}


def _overreach() -> str:
    try:
        _keep("elsewhere/overreach.json", {})
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "allowed"


def _keep(key: str, value: Any) -> None:
    body = json.dumps(value).encode()
    boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key=key, Body=body)
