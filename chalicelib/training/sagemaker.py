"""SageMaker's training jobs: asked for, looked at and stopped, by name.
Every call can be repeated: what was asked for already, or has ended already, is a success."""

from enum import StrEnum
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from chalicelib.training.model import Job

CHANNEL = "episodes"
_OPERATION = "CreateTrainingJob"


class Status(StrEnum):
    """What DescribeTrainingJob says, folded to what is done about it."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


_STATUS_BY_JOB_STATUS = {
    "InProgress": Status.RUNNING,
    "Stopping": Status.RUNNING,
    "Completed": Status.COMPLETED,
    "Failed": Status.FAILED,
    "Stopped": Status.STOPPED,
    # On its way out, by somebody else's hand: there will be nothing to follow.
    "Deleting": Status.FAILED,
}


class Training(NamedTuple):
    status: Status
    detail: str
    """SageMaker's second status, such as `Downloading` or `MaxRuntimeExceeded`."""
    failure: str
    """SageMaker's own words, which are the container's; empty when it gives none."""
    artifact: str | None
    """Key in our bucket; whether an object lies there is another question."""
    manifest: str | None
    """Key in our bucket of what it learns from."""


class NameTaken(Exception):
    """A training job of our name learns from something else: it is of another life of the stack."""


class NotSeenYet(Exception):
    """A training job of our name is there, and SageMaker does not tell of it: it was just made."""


def is_refusal(error: ClientError) -> bool:
    """True when the job itself is refused for good; other calls may succeed later."""
    return error.operation_name == _OPERATION and not aws.is_transient(error)


def submit(job: Job, *, tenant: str) -> None:
    """Start the job, unless it was before. Raises NameTaken or NotSeenYet."""
    try:
        aws.sagemaker().create_training_job(**request_of(job, tenant=tenant))
    except ClientError as error:
        if aws.is_transient(error):
            raise
        # Refused for whatever reason (its name, its own instances): it may be there already.
        found = describe(job.name)
        if found is not None and job.dataset and found.manifest == job.dataset.manifest:
            return
        if aws.error_code(error) == "ResourceInUse":
            raise (NotSeenYet if found is None else NameTaken)(job.name) from error
        raise


def describe(name: str) -> Training | None:
    """None when there is no such job."""
    try:
        found: Any = aws.sagemaker().describe_training_job(TrainingJobName=name)
    except ClientError as error:
        if _is_missing(error):
            return None
        raise
    channels = {one["ChannelName"]: one for one in found.get("InputDataConfig", [])}
    source = channels.get(CHANNEL, {}).get("DataSource", {}).get("S3DataSource", {})
    return Training(
        status=_STATUS_BY_JOB_STATUS.get(found["TrainingJobStatus"], Status.RUNNING),
        detail=found.get("SecondaryStatus", ""),
        failure=found.get("FailureReason", ""),
        artifact=_key(found.get("ModelArtifacts", {}).get("S3ModelArtifacts")),
        manifest=_key(source.get("S3Uri")),
    )


def stop(name: str) -> None:
    """Ask it to end; one that has ended already refuses, and that is as good."""
    try:
        aws.sagemaker().stop_training_job(TrainingJobName=name)
    except ClientError as error:
        if aws.error_code(error) not in ("ValidationException", "ResourceNotFound"):
            raise


def request_of(job: Job, *, tenant: str) -> Any:
    """What CreateTrainingJob is told."""
    assert job.dataset is not None
    spec, bucket = job.spec, settings().bucket
    return {
        "TrainingJobName": job.name,
        "AlgorithmSpecification": {"TrainingImage": spec.image, "TrainingInputMode": "File"},
        "RoleArn": settings().sagemaker_role_arn,
        "HyperParameters": spec.hyperparameters,
        "InputDataConfig": [
            {
                "ChannelName": CHANNEL,
                "ContentType": "application/jsonlines",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "ManifestFile",
                        "S3Uri": f"s3://{bucket}/{job.dataset.manifest}",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        # SageMaker itself puts <job>/output/model.tar.gz behind it.
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/training"},
        "CheckpointConfig": {"S3Uri": f"s3://{bucket}/training/{job.name}/checkpoints"},
        "ResourceConfig": {
            "InstanceType": spec.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": spec.volume_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": spec.max_runtime_s},
        "Tags": [
            {"Key": "sommelier:tenant", "Value": tenant},
            {"Key": "sommelier:stage", "Value": settings().stage},
            {"Key": "sommelier:model", "Value": job.model},
            {"Key": "sommelier:job", "Value": str(job.number)},
        ],
    }


def _key(url: str | None) -> str | None:
    """None for what lies in another bucket."""
    start = f"s3://{settings().bucket}/"
    return url.removeprefix(start) if url and url.startswith(start) else None


def _is_missing(error: ClientError) -> bool:
    """DescribeTrainingJob says so by a code of its own, or by a ValidationException as others."""
    if aws.error_code(error) == "ResourceNotFound":
        return True
    said = aws.error_message(error).lower()
    is_said = "not found" in said or "could not find" in said or "does not exist" in said
    return aws.error_code(error) == "ValidationException" and is_said
