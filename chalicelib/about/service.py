"""Is everything we depend on there? Each dependency is asked one small question, all at once.
What is wrong in detail goes to the log, not to the caller."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.about.model import Dependency, Health
from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from chalicelib.kit.telemetry import logger

_OPEN_ACCESS = "ACCESS_MODE=open: every caller acts as admin"


def health() -> Health:
    checks = _checks()
    with ThreadPoolExecutor(max_workers=len(checks)) as pool:
        dependencies = list(pool.map(_ask, checks.keys(), checks.values()))
    is_healthy = all(dependency.status == "up" for dependency in dependencies)
    return Health(
        status="healthy" if is_healthy else "unhealthy",
        stage=settings().stage,
        dependencies=dependencies,
        warnings=[_OPEN_ACCESS] if settings().access_mode == "open" else [],
    )


def _checks() -> dict[str, Callable[[], object]]:
    return {
        "control-table": partial(_read_table, settings().control_table),
        "ledger-table": partial(_query_table, settings().ledger_table),
        "outcomes-table": partial(_read_table, settings().outcomes_table),
        "outcomes-queue": partial(_look_at_queue, settings().outcomes_queue_url),
        "shadow-queue": partial(_look_at_queue, settings().shadow_queue_url),
        "bucket": lambda: aws.s3().head_bucket(Bucket=settings().bucket),
        "receipt-keys": partial(_read_secret, settings().receipt_keys_secret),
        "unit-key": partial(_read_secret, settings().unit_key_secret),
        "sagemaker": _describe_nothing,
    }


def _ask(name: str, check: Callable[[], object]) -> Dependency:
    started_at = time.perf_counter()
    try:
        check()
    except (ClientError, BotoCoreError) as error:
        logger.error("dependency_down", provider=name, error=str(error)[:500])
        return Dependency(name=name, status="down", latency_ms=_since(started_at))
    return Dependency(name=name, status="up", latency_ms=_since(started_at))


def _since(started_at: float) -> float:
    return round((time.perf_counter() - started_at) * 1000, 1)


def _read_table(table: str) -> None:
    aws.dynamodb().get_item(TableName=table, Key={"pk": {"S": "health"}, "sk": {"S": "health"}})


def _query_table(table: str) -> None:
    aws.dynamodb().query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "health"}},
        Limit=1,
    )


def _look_at_queue(url: str) -> None:
    aws.queues().get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])


def _read_secret(secret: str) -> None:
    aws.secrets().get_secret_value(SecretId=secret)


def _describe_nothing() -> None:
    """A name that never exists: that SageMaker says so is the sign of life."""
    try:
        aws.sagemaker().describe_endpoint(EndpointName=f"{settings().resource_prefix}-health")
    except ClientError as error:
        if aws.error_code(error) != "ValidationException":
            raise
