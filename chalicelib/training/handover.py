"""Hand work from HTTP to the function whose role may start and stop training jobs.
What is to be done stands in the tables already: a lost call only means that it is done later."""

import json

from botocore.exceptions import ClientError

from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from chalicelib.kit.telemetry import logger


def wake(model: str, job: str) -> None:
    """Have one job looked at and do not wait; the schedule covers a failure."""
    payload = {"action": "advance_job", "model_name": model, "job_name": job}
    try:
        aws.functions().invoke(
            FunctionName=settings().retraining_function,
            InvocationType="Event",
            Payload=json.dumps(payload).encode(),
        )
    except (ClientError, *aws.NO_ANSWER) as error:
        logger.warning("handover_failed", model=model, key=job, error=error)
