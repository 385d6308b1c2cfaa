"""SageMaker and Application Auto Scaling: one endpoint per name, made, looked at and taken down.
Every call can be repeated: what exists already, or is gone already, is a success."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.deployments.model import VARIANT, Deployment
from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from chalicelib.registry.model import Autoscaling, RealtimeHosting, ServerlessHosting

_FOR_AN_ATTEMPT = frozenset(
    {
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
        "RegisterScalableTarget",
        "PutScalingPolicy",
        "InvokeEndpoint",
    }
)
_DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_SMOKE_ANSWER_BYTES = 300


class Status(StrEnum):
    """What DescribeEndpoint says, folded to what a deployer does about it."""

    IN_SERVICE = "in-service"
    CHANGING = "changing"
    BROKEN = "broken"


_STATUS_BY_ENDPOINT_STATUS = {
    "InService": Status.IN_SERVICE,
    "Creating": Status.CHANGING,
    "Updating": Status.CHANGING,
    "SystemUpdating": Status.CHANGING,
    "RollingBack": Status.CHANGING,
    "Deleting": Status.CHANGING,
    "Failed": Status.BROKEN,
    "OutOfService": Status.BROKEN,
    "UpdateRollbackFailed": Status.BROKEN,
}


class Endpoint(NamedTuple):
    status: Status
    config: str
    failure: str
    """SageMaker's own words; empty when it gives none."""


class SmokeTestFailed(Exception):
    """The new endpoint refused the archive's own sample request."""


def is_refusal(error: ClientError) -> bool:
    """True when a call that an attempt needs is refused for good: it ends the attempt.

    Other calls, and other services that a step uses, must not: theirs may succeed later.
    """
    return error.operation_name in _FOR_AN_ATTEMPT and not aws.is_transient(error)


def create(deployment: Deployment, *, tenant: str) -> None:
    """Make model, endpoint config and endpoint, whichever of them is not there yet."""
    tags = _tags(deployment, tenant)
    _unless_it_exists(lambda: _create_model(deployment, tags))
    _unless_it_exists(lambda: _create_config(deployment, tags))
    _unless_it_exists(
        lambda: aws.sagemaker().create_endpoint(
            EndpointName=deployment.name, EndpointConfigName=deployment.name, Tags=tags
        )
    )


def describe(name: str) -> Endpoint | None:
    """None when there is no such endpoint."""
    try:
        found = aws.sagemaker().describe_endpoint(EndpointName=name)
    except ClientError as error:
        if _is_missing(error):
            return None
        raise
    return Endpoint(
        status=_STATUS_BY_ENDPOINT_STATUS.get(found["EndpointStatus"], Status.BROKEN),
        config=found.get("EndpointConfigName", ""),
        failure=found.get("FailureReason", ""),
    )


def register_autoscaling(name: str, hosting: RealtimeHosting) -> None:
    """Scale on invocations per instance and minute; nothing when the settings ask for none."""
    scaling: Autoscaling | None = hosting.autoscaling
    if scaling is None:
        return
    target: Any = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/{VARIANT}",
        "ScalableDimension": _DIMENSION,
    }
    aws.autoscaling().register_scalable_target(
        **target, MinCapacity=scaling.min_instances, MaxCapacity=scaling.max_instances
    )
    aws.autoscaling().put_scaling_policy(
        **target,
        PolicyName=f"{name}-invocations",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": float(scaling.invocations_per_instance_per_minute),
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
        },
    )


def smoke_test(name: str, sample: bytes) -> None:
    """Raises SmokeTestFailed when the model refuses its own sample; other errors pass through."""
    try:
        aws.sagemaker_runtime().invoke_endpoint(
            EndpointName=name, Body=sample, ContentType="application/json"
        )
    except ClientError as error:
        if aws.error_code(error) != "ModelError":
            raise
        said = str(error.response.get("OriginalMessage", ""))[:_SMOKE_ANSWER_BYTES]
        status = error.response.get("OriginalStatusCode", 0)
        raise SmokeTestFailed(f"sample.json was answered with {status!r}: {said!r}") from error


