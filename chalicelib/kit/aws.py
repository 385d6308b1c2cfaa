"""The only door to boto3: clients made once per process, with timeouts and retries set here.
No feature's rules; stores and outside rooms build on it."""

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

from chalicelib.kit.settings import settings

# Standard mode backs off with full jitter and stops early when many calls fail at once.
_CONTROL = Config(
    connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
)
_STORE = Config(
    connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 4}
)
_BYTES = Config(
    connect_timeout=2, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 4}
)
# A name of our own is short; botocore's, which tells of the machine, is made anew for every call.
_NAMED = Config(user_agent="sommelier")
_MISSING_CODES = frozenset({"NoSuchKey", "NoSuchVersion", "NotFound", "404"})
THROTTLED_CODES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "429",
    }
)


@cache
def dynamodb() -> "DynamoDBClient":
    return _client("dynamodb", _STORE)


@cache
def s3() -> "S3Client":
    return _client("s3", _BYTES)


@cache
def secrets() -> "SecretsManagerClient":
    return _client("secretsmanager", _STORE)


@cache
def sagemaker() -> "SageMakerClient":
    return _client("sagemaker", _CONTROL)


@cache
def sagemaker_runtime() -> "SageMakerRuntimeClient":
    """One attempt only: the caller of a prediction decides whether to send it again."""
    return _client(
        "sagemaker-runtime",
        Config(
            connect_timeout=1,
            read_timeout=settings().invoke_timeout_s,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=32,
        ),
    )


@cache
def functions() -> "LambdaClient":
    return _client("lambda", _STORE)


@cache
def metrics() -> "CloudWatchClient":
    return _client("cloudwatch", _CONTROL)


@cache
def queues() -> "SQSClient":
    return _client("sqs", _STORE)


@cache
def autoscaling() -> "ApplicationAutoScalingClient":
    return _client("application-autoscaling", _CONTROL)


def _client(service: str, config: Config) -> Any:
    make: Any = getattr(boto3, "client")  # noqa: B009 - the stubs type only installed services
    return make(service, config=config.merge(_NAMED))


def error_code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def error_message(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Message", "")


def is_missing(error: ClientError) -> bool:
    return error_code(error) in _MISSING_CODES


def find_object(
    bucket: str, key: str, *, version: str | None = None
) -> "GetObjectOutputTypeDef | None":
    """The named version of an object in S3, or the newest, open for reading; None if it is gone."""
    named: Any = {"VersionId": version} if version else {}
    try:
        return s3().get_object(Bucket=bucket, Key=key, **named)
    except ClientError as error:
        if is_missing(error):
            return None
        raise


NO_ANSWER = (ConnectionError, HTTPClientError)
"""What botocore raises when a call got no answer: whether it was carried out is unknown."""


def is_transient(error: ClientError) -> bool:
    """True when the same call may succeed later: throttled or 5xx."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error_code(error) in THROTTLED_CODES or status >= 500 or status == 429


def may_pass(error: Exception) -> bool:
    """True for what a service did not answer, or answered with an error of the moment."""
    return isinstance(error, NO_ANSWER) or (isinstance(error, ClientError) and is_transient(error))
