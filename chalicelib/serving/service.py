"""Answer a prediction: find the version that answers, ask its endpoint, issue the receipt.
Warm and without an experiment this makes no call but the one to the endpoint."""

import json
import secrets
import time
from functools import cache
from typing import NamedTuple

from botocore.exceptions import ClientError
from pydantic_core import from_json

from chalicelib.kit import aws, strictjson
from chalicelib.kit.errors import Malformed
from chalicelib.kit.media import JSON, check_accept, media_type_of
from chalicelib.kit.settings import settings
from chalicelib.receipts import service as receipts
from chalicelib.receipts.model import Receipt
from chalicelib.registry import service as registry
from chalicelib.registry.model import Live
from chalicelib.serving import endpoints
from chalicelib.serving.model import (
    MAX_ANSWER_BYTES,
    MAX_BODY_BYTES,
    MAX_SERVERLESS_BODY_BYTES,
    EndpointMissing,
    InputTooLarge,
    ModelFailed,
    NoChampion,
)
from chalicelib.serving.routing import Question, RoutingTable


class Answered(NamedTuple):
    """The bytes for the caller; those of a JSON answer carry receipt, model and version."""

    content: bytes
    content_type: str
    request_id: str
    version: str


def predict(
    tenant: str, model: str, *, version: str | None, body: bytes, content_type: str, accept: str
) -> Answered:
    """version: a live version to ask instead of the champion."""
    content_type = content_type or JSON
    check_accept(accept)
    _check(body, media_type_of(content_type))
    question = Question(tenant, model, version)
    live = _route(question)
    output = _invoke(question, live, body, content_type=content_type, accept=accept)
    receipt = Receipt(
        tenant=tenant,
        model=model,
        version=live.version,
        issued_at_ms=time.time_ns() // 1_000_000,
        nonce=secrets.token_urlsafe(9),
    )
    request_id = receipts.issue(receipt)
    content = output.content
    if _is_json(output.content_type):
        content = _envelope(receipt, request_id, content)
    if len(content) > MAX_ANSWER_BYTES:
        raise ModelFailed(f"the model answered {len(content)} bytes, more than can be sent")
    return Answered(content, output.content_type, request_id, live.version)


def forget_routes() -> None:
    _routing_table.cache_clear()


def _check(body: bytes, media_type: str) -> None:
    if len(body) > MAX_BODY_BYTES:
        raise InputTooLarge(f"the body has {len(body)} bytes, at most {MAX_BODY_BYTES} are taken")
    if not body:
        raise Malformed("the body is empty")
    if media_type == JSON:
        strictjson.check(body)


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == JSON


def _route(question: Question) -> Live:
    table = _routing_table()
    live = table.find(question)
    if live is not None:
        return live
    try:
        live = registry.live(question.tenant, question.model, question.version)
    except (ClientError, *aws.NO_ANSWER):
        live = table.find_stale(question)
        if live is None:
            raise
        return live
    if live is None:
        asked = f"version {question.version!r}" if question.version else "no version"
        raise NoChampion(f"{asked} of model {question.model!r} is in service")
    table.put(question, live)
    return live


def _invoke(
    question: Question, live: Live, body: bytes, *, content_type: str, accept: str
) -> endpoints.Output:
    """When the endpoint is gone the table may just be old: look again, and ask the new one."""
    try:
        return _ask(live, body, content_type=content_type, accept=accept)
    except EndpointMissing:
        _routing_table().forget(question)
        fresh = _route(question)
        if fresh.endpoint == live.endpoint:
            raise
        return _ask(fresh, body, content_type=content_type, accept=accept)


def _ask(live: Live, body: bytes, *, content_type: str, accept: str) -> endpoints.Output:
    most = MAX_SERVERLESS_BODY_BYTES
    if live.hosting == "serverless" and len(body) > most:
        raise InputTooLarge(f"the body has {len(body)} bytes, a serverless endpoint takes {most}")
    return endpoints.invoke(live, body, content_type=content_type, accept=accept)


def _envelope(receipt: Receipt, request_id: str, output: bytes) -> bytes:
    """The model's JSON is checked and then passed on byte by byte, not written again."""
    try:
        from_json(output, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        raise ModelFailed("the model answered JSON that is none") from error
    head = {"request_id": request_id, "model": receipt.model, "version": receipt.version}
    return json.dumps(head)[:-1].encode() + b', "output": ' + output + b"}"


@cache
def _routing_table() -> RoutingTable:
    return RoutingTable(ttl_s=settings().routing_ttl_s)