def take_down(name: str) -> bool:
    """Delete what bears the name, endpoint first; False while SageMaker is still busy with it."""
    endpoint = aws.sagemaker().describe_endpoint
    try:
        status = endpoint(EndpointName=name)["EndpointStatus"]
    except ClientError as error:
        if not _is_missing(error):
            raise
    else:
        if _STATUS_BY_ENDPOINT_STATUS.get(status) is Status.CHANGING:
            return False
        _deregister_autoscaling(name)
        _unless_it_is_gone(lambda: aws.sagemaker().delete_endpoint(EndpointName=name))
    _unless_it_is_gone(lambda: aws.sagemaker().delete_endpoint_config(EndpointConfigName=name))
    _unless_it_is_gone(lambda: aws.sagemaker().delete_model(ModelName=name))
    return True


def _create_model(deployment: Deployment, tags: Any) -> None:
    spec = deployment.spec
    aws.sagemaker().create_model(
        ModelName=deployment.name,
        ExecutionRoleArn=settings().sagemaker_role_arn,
        PrimaryContainer={
            "Image": spec.image,
            "ModelDataUrl": spec.archive_url,
            "Environment": spec.environment,
        },
        Tags=tags,
    )


def _create_config(deployment: Deployment, tags: Any) -> None:
    variant: Any = {"VariantName": VARIANT, "ModelName": deployment.name}
    further: Any = {}
    match deployment.spec.hosting:
        case ServerlessHosting() as hosting:
            variant["ServerlessConfig"] = {
                "MemorySizeInMB": hosting.memory_mb,
                "MaxConcurrency": hosting.max_concurrency,
            }
        case RealtimeHosting() as hosting:
            variant["InitialInstanceCount"] = hosting.instance_count
            variant["InstanceType"] = hosting.instance_type
            further = _capture(deployment, hosting)
    aws.sagemaker().create_endpoint_config(
        EndpointConfigName=deployment.name, ProductionVariants=[variant], Tags=tags, **further
    )


def _capture(deployment: Deployment, hosting: RealtimeHosting) -> Any:
    if hosting.capture_percent == 0:
        return {}
    return {
        "DataCaptureConfig": {
            "EnableCapture": True,
            "InitialSamplingPercentage": hosting.capture_percent,
            "DestinationS3Uri": f"s3://{settings().bucket}/capture/{deployment.model}",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        }
    }


def _deregister_autoscaling(name: str) -> None:
    """Deregistering a target deletes its policies; most endpoints have none."""
    try:
        aws.autoscaling().deregister_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=f"endpoint/{name}/variant/{VARIANT}",
            ScalableDimension=_DIMENSION,
        )
    except ClientError as error:
        if aws.error_code(error) != "ObjectNotFoundException":
            raise


def _tags(deployment: Deployment, tenant: str) -> Any:
    return [
        {"Key": "sommelier:tenant", "Value": tenant},
        {"Key": "sommelier:stage", "Value": settings().stage},
        {"Key": "sommelier:model", "Value": deployment.model},
        {"Key": "sommelier:version", "Value": deployment.version},
    ]


def _unless_it_exists(call: Callable[[], object]) -> None:
    try:
        call()
    except ClientError as error:
        if "already exist" not in aws.error_message(error):
            raise


def _unless_it_is_gone(call: Callable[[], object]) -> None:
    try:
        call()
    except ClientError as error:
        if not _is_missing(error):
            raise


def _is_missing(error: ClientError) -> bool:
    """SageMaker has no code of its own for this: it is a ValidationException that says so."""
    return aws.error_code(error) in {"ValidationException", "ResourceNotFound"} and (
        "could not find" in aws.error_message(error).lower()
        or "does not exist" in aws.error_message(error).lower()
    )
