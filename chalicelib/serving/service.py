"""Answer a prediction: ask the endpoint that was chosen, issue the receipt, tell experiments.
Warm and without an experiment this makes no call but the one to the endpoint."""

import json
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
from chalicelib.serving.choosing import Choice, Visit
from chalicelib.serving.model import (
    MAX_BODY_BYTES,
    MAX_SERVERLESS_BODY_BYTES,
    EndpointMissing,
    InputRefused,
    InputTooLarge,
    NoChampion,
    Output,
    Request,
)
from chalicelib.serving.telling import Trial


class Answered(NamedTuple):
    """The bytes for the caller; those of a JSON answer carry receipt, model and version."""

    content: bytes
    content_type: str
    request_id: str
    version: str
    experiment: str | None
    arm: str | None


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
    live: Live
    output: Output


def predict(tenant: str, model: str, request: Request, visit: Visit) -> Answered:
    check_accept(request.accept)
    _check(request.body, media_type_of(request.content_type))
    issued_at_ms, nonce = time.time_ns() // 1_000_000, secrets.token_urlsafe(9)
    choice = choosing.choose(tenant, model, visit, nonce=nonce)
    asked = _Asked(tenant, model, request, visit, choice, issued_at_ms, nonce)
    return _answer(asked, _serve(asked))


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


def _serve(asked: _Asked) -> _Served:
    """A failure of the model or its endpoint counts for the arm. An input that the model refuses is
    no error of an arm, but copied: to refuse what the other arm takes is one."""
    trial = _trial(asked) if asked.choice.is_counted else None
    sending = telling.expose(trial) if trial else None
    started_s = time.perf_counter()
    try:
        served = _invoke(asked.choice, asked.request)
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
    _copy(asked, served.output, latency_ms)
    return served


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


def _invoke(choice: Choice, request: Request) -> _Served:
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


def _ask(live: Live, request: Request) -> _Served:
    size, most = len(request.body), MAX_SERVERLESS_BODY_BYTES
    if live.hosting == "serverless" and size > most:
        raise InputTooLarge(f"the body has {size} bytes, a serverless endpoint takes {most}")
    return _Served(live, endpoints.invoke(live, request))


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
    request_id, output = receipts.issue(receipt), served.output
    content = _envelope(receipt, request_id, output) if output.is_json else output.content
    return Answered(
        content,
        output.content_type,
        request_id,
        receipt.version,
        experiment=receipt.experiment,
        arm=receipt.arm,
    )


def _envelope(receipt: Receipt, request_id: str, output: Output) -> bytes:
    """The model's JSON was checked, and is passed on byte by byte, not written again."""
    head = {"request_id": request_id, "model": receipt.model, "version": receipt.version}
    if receipt.experiment is not None and receipt.arm is not None:
        head |= {"experiment": receipt.experiment, "arm": receipt.arm}
    return json.dumps(head)[:-1].encode() + b', "output": ' + output.content + b"}"
