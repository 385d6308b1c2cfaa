"""A prediction as it travels to the queue of copies, to be asked of the experiment's other arm.
Text in and out only; who sends a copy and who answers it is not known here."""

import hashlib

from pydantic import ConfigDict

from chalicelib.experiments.model import ArmName, ExperimentId
from chalicelib.experiments.service import MOST_COPY_BYTES
from chalicelib.kit.values import Value
from chalicelib.registry.model import ModelName
from chalicelib.serving.model import Output


class _Carried(Value):
    """Bytes travel in base64."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class Content(_Carried):
    content: bytes
    content_type: str


class Reply(_Carried):
    """How an arm answered. output: as the model gave it; None when it failed or refused."""

    output: Content | None
    latency_ms: float


class Copy(_Carried):
    tenant: str
    model: ModelName
    experiment: ExperimentId
    arm: ArmName
    """Whose answer the caller got."""
    phase: int
    unit: str
    """The unit's hash; the nonce where no unit was told."""
    issued_at_ms: int
    nonce: str
    question: Content
    accept: str
    reply: Reply


def is_sampled(nonce: str, share: float) -> bool:
    """share: 0..1 of all nonces, the same ones each time."""
    digest = hashlib.blake2b(nonce.encode(), digest_size=8, person=b"shadow").digest()
    return int.from_bytes(digest, "big") < share * 2**64


def reply_of(output: Output | None, latency_ms: float) -> Reply:
    content = output and Content(content=output.content, content_type=output.content_type)
    return Reply(output=content, latency_ms=latency_ms)


def write(copy: Copy) -> str | None:
    """None when it is larger than the queue takes."""
    answered = len(copy.reply.output.content) if copy.reply.output else 0
    if len(copy.question.content) + answered > MOST_COPY_BYTES:
        return None  # not worth writing
    text = copy.model_dump_json()
    return text if len(text.encode()) <= MOST_COPY_BYTES else None
