"""Hand work from HTTP to the function whose role may make and remove endpoints.
What is to be done stands in the tables already: a lost call only means that it is done later."""

import json

from botocore.exceptions import ClientError

from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from chalicelib.kit.telemetry import logger


def wake(model: str, version: str) -> None:
    """Start the manager on one version and do not wait; the reconciler covers a failure.

    The call asks for nothing new: it may come twice, or after somebody has asked for the opposite.
    """
    payload = {"action": "advance_version", "model_name": model, "version": version}
    try:
        aws.functions().invoke(
            FunctionName=settings().manager_function,
            InvocationType="Event",
            Payload=json.dumps(payload).encode(),
        )
    except (ClientError, *aws.NO_ANSWER) as error:
        logger.warning("handover_failed", model=model, version=version, error=error)
