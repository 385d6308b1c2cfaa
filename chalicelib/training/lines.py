"""Files of episodes: JSON Lines, one step each, read as a stream and counted.
Bytes in, a count or a refusal out."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from pydantic import ValidationError

from chalicelib.training.episodes import MOST_LINE_BYTES, Step

MOST_FILE_BYTES = 64 * 1024 * 1024
ENDING = ".jsonl"
_CHUNK_BYTES = 256 * 1024
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


def count(stream: Stream) -> Count:
    """Read to the end. Raises NotEpisodes at the first line that is none, and past the limits."""
    lines = episodes = 0
    for lines, line in enumerate(_lines(stream), start=1):
        if line.strip():
            episodes += _step(line, lines).done
    if lines == 0:
        raise NotEpisodes("empty-file", "the file is empty")
    return Count(lines, episodes)


def _step(line: bytes, number: int) -> Step:
    try:
        return Step.model_validate_json(line, strict=True)
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
