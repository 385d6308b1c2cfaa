"""Steps of episodes as they are logged, and the batches they are written in: one file each.
Pure: which steps are new, what a batch is called, what its file holds."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import AwareDatetime, Field, JsonValue, model_validator

from chalicelib.kit.errors import Conflict, Flaw, TooLarge
from chalicelib.kit.values import Value
from chalicelib.rewards.model import canonical, dump
from chalicelib.training import episodes
from chalicelib.training.episodes import MOST_LINE_BYTES

MOST_STEPS = 90
"""Of a batch: their claims, its row and its lines are written in one transaction, which takes 100
rows."""
MOST_BYTES = 256 * 1024
"""Of a batch's file; a row of a table takes 400 KB."""
_DIGEST_LETTERS = 20

BatchId = Annotated[str, Field(pattern=r"^[0-9]{8}T[0-9]{12}Z-[0-9a-f]{20}$")]


class StepId(NamedTuple):
    """What a step is known by, for ever."""

    episode_id: str
    step: int


class Step(episodes.Step):
    step: Annotated[int, Field(ge=0, le=999_999)]
    """Six digits of its claim's key."""


class NewSteps(Value):
    """Steps of one episode or of several."""

    steps: Annotated[list[Step], Field(min_length=1, max_length=MOST_STEPS)]

    @model_validator(mode="after")
    def _are_different(self) -> "NewSteps":
        seen: set[StepId] = set()
        for step in self.steps:
            id_ = StepId(step.episode_id, step.step)
            if id_ in seen:
                raise ValueError(f"{_name(id_)} is given twice")
            seen.add(id_)
        return self

    @model_validator(mode="after")
    def _end_when_done(self) -> "NewSteps":
        ends: dict[str, int] = {}
        for step in self.steps:
            if step.done:
                ends[step.episode_id] = min(step.step, ends.get(step.episode_id, step.step))
        for step in self.steps:
            end = ends.get(step.episode_id, step.step)
            if step.step > end:
                name = _name(StepId(step.episode_id, step.step))
                raise ValueError(f"{name} comes after step {end}, which is done")
        return self


class Batch(Value):
    """Steps that came together and were new."""

    id: BatchId
    """In the order in which batches came."""
    steps: int
    episodes: int
    """How many of which there are steps here."""
    object: str
    """Key in the bucket."""
    at: AwareDatetime
    written: bool = False
    """The object is there."""


class Outbox(Value):
    """The steps of a batch until its object is there."""

    batch: Batch
    steps: list[dict[str, JsonValue]]


class Claim(Value):
    """A step that is logged: by what digest of its content, and in which batch."""

    digest: str
    batch: BatchId


class StepLoggedOtherwise(Conflict):
    """A step of the same episode and number was logged before, with other content."""

    code = "step-logged-otherwise"


class Line(NamedTuple):
    """A step as it is written."""

    id: StepId
    text: str
    digest: str


def line_of(step: Step) -> Line:
    text = canonical(step)
    id_ = StepId(step.episode_id, step.step)
    return Line(id_, text, hashlib.sha256(text.encode()).hexdigest())


def check_size(lines: Sequence[Line]) -> None:
    sizes = [len(line.text.encode()) for line in lines]
    for line, size in zip(lines, sizes, strict=True):
        if size > MOST_LINE_BYTES:
            detail = f"{_name(line.id)} has {size} bytes, a step takes {MOST_LINE_BYTES}"
            raise TooLarge(detail)
    size = sum(sizes) + len(lines)
    if size > MOST_BYTES:
        raise TooLarge(f"the steps have {size} bytes, a batch takes {MOST_BYTES}")


def new_among(lines: Sequence[Line], claims: Mapping[StepId, Claim]) -> list[Line]:
    """Those that nobody claimed. Raises StepLoggedOtherwise, which names every such step."""
    flaws = tuple(
        Flaw(f"body.steps.{place}", f"{_name(line.id)} was logged with other content")
        for place, line in enumerate(lines)
        if line.id in claims and claims[line.id].digest != line.digest
    )
    if flaws:
        raise StepLoggedOtherwise(flaws[0].because, flaws=flaws)
    return [line for line in lines if line.id not in claims]


def batch_of(tenant: str, lines: Sequence[Line], *, at: datetime) -> Batch:
    """The id is unique: no step is in two batches."""
    digests = "\n".join(sorted(line.digest for line in lines))
    digest = hashlib.sha256(f"{tenant}\n{digests}".encode()).hexdigest()
    made = f"{at:%Y%m%dT%H%M%S%f}Z-{digest[:_DIGEST_LETTERS]}"
    return Batch(
        id=made,
        steps=len(lines),
        episodes=len({line.id.episode_id for line in lines}),
        object=object_key(tenant, made),
        at=at,
    )


def object_key(tenant: str, batch: str) -> str:
    year, month, day = batch[:4], batch[4:6], batch[6:8]
    return f"episodes/{tenant}/{year}/{month}/{day}/{batch}.jsonl"


def file_of(outbox: Outbox) -> bytes:
    """JSON Lines, the same bytes each time."""
    return "".join(f"{dump(step)}\n" for step in outbox.steps).encode()


def _name(step: StepId) -> str:
    return f"step {step.step} of episode {step.episode_id!r}"
