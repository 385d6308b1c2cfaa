"""Every environment variable that the product reads, with its type, unit and default.
The only module that looks at the environment; it looks on first use, never at import."""

import os
from functools import cache
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from chalicelib.kit.values import Value


class Settings(Value):
    stage: Literal["local", "dev", "staging", "prod"]
    """Which deployment this is."""
    tenant_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")] = "dev"
    """First part of every key; comes from the caller's token once access is closed."""
    access_mode: Literal["open"] = "open"
    """`open` lets every caller act as admin; the role that each route asks for is declared all
    the same."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is written."""
    control_table: str
    """DynamoDB table of models, versions, stage history and deployments."""
    ledger_table: str
    """DynamoDB table of the audit log; roles may put and query, never change or delete."""
    outcomes_table: str
    """DynamoDB table of what was counted: units, outcomes seen, sums."""
    bucket: str
    """S3 bucket of uploads (`models/`, `feedback/`), accepted bytes (`artifacts/`) and captured
    data."""
    receipt_keys_secret: str
    """Secrets Manager id of the keys that sign receipts:
    `{"current": "k1", "k1": "<random text>"}`."""
    unit_key_secret: str
    """Secrets Manager id of the random text that keys the hashes of units; a change of it assigns
    every unit anew."""
    outcomes_queue_url: str
    """SQS queue of exposures, measurements and outcomes on their way to be counted."""
    shadow_queue_url: str
    """SQS queue of predictions whose question a second version is asked as well."""
    sagemaker_role_arn: str
    """Role that SageMaker assumes to read artifacts and write captured data."""
    manager_function: str
    """Name of the Lambda function `model-version-manager`: makes and removes endpoints for HTTP,
    whose own role may not."""
    retraining_function: str
    """Name of the Lambda function `model-retraining-trigger`: starts and stops training jobs for
    HTTP, whose own role may not."""
    default_image: str
    """Container image URI of models whose settings name none: the ONNX scorer."""
    resource_prefix: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9-]{0,19}$")]
    """First part of every SageMaker name; policies grant nothing outside it."""
    routing_ttl_s: PositiveFloat = 2.0
    """How long a function serves from its cached routing table; a promotion is seen within it."""
    secrets_ttl_s: PositiveFloat = 300.0
    """How long a function keeps secrets; a rotated receipt key is used within it."""
    invoke_timeout_s: PositiveFloat = 24.0
    """Longest wait for an endpoint's answer; all in all API Gateway waits 29 s."""
    reward_model: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")] = "reward"
    """Model that predicts rewards."""
    reward_cache_ttl_s: NonNegativeFloat = 60.0
    """How long a reward is given again to the same question by the same version; 0 asks anew each
    time."""
    reward_cache_entries: PositiveInt = 1_000
    """How many such answers a function keeps."""
    outcome_window_days: PositiveInt = 90
    """How long after a prediction its outcomes are taken."""
    lease_s: PositiveInt = 180
    """How long one deployer holds a version before another may take over; no step is longer."""
    creation_timeout_s: PositiveInt = 1_800
    """How long an endpoint may be in creation before the attempt is given up as failed."""


@cache
def settings() -> Settings:
    """Raises pydantic.ValidationError naming every variable that is missing or wrong."""
    known = Settings.model_fields
    given = {name: os.environ[name.upper()] for name in known if name.upper() in os.environ}
    return Settings.model_validate(given)
