"""Answer a prediction: ask the endpoint that was chosen, issue the receipt, tell experiments.
Warm and without an experiment this makes no call but the one to the endpoint."""

import secrets
import time
from typing import NamedTuple

from chalicelib.kit import strictjson
from chalicelib.kit.errors import Busy, Malformed, Upstream
from chalicelib.kit.media import JSON, check_accept, media_type_of
from chalicelib.kit.telemetry import logger
from chalicelib.receipts import service as receipts
from chalicelib.receipts.model import Receipt
from chalicelib.registry.model import Live
from chalicelib.serving import choosing, endpoints, telling
from chalicelib.serving.choosing import Choice
from chalicelib.serving.model import (
    MAX_BODY_BYTES,
    MAX_SERVERLESS_BODY_BYTES,
    Answered,
    Asking,
    Earlier,
    EndpointMissing,
    InputRefused,
    InputTooLarge,
    Kept,
    NoChampion,
    Output,
    Request,
    Visit,
)
from chalicelib.serving.telling import Trial


class _Asked(NamedTuple):
    """One prediction, before it is known what comes of it."""

    tenant: str
    model: str
    request: Request
    visit: Visit
    choice: Choice
    issued_at_ms: int
    nonce: str


class _Served(NamedTuple):
    """age_s: None where the endpoint was asked."""

    live: Live
    output: Output
    latency_ms: float
    age_s: float | None = None


def predict(
    tenant: str, model: str, request: Request, visit: Visit, *, kept: Kept | None = None
) -> Answered:
    """kept: answers that may be given again; without it the endpoint is asked in any case."""
    check_accept(request.accept)
    _check(request.body, media_type_of(request.content_type))
    issued_at_ms, nonce = time.time_ns() // 1_000_000, secrets.token_urlsafe(9)
    choice = choosing.choose(tenant, model, visit, nonce=nonce)
    asked = _Asked(tenant, model, request, visit, choice, issued_at_ms, nonce)
    found = _repeat(asked, kept) if kept else None
    if found is not None:
        return _answer(asked, found)
    served = _serve(asked)
    if kept is not None:
        kept.put(_asking(asked, served.live), Earlier(served.output, served.latency_ms))
    return _answer(asked, served)


def forget_routes() -> None:
    """And what waits to be told of predictions."""
    choosing.forget_all()
    telling.forget()


def _check(body: bytes, media_type: str) -> None:
    if len(body) > MAX_BODY_BYTES:
        raise InputTooLarge(f"the body has {len(body)} bytes, at most {MAX_BODY_BYTES} are taken")
    if not body:
        raise Malformed("the body is empty")
    if media_type == JSON:
        strictjson.check(body)


def _asking(asked: _Asked, live: Live) -> Asking:
    return Asking(asked.tenant, asked.model, live, asked.request)


def _repeat(asked: _Asked, kept: Kept) -> _Served | None:
    """An answer that was given before is exposed and copied as any, but measured no second time:
    a copy tells how long the endpoint took then."""
    live = asked.choice.live
    earlier = kept.find(_asking(asked, live))
    if earlier is None:
        return None
    trial = _trial(asked) if asked.choice.is_counted else None
    sending = telling.expose(trial) if trial else None
    _copy(asked, earlier.output, earlier.latency_ms)
    if sending is not None:
        telling.wait(sending)
    return _Served(live, earlier.output, earlier.latency_ms, earlier.age_s)


def _serve(asked: _Asked) -> _Served:
    """A failure of the model or its endpoint counts for the arm. An input that the model refuses is
    no error of an arm, but copied: to refuse what the other arm takes is one."""
    trial = _trial(asked) if asked.choice.is_counted else None
    sending = telling.expose(trial) if trial else None
    started_s = time.perf_counter()
    try:
        live, output = _invoke(asked.choice, asked.request)
        latency_ms = _ms_since(started_s)
    except (Upstream, Busy, InputRefused) as error:
        latency_ms = _ms_since(started_s)
        if trial is not None and not isinstance(error, InputRefused):
            telling.tell_error(trial)
        _copy(asked, None, latency_ms)
        raise
    finally:
        if sending is not None:
            telling.wait(sending)
    if trial is not None:
        telling.keep_measurement(trial, latency_ms)
    _copy(asked, output, latency_ms)
    return _Served(live, output, latency_ms)


