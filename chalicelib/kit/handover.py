"""Hand work from HTTP to a function whose role may do more, without waiting for it.
What is to be done stands in the tables already: a lost call only means that it is done later."""

import json
from collections.abc import Mapping

from botocore.exceptions import ClientError

from chalicelib.kit import aws
from chalicelib.kit.telemetry import logger


def hand_over(function: str, payload: Mapping[str, str], **told: str) -> None:
    """Call the function and do not wait; a failure is logged with `told`, and a schedule covers it.

    payload: asks for nothing new, because the call may come twice, or late.
    """
    try:
        aws.functions().invoke(
            FunctionName=function,
            InvocationType="Event",
            Payload=json.dumps(payload).encode(),
        )
    except (ClientError, *aws.NO_ANSWER) as error:
        logger.warning("handover_failed", **told, error=error)
