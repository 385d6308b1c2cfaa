"""Answer copies of predictions by the experiment's other arm, and tell how the two answers compare.
No caller waits here, and nobody sees these answers."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from botocore.exceptions import ClientError
from pydantic import ValidationError

from chalicelib.experiments import service as experiments
from chalicelib.experiments.events import SCALE, Event, to_ticks
from chalicelib.experiments.model import CONTROL, Comparing
from chalicelib.experiments.traffic import Route
from chalicelib.kit import aws
from chalicelib.kit.errors import Failure, NotFound
from chalicelib.kit.telemetry import logger
from chalicelib.registry import service as registry
from chalicelib.registry.metrics import AGREEMENTS, ERROR_DIFFERENCE, LATENCY_DIFFERENCE, PAIRS
from chalicelib.registry.model import Live
from chalicelib.serving import copies, endpoints
from chalicelib.serving.comparing import agree
from chalicelib.serving.copies import Copy, Reply
from chalicelib.serving.model import (
    EndpointBusy,
    InputRefused,
    ModelFailed,
    ModelTimeout,
    Output,
    Request,
)

_OLDEST_MS = 3_600_000
_AT_ONCE = 4
_PAUSES_S = (0.1, 0.4, 1.0)
"""Between tries of an endpoint that is busy; a message that fails comes back minutes later."""
_MAY_PASS = (Failure, ClientError, *aws.NO_ANSWER)


class _Task(NamedTuple):
    """A copy, and the version that is asked as well."""

    message_id: str
    copy: Copy
    route: Route
    live: Live


def answer(bodies: Mapping[str, str]) -> list[str]:
    """The ids of the messages that failed, to come again; each is named in the log.

    bodies: by the id of the message.
    """
    failed: list[str] = []
    prepared = (_prepare(message, body, failed) for message, body in bodies.items())
    tasks = [task for task in prepared if task]
    if not tasks:
        return failed
    aws.sagemaker_runtime()  # made here: boto3 cannot make clients in two threads at once
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
        pairs = list(threads.map(_ask, tasks))
    told = [(task, pair) for task, pair in zip(tasks, pairs, strict=True) if pair]
    failed += [task.message_id for task, pair in zip(tasks, pairs, strict=True) if not pair]
    for tenant in sorted({task.copy.tenant for task, _ in told}):
        part = [(task, pair) for task, pair in told if task.copy.tenant == tenant]
        try:
            experiments.send(tenant, [pair for _, pair in part])
        except _MAY_PASS as error:
            failed += [task.message_id for task, _ in part]
            logger.warning("pairs_unsent", tenant=tenant, error=type(error).__name__)
    return failed


def _prepare(message: str, body: str, failed: list[str]) -> _Task | None:
    """None for a copy that is dropped, or that failed."""
    try:
        copy = Copy.model_validate_json(body)
    except ValidationError as error:
        reason = str(error.errors(include_url=False, include_input=False))
        logger.error("copy_refused", key=message, reason=reason[:500])
        failed.append(message)
        return None
    try:
        found = _find(copy)
    except _MAY_PASS as error:
        _log_failure(message, copy, error)
        failed.append(message)
        return None
    if isinstance(found, str):
        logger.info("copy_dropped", model=copy.model, key=copy.experiment, reason=found)
        return None
    return _Task(message, copy, *found)


def _find(copy: Copy) -> tuple[Route, Live] | str:
    """Or why nobody is asked."""
    if time.time_ns() // 1_000_000 - copy.issued_at_ms > _OLDEST_MS:
        return "it is too old"
    routes = experiments.routes_of(copy.tenant, copy.model).routes
    route = next((route for route in routes if route.experiment == copy.experiment), None)
    if route is None or route.mode == "split" or copy.arm not in route.versions:
        return "its experiment does not run"
    version = next(version for arm, version in route.versions.items() if arm != copy.arm)
    try:
        live = registry.live(copy.tenant, copy.model, version)
    except NotFound:
        live = None
    return (route, live) if live else f"version {version!r} is not in service"


def _ask(task: _Task) -> Event | None:
    """None when the endpoint cannot answer now."""
    copy = task.copy
    for pause_s in (0.0, *_PAUSES_S):
        time.sleep(pause_s)
        started_s = time.perf_counter()
        try:
            output = _invoke(task)
        except EndpointBusy:
            continue
        except _MAY_PASS as error:
            _log_failure(task.message_id, copy, error)
            return None
        latency_ms = (time.perf_counter() - started_s) * 1000
        return pair_of(copy, copies.reply_of(output, latency_ms), task.route.comparing)
    logger.warning("copy_postponed", key=task.message_id, endpoint=task.live.endpoint)
    return None


def _invoke(task: _Task) -> Output | None:
    """None when the model fails: to refuse what the other arm takes is an error as well."""
    copy = task.copy
    request = Request(copy.question.content, copy.question.content_type, copy.accept)
    try:
        return endpoints.invoke(task.live, request)
    except (ModelFailed, ModelTimeout, InputRefused):
        return None


def pair_of(copy: Copy, other: Reply, comparing: Comparing) -> Event:
    """Differences are challenger minus control. That of the latencies is 0 when either failed: how
    soon something failed is no latency."""
    both = (copy.reply, other)
    control, challenger = both if copy.arm == CONTROL else both[::-1]
    agreed = control.output is None and challenger.output is None
    slower_ms = 0.0
    if control.output and challenger.output:
        one, two = control.output, challenger.output
        agreed = agree(
            Output(one.content, one.content_type), Output(two.content, two.content_type), comparing
        )
        slower_ms = challenger.latency_ms - control.latency_ms
    return Event(
        id=f"{copy.nonce}/pair",
        kind="pair",
        subject=copy.experiment,
        arm=copy.arm,
        phase=copy.phase,
        unit=copy.unit,
        predicted_at_ms=copy.issued_at_ms,
        nonce=copy.nonce,
        ticks={
            PAIRS: SCALE,
            AGREEMENTS: SCALE if agreed else 0,
            LATENCY_DIFFERENCE: to_ticks(slower_ms),
            ERROR_DIFFERENCE: SCALE * ((challenger.output is None) - (control.output is None)),
        },
        differs=not agreed,
    )


def _log_failure(message_id: str, copy: Copy, error: Exception) -> None:
    logger.warning("copy_failed", key=message_id, model=copy.model, error=type(error).__name__)