def _trial(asked: _Asked) -> Trial | None:
    chosen, unit = asked.choice.chosen, asked.choice.unit_hash
    if chosen is None or unit is None:
        return None
    return Trial(
        tenant=asked.tenant,
        experiment=chosen.route.experiment,
        arm=chosen.arm,
        phase=chosen.route.phase,
        unit=unit,
        issued_at_ms=asked.issued_at_ms,
        nonce=asked.nonce,
        covariate=asked.visit.covariate,
        segment=asked.visit.segment,
    )


def _invoke(choice: Choice, request: Request) -> tuple[Live, Output]:
    """When the endpoint is gone the table may just be old: look again, and ask the new one."""
    try:
        return _ask(choice.live, request)
    except EndpointMissing:
        choosing.forget(choice.question)
        fresh = _find_again(choice)
        if fresh is None or fresh.endpoint == choice.live.endpoint:
            raise
        return _ask(fresh, request)


def _find_again(choice: Choice) -> Live | None:
    try:
        return choosing.find_live(choice.question)
    except NoChampion:
        if choice.chosen is None:
            raise
        return None  # the arm was taken down: its endpoint is missing, whoever is champion


def _ask(live: Live, request: Request) -> tuple[Live, Output]:
    size, most = len(request.body), MAX_SERVERLESS_BODY_BYTES
    if live.hosting == "serverless" and size > most:
        raise InputTooLarge(f"the body has {size} bytes, a serverless endpoint takes {most}")
    return live, endpoints.invoke(live, request)


def _ms_since(started_s: float) -> float:
    return (time.perf_counter() - started_s) * 1000


def _copy(asked: _Asked, output: Output | None, latency_ms: float) -> None:
    """Send what was asked and answered (None: no answer) to the queue of copies, if it is to go."""
    chosen = asked.choice.copied
    if chosen is None:
        return
    from chalicelib.serving import copies  # noqa: PLC0415 - for few predictions only

    if not copies.is_sampled(asked.nonce, chosen.route.shadow_share):
        return
    text = copies.write(
        copies.Copy(
            tenant=asked.tenant,
            model=asked.model,
            experiment=chosen.route.experiment,
            arm=chosen.arm,
            phase=chosen.route.phase,
            unit=asked.choice.unit_hash or asked.nonce,
            issued_at_ms=asked.issued_at_ms,
            nonce=asked.nonce,
            question=copies.Content(
                content=asked.request.body, content_type=asked.request.content_type
            ),
            accept=asked.request.accept,
            reply=copies.reply_of(output, latency_ms),
        )
    )
    if text is None:
        logger.warning("copy_too_large", model=asked.model, size_bytes=len(asked.request.body))
    else:
        telling.send_copy(text)


def _answer(asked: _Asked, served: _Served) -> Answered:
    chosen = asked.choice.chosen
    receipt = Receipt(
        tenant=asked.tenant,
        model=asked.model,
        version=served.live.version,
        issued_at_ms=asked.issued_at_ms,
        nonce=asked.nonce,
        experiment=chosen and chosen.route.experiment,
        arm=chosen and chosen.arm,
        propensity=chosen and chosen.propensity,
        unit_hash=asked.choice.unit_hash,
        phase=chosen and chosen.route.phase,
        is_forced=chosen is not None and chosen.is_forced,
    )
    return Answered(
        receipts.issue(receipt),
        receipt.model,
        receipt.version,
        receipt.experiment,
        receipt.arm,
        served.output,
        served.age_s,
    )
