"""What every non-HTTP entry point shares: a log line in, a log line out, errors logged and raised.
Lambda imports these modules without `app.py`, so nothing here may depend on the Chalice object."""

import functools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from chalicelib.kit.telemetry import logger

if TYPE_CHECKING:
    from chalice.app import SQSEvent

P = ParamSpec("P")
E = TypeVar("E")
R = TypeVar("R")


def trigger(handler: Callable[Concatenate[E, P], R]) -> Callable[Concatenate[E, P], R]:
    """Log the run of an event handler; an exception is logged and raised again, so that Lambda
    retries the event and at last hands it to the dead-letter queue."""

    @functools.wraps(handler)
    def run(event: E, *args: P.args, **kwargs: P.kwargs) -> R:
        started_at = time.perf_counter()
        try:
            result = handler(event, *args, **kwargs)
        except Exception:
            logger.error("trigger_failed", trace=True, handler=handler.__qualname__)
            raise
        duration_ms = round((time.perf_counter() - started_at) * 1000, 1)
        logger.info("trigger_finished", handler=handler.__qualname__, duration_ms=duration_ms)
        return result

    return run


def answer_batch(
    event: "SQSEvent", take: Callable[[Mapping[str, str]], Iterable[str]]
) -> dict[str, list[dict[str, str]]]:
    """Hand the messages of a queue over, bodies by id; those that `take` names come again."""
    records = event.to_dict()["Records"]
    failed = take({record["messageId"]: record["body"] for record in records})
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}
