"""Events as AWS documents them, with only the values that tests vary as arguments.
Shapes: EventBridge user guide, "Amazon S3 events"; SageMaker guide, "SageMaker endpoint state
change" and "SageMaker training job state change"."""

from typing import Any


def object_created(bucket: str, key: str, *, version_id: str | None = None) -> dict[str, Any]:
    found = {"key": key, "size": 1, "etag": "0", "sequencer": "00617F08299329D189"}
    if version_id is not None:
        found["version-id"] = version_id
    detail = {
        "version": "0",
        "bucket": {"name": bucket},
        "object": found,
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "123456789012",
        "source-ip-address": "1.2.3.4",
        "reason": "PutObject",
    }
    return _event("aws.s3", "Object Created", detail)


def endpoint_changed(endpoint: str, *, status: str = "IN_SERVICE") -> dict[str, Any]:
    detail = {
        "EndpointName": endpoint,
        "EndpointArn": f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{endpoint}",
        "EndpointConfigName": endpoint,
        "EndpointStatus": status,
        "Tags": {},
    }
    return _event("aws.sagemaker", "SageMaker Endpoint State Change", detail)


def training_job_changed(job: str, *, status: str = "Completed") -> dict[str, Any]:
    detail = {
        "TrainingJobName": job,
        "TrainingJobArn": f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{job}",
        "TrainingJobStatus": status,
        "SecondaryStatus": status,
        "HyperParameters": {},
        "Tags": {},
    }
    return _event("aws.sagemaker", "SageMaker Training Job State Change", detail)


def scheduled() -> dict[str, Any]:
    return _event("aws.events", "Scheduled Event", {})


def _event(source: str, detail_type: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": detail_type,
        "source": source,
        "account": "123456789012",
        "time": "2026-11-12T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    }
