"""Files of episodes: JSON Lines, one step each, read as a stream and counted.
Bytes in, a count or a refusal out."""

from collections.abc import Iterator
from typing import Annotated, NamedTuple, Protocol

from pydantic import ConfigDict, Field, JsonValue, ValidationError, model_validator

from chalicelib.kit.values import Told, Value

MOST_FILE_BYTES = 64 * 1024 * 1024
MOST_LINE_BYTES = 64 * 1024
ENDING = ".jsonl"
_CHUNK_BYTES = 256 * 1024
_TOLERANCE = 1e-6
_LONGEST_DETAIL = 300


class Stream(Protocol):
    def read(self, amount: int, /) -> bytes: ...


class Count(NamedTuple):
    lines: int
    episodes: int
    """Lines with `done`."""


class NotEpisodes(Exception):
    """The file cannot be learnt from; `code` names why, the message says where."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail[:_LONGEST_DETAIL])
        self.code = code


_Finite = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]


class _Situation(Told):
    model_config = ConfigDict(strict=True)

    incident: Annotated[str, Field(min_length=1, max_length=1_000)]
    severity: str
    symptoms: Annotated[list[str], Field(max_length=32)] = Field(default_factory=list[str])
    actions_taken: Annotated[list[JsonValue], Field(max_length=64)] = Field(
        default_factory=list[JsonValue]
    )


class _Action(Value):
    model_config = ConfigDict(strict=True)

    type: Annotated[str, Field(min_length=1)]
    params: dict[str, float | bool | str] = Field(default_factory=dict[str, float | bool | str])


class _Step(Told):
    """What counting asks of a line; all else is the container's to judge."""

    model_config = ConfigDict(strict=True)

    episode_id: Annotated[str, Field(min_length=1, max_length=200)]
    step: Annotated[int, Field(ge=0)]
    state: _Situation
    action: _Action = Field(alias="proposedAction")
    reward: _Finite
    factors: Annotated[dict[str, _Finite], Field(min_length=1)]
    propensity: Annotated[float, Field(gt=0, le=1)] | None = None
    done: bool

    @model_validator(mode="after")
    def _reward_is_the_sum(self) -> "_Step":
        if abs(sum(self.factors.values()) - self.reward) > _TOLERANCE:
            raise ValueError("reward is the sum of the factors")
        return self


def count(stream: Stream) -> Count:
    """Read to the end. Raises NotEpisodes at the first line that is none, and past the limits."""
    lines = episodes = 0
    for lines, line in enumerate(_lines(stream), start=1):
        if line.strip():
            episodes += _step(line, lines).done
    if lines == 0:
        raise NotEpisodes("empty-file", "the file is empty")
    return Count(lines, episodes)


def _step(line: bytes, number: int) -> _Step:
    try:
        return _Step.model_validate_json(line)
    except ValidationError as error:
        flaw = error.errors(include_url=False, include_input=False)[0]
        at = ".".join(map(str, flaw["loc"]))
        detail = f"line {number}: {f'{at}: ' if at else ''}{flaw['msg']}"
        raise NotEpisodes("not-an-episode", detail) from error


def _lines(stream: Stream) -> Iterator[bytes]:
    """Without their ends; memory holds one chunk and one line."""
    rest, size = b"", 0
    while chunk := stream.read(_CHUNK_BYTES):
        size += len(chunk)
        if size > MOST_FILE_BYTES:
            raise NotEpisodes("file-too-large", f"at most {MOST_FILE_BYTES} bytes are taken")
        *whole, rest = (rest + chunk).split(b"\n")
        for line in (*whole, rest):
            if len(line) > MOST_LINE_BYTES:
                detail = f"a line has at most {MOST_LINE_BYTES} bytes"
                raise NotEpisodes("line-too-long", detail)
        yield from whole
    if rest:
        yield rest
