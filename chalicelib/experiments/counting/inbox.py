"""Messages of the queue of what is to be counted: which of them are done with, and which fail.
How an event is counted, and when it is not, is `counting`'s part."""

import functools
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import ValidationError

from chalicelib.experiments.counting import service as counting
from chalicelib.experiments.events import Batch
from chalicelib.kit.clock import Deadline
from chalicelib.kit.telemetry import logger


class _Failed(NamedTuple):
    reason: str
    may_pass: bool


def take(bodies: Mapping[str, str], *, deadline: Deadline | None = None) -> list[str]:
    """Count the events of all messages, given by id; the answer names those to be brought again.

    A message that fails is named in the log, alone: what can be counted of it and of its
    neighbours is counted.
    """
    failed: dict[str, _Failed] = {}
    batches: dict[str, Batch] = {}
    for message, body in bodies.items():
        try:
            batches[message] = Batch.model_validate_json(body)
        except ValidationError as error:
            failed[message] = _Failed(_where(error), may_pass=False)
    for tenant in {batch.tenant: None for batch in batches.values()}:
        of_tenant = {key: batch for key, batch in batches.items() if batch.tenant == tenant}
        failed |= _count(tenant, of_tenant, deadline)
    for message, (reason, may_pass) in failed.items():
        if may_pass:
            logger.warning("message_postponed", key=message, reason=reason)
        else:
            logger.error("message_refused", key=message, reason=reason)
    return list(failed)


def _count(
    tenant: str, batches: Mapping[str, Batch], deadline: Deadline | None
) -> dict[str, _Failed]:
    uncounted = counting.count(
        tenant,
        [event for batch in batches.values() for event in batch.events],
        rules_of=functools.partial(counting.rules_of, tenant),
        deadline=deadline,
    )
    reasons = {id(one.event): _Failed(one.reason, one.may_pass) for one in uncounted}
    failed: dict[str, _Failed] = {}
    for message, batch in batches.items():
        found = [reasons[id(event)] for event in batch.events if id(event) in reasons]
        if found:
            failed[message] = min(found, key=lambda one: one.may_pass)
    return failed


def _where(error: ValidationError) -> str:
    """The first fault: where it is, and its kind; never what was there."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['type']}"[:200]
