"""Files of episodes: JSON Lines, one step each, read as a stream and counted.
Bytes in, a count or a refusal out."""

from collections.abc import Iterator
from typing import Annotated, NamedTuple, Protocol

from pydantic import ConfigDict, Field, ValidationError, model_validator

from chalicelib.kit.values import Value

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


_Name = Annotated[str, Field(min_length=1, max_length=100)]
_Points = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]
_Simple = (
    bool
    | Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]
    | Annotated[str, Field(max_length=200)]
)
_Detail = _Simple | Annotated[list[_Name], Field(max_length=64)]
_Params = Annotated[dict[_Name, _Simple], Field(max_length=50)]


class _Strict(Value):
    model_config = ConfigDict(strict=True)


class _Action(_Strict):
    type: _Name
    params: _Params = Field(default_factory=dict[str, bool | float | str])


class _TakenAction(_Action):
    result: _Name | None = None


class _State(_Strict):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Detail]  # pyright: ignore[reportIncompatibleVariableOverride]

    incident: Annotated[str, Field(min_length=1, max_length=1_000)]
    severity: _Name
    symptoms: Annotated[list[_Name], Field(max_length=32)] = Field(default_factory=list[str])
    actions_taken: Annotated[list[_Name | _TakenAction], Field(max_length=64)] = Field(
        default_factory=list[str | _TakenAction]
    )

    @model_validator(mode="after")
    def _has_few_details(self) -> "_State":
        names = (self.model_extra or {}).keys()
        if len(names) > 50 or any(not 1 <= len(name) <= 100 for name in names):
            raise ValueError("at most 50 members of the log's own, with names of 1 to 100")
        return self


class _Factors(_Strict):
    resolution: _Points
    time: _Points
    risk: _Points
    cost: _Points


class _Step(_Strict):
    """The container ends a whole job at a line that it does not take, so nothing looser may be
    counted; how lines fit together is for it alone to see."""

    episode_id: _Name
    step: Annotated[int, Field(ge=0, le=1_000_000)]
    state: _State
    action: _Action = Field(alias="proposedAction")
    reward: _Points
    factors: _Factors
    propensity: Annotated[float, Field(gt=0, le=1)] | None = None
    done: bool

    @model_validator(mode="after")
    def _reward_is_the_sum(self) -> "_Step":
        if abs(sum(value for _, value in self.factors) - self.reward) > _TOLERANCE:
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
    rest, size, before = b"", 0, 0
    while chunk := stream.read(_CHUNK_BYTES):
        size += len(chunk)
        if size > MOST_FILE_BYTES:
            raise NotEpisodes("file-too-large", f"at most {MOST_FILE_BYTES} bytes are taken")
        *whole, rest = (rest + chunk).split(b"\n")
        for number, line in enumerate((*whole, rest), start=before + 1):
            if len(line) > MOST_LINE_BYTES:
                detail = f"line {number}: at most {MOST_LINE_BYTES} bytes are taken"
                raise NotEpisodes("line-too-long", detail)
        before += len(whole)
        yield from whole
    if rest:
        yield rest
