"""Tell experiments what was served, in threads beside the prediction: exposures, measurements and
copies. A prediction never fails, and is held up for a moment at most, because one was not sent.

An exposure is sent while the endpoint is asked. A success's measurement waits for the process's
next exposure, so that it costs no call of its own: at most the last one of a process is lost, which
says nothing about an arm. What could not be sent waits likewise, and is counted once however often
it is sent; a lost exposure is rebuilt from the receipts of its outcomes.
"""

from collections import defaultdict, deque
from collections.abc import Callable
from threading import Thread
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.experiments import service as experiments
from chalicelib.experiments.events import SCALE, Event, to_ticks
from chalicelib.kit import aws
from chalicelib.kit.errors import Busy
from chalicelib.kit.telemetry import logger
from chalicelib.registry.metrics import ERRORS, LATENCY, MEASURED

_WAIT_S = 0.25
"""Longest wait for a send after the endpoint answered; a frozen function sends nothing."""
_ERROR_WAIT_S = 1.0
_MOST_WAITING = 100
_UNSENT = (Busy, ClientError, BotoCoreError)


class Trial(NamedTuple):
    """A prediction that counts in an experiment."""

    tenant: str
    experiment: str
    arm: str
    phase: int
    unit: str
    issued_at_ms: int
    nonce: str
    covariate: float | None
    segment: str | None


def expose(trial: Trial) -> Thread:
    """Start to send the exposure; wait for it once the endpoint has answered."""
    covariate = None if trial.covariate is None else to_ticks(trial.covariate)
    brought = {"covariate": covariate, "segment": trial.segment}
    return _start_to_send(trial, _event(trial).model_copy(update=brought))


def wait(
    sending: Thread, *, at_most_s: float = _WAIT_S, unsent_fact: str = "exposure_unsent"
) -> None:
    sending.join(at_most_s)
    if sending.is_alive():
        logger.warning(unsent_fact, reason=f"not within {at_most_s} s of the answer")


def keep_measurement(trial: Trial, latency_ms: float) -> None:
    """latency_ms: of the invocation, as the caller of the endpoint saw it."""
    ticks = {MEASURED: SCALE, LATENCY: to_ticks(latency_ms)}
    _waiting[trial.tenant].append(_measurement(trial, ticks))


def tell_error(trial: Trial) -> None:
    """The model or its endpoint failed: said before the caller is answered."""
    wait(_start_to_send(trial, _measurement(trial, {ERRORS: SCALE})), at_most_s=_ERROR_WAIT_S)


def send_copy(text: str) -> None:
    wait(_start(lambda: _send_copy(text)), unsent_fact="copy_unsent")


def forget() -> None:
    _waiting.clear()


def _event(trial: Trial) -> Event:
    return Event(
        id=f"{trial.nonce}/exposure",
        kind="exposure",
        subject=trial.experiment,
        arm=trial.arm,
        phase=trial.phase,
        unit=trial.unit,
        predicted_at_ms=trial.issued_at_ms,
        nonce=trial.nonce,
    )


def _measurement(trial: Trial, ticks: dict[str, int]) -> Event:
    update = {"id": f"{trial.nonce}/measurement", "kind": "measurement", "ticks": ticks}
    return _event(trial).model_copy(update=update)


def _start_to_send(trial: Trial, event: Event) -> Thread:
    waiting = _waiting[trial.tenant]
    events = [waiting.popleft() for _ in range(len(waiting))]
    return _start(lambda: _send(trial.tenant, [*events, event]))


def _start(send: Callable[[], None]) -> Thread:
    aws.queues()  # made here: boto3 cannot make clients in two threads at once
    sending = Thread(target=send, daemon=True)
    sending.start()
    return sending


def _send(tenant: str, events: list[Event]) -> None:
    try:
        experiments.send(tenant, events)
    except _UNSENT as error:
        _waiting[tenant].extend(events)
        logger.warning("exposure_unsent", error=type(error).__name__)


def _send_copy(text: str) -> None:
    try:
        experiments.send_copy(text)
    except _UNSENT as error:
        logger.warning("copy_unsent", error=type(error).__name__)


_waiting: defaultdict[str, deque[Event]] = defaultdict(lambda: deque(maxlen=_MOST_WAITING))
"""Events by tenant, that go with the next exposure; the oldest give way when there are too many."""
