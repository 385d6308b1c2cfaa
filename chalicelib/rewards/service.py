"""Rewards before the action, and the episodes that the next model learns from.
Versions, receipts and experiments are serving's part; what a reward is, the container's."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from pydantic_core import from_json

from chalicelib.kit import aws, tables
from chalicelib.kit.clock import Deadline, utc_now
from chalicelib.kit.errors import Busy
from chalicelib.kit.media import JSON
from chalicelib.kit.paging import Page
from chalicelib.kit.settings import settings
from chalicelib.kit.tables import Stale
from chalicelib.kit.telemetry import logger
from chalicelib.kit.values import Value
from chalicelib.rewards import batches, store
from chalicelib.rewards.batches import Batch, Line, Step
from chalicelib.rewards.keeping import Answers
from chalicelib.rewards.model import RewardQuestion, canonical, is_answer
from chalicelib.rewards.store import OutboxRow
from chalicelib.serving import service as serving
from chalicelib.serving.model import Asking, Earlier, ModelFailed, Output, Request, Visit

_UNWRITTEN = (Busy, ClientError, BotoCoreError)


class Rewarded(NamedTuple):
    """The answer's JSON, and what serving's headers say of it."""

    content: bytes
    headers: dict[str, str]


class _Kept(NamedTuple):
    """Lets answers about rewards only be kept: what is none may be mended by the next call."""

    answers: Answers
    question: RewardQuestion

    def find(self, asking: Asking, /) -> Earlier | None:
        return self.answers.find(asking)

    def put(self, asking: Asking, answer: Earlier, /) -> None:
        if _is_answer(answer.output, self.question, head={}):
            self.answers.put(asking, answer)


class Logged(Value):
    """What became of the steps: duplicates were logged before with the same content, and are not
    written again."""

    batch: str | None
    """That of the new steps; where none is new, the one that holds them all."""
    written: int
    duplicates: int
    object: str | None
    """The batch's key in the bucket."""


def predict_reward(
    tenant: str, question: RewardQuestion, visit: Visit, *, may_repeat: bool = True
) -> Rewarded:
    """may_repeat: an answer of a short time ago is as good.

    Raises serving's failures, and ModelFailed for an answer that is none about rewards.
    """
    request = Request(canonical(question).encode(), JSON, JSON)
    is_kept = may_repeat and settings().reward_cache_ttl_s
    kept = _Kept(_answers(), question) if is_kept else None
    answered = serving.predict(tenant, settings().reward_model, request, visit, kept=kept)
    output, age_s = answered.output, answered.age_s
    head = {**answered.head, "cached": age_s is not None, "age_s": round(age_s or 0.0, 3)}
    if not _is_answer(output, question, head=head):
        raise ModelFailed(f"version {answered.version!r} answered, but not about rewards")
    members = output.content.strip()[1:]
    return Rewarded(json.dumps(head)[:-1].encode() + b", " + members, answered.headers)


def forget_answers() -> None:
    _answers.cache_clear()


def log_episode(tenant: str, steps: Sequence[Step]) -> Logged:
    """Log steps of one episode or of several, at most MOST_STEPS, each given once.

    They are kept once this has begun to write, whatever happens then; calling it again with the
    same steps is safe, and finishes what was left. Raises StepLoggedOtherwise, having logged none.
    """
    lines = [batches.line_of(step) for step in steps]
    batches.check_size(lines)
    new, holding = tables.until_fresh(lambda: _claim(tenant, lines))
    _finish(tenant, store.outboxes(tenant, holding))
    batch = holding[0] if new or len(holding) == 1 else None
    key = batches.object_key(tenant, batch) if batch else None
    return Logged(batch=batch, written=new, duplicates=len(lines) - new, object=key)


def list_batches(tenant: str, *, limit: int, cursor: str | None) -> "Page[Batch]":
    """Newest first."""
    found = list(
        itertools.islice(store.batches(tenant, before=cursor, page_size=limit + 1), limit + 1)
    )
    return Page(items=found[:limit], cursor=found[limit - 1].id if len(found) > limit else None)


def write_unwritten(tenant: str, *, deadline: Deadline) -> int:
    """Write the batches whose callers never came back; returns how many still could not be."""
    failed = 0
    for outbox in store.all_outboxes(tenant):
        if deadline.passed():
            break
        try:
            _finish(tenant, [outbox])
        except _UNWRITTEN as error:
            failed += 1
            key = outbox.outbox.batch.object
            logger.error("episodes_unwritten", key=key, error=type(error).__name__)
    return failed


def _is_answer(output: Output, question: RewardQuestion, *, head: Mapping[str, object]) -> bool:
    return output.is_json and is_answer(from_json(output.content), question, head=head)


def _claim(tenant: str, lines: Sequence[Line]) -> tuple[int, list[str]]:
    """How many are new, and the batches that hold them all: first that of the new ones."""
    claims = store.read_claims(tenant, (line.id for line in lines))
    new = batches.new_among(lines, claims)
    holding = sorted({claim.batch for claim in claims.values()})
    if new:
        batch = batches.batch_of(tenant, new, at=utc_now())
        tables.commit(store.create(tenant, batch, new))
        holding.insert(0, batch.id)
    return len(new), holding


def _finish(tenant: str, outboxes: Iterable[OutboxRow]) -> None:
    """Write the files and drop the lines. Done twice, or by two at once, the bytes are the same."""
    for read in outboxes:
        key = read.outbox.batch.object
        aws.s3().put_object(
            Bucket=settings().bucket,
            Key=key,
            Body=batches.file_of(read.outbox),
            ContentType="application/jsonl",
        )
        try:
            tables.commit(store.close(tenant, read, now_s=int(utc_now().timestamp())))
        except Stale:
            continue  # somebody else wrote it as well, or will
        logger.info("episodes_written", key=key)


@cache
def _answers() -> Answers:
    return Answers(ttl_s=settings().reward_cache_ttl_s, most=settings().reward_cache_entries)
