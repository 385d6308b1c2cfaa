"""Reads the `episodes` channel: JSON Lines, one step of an episode a line, in any number of files.
A wrong line ends the job; nothing here learns, encodes or skips."""

import codecs
import gc
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from reward.catalogue import FACTORS, LEAST, MOST
from reward.problems import InvalidQuestion
from reward.questions import Action, Name, State, read_state

SUFFIXES = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
LONGEST_LINE_BYTES = 1024 * 1024
TOLERANCE = 1e-6
"""By which a reward may differ from the sum of its factors."""
LONGEST_REASON = 450

Points = Annotated[float, msgspec.Meta(ge=LEAST, le=MOST)]


class ChannelRefused(Exception):
    """The log cannot be learnt from; one sentence under 500 characters says where and why."""


class Step(NamedTuple):
    """One step of an episode; factors in the order of the catalogue's."""

    state: State
    action: Action
    reward: float
    factors: tuple[float, float, float, float]
    propensity: float | None
    done: bool


class Episode(NamedTuple):
    """An episode that was cut off has no step that is done.

    numbers: of the steps, in order; None for 0, 1, 2, ... A log may lack steps: each of the others
    still tells what its action was worth in its state.
    """

    id: str
    steps: tuple[Step, ...]
    numbers: tuple[int, ...] | None = None

    def numbered(self) -> list[tuple[int, Step]]:
        numbers = range(len(self.steps)) if self.numbers is None else self.numbers
        return list(zip(numbers, self.steps, strict=True))

    @property
    def is_whole(self) -> bool:
        """No step is missing, and none comes after the end."""
        is_counted = all(number == k for k, (number, _) in enumerate(self.numbered()))
        return is_counted and not any(step.done for step in self.steps[:-1])


class _Factors(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    resolution: Points
    time: Points
    risk: Points
    cost: Points


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    episode_id: Name
    step: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    state: dict[str, Any]
    action: Action = msgspec.field(name="proposedAction")
    reward: Points
    factors: _Factors
    done: bool
    propensity: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None


class _Origin(NamedTuple):
    path: Path
    line: int

    def refuse(self, because: str) -> ChannelRefused:
        place = f"{self.path.name[-100:]} line {self.line}"
        return ChannelRefused(f"{place}: {because}"[:LONGEST_REASON])


_DECODER = msgspec.json.Decoder(_Line)
_Found = dict[str, dict[int, tuple[Step, _Origin]]]


def read_episodes(folder: Path) -> list[Episode]:
    """Read every file below the folder whose name ends in one of SUFFIXES; ordered by episode.

    A line that repeats another one is dropped. Raises ChannelRefused.
    """
    found: _Found = {}
    with _no_garbage_collection():
        for path in _files(folder):
            for number, line in _lines(path):
                _add(found, line, _Origin(path, number))
        if not found:
            raise ChannelRefused(f"the channel {folder} has files, but not one line in them")
        return [_episode(id_, found[id_]) for id_ in sorted(found)]


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Nothing read here is cyclic, and looking for cycles in it doubles the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ChannelRefused(f"the channel {folder} is missing: a folder with *.jsonl is expected")
    paths = (path for path in folder.rglob("*") if path.name.endswith(SUFFIXES) and path.is_file())
    files = sorted(paths)
    if not files:
        endings = ", ".join(SUFFIXES)
        raise ChannelRefused(f"the channel {folder} has no file that ends in one of {endings}")
    return files


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of the lines that are not blank."""
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while line := file.readline(LONGEST_LINE_BYTES + 1):
                number += 1
                if len(line) > LONGEST_LINE_BYTES:
                    longest = f"{LONGEST_LINE_BYTES} bytes"
                    raise _Origin(path, number).refuse(f"the line is longer than {longest}")
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line := line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise _Origin(path, number + 1).refuse(f"cannot be read: {error}") from error


def _add(found: _Found, line: bytes, origin: _Origin) -> None:
    read = _decode(line, origin)
    step = _step(read, origin)
    steps = found.setdefault(read.episode_id, {})
    known, before = steps.setdefault(read.step, (step, origin))
    if known != step:
        where = f"{before.path.name[-100:]} line {before.line}"
        named = f"step {read.step} of episode {read.episode_id!r}"
        raise origin.refuse(f"{named} differs from the one in {where}")


def _decode(line: bytes, origin: _Origin) -> _Line:
    try:
        return _DECODER.decode(line)
    except msgspec.ValidationError as error:
        because, _, at = str(error).partition(" - at `$.")
        place = f"{at.rstrip('`')}: " if at else ""
        raise origin.refuse(place + because[:1].lower() + because[1:]) from error
    except UnicodeDecodeError as error:
        raise origin.refuse("the line is not UTF-8") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise origin.refuse(f"the line is not JSON: {error}") from error


def _step(read: _Line, origin: _Origin) -> Step:
    factors = msgspec.structs.astuple(read.factors)
    if not abs(sum(factors) - read.reward) <= TOLERANCE:
        total = f"{' + '.join(FACTORS)} = {sum(factors):.9g}"
        raise origin.refuse(f"reward {read.reward:.9g} is not the sum of its factors: {total}")
    try:
        state = read_state(read.state)
    except InvalidQuestion as error:
        raise origin.refuse(str(error)) from error
    return Step(state, read.action, read.reward, factors, read.propensity, read.done)


def _episode(id_: str, found: dict[int, tuple[Step, _Origin]]) -> Episode:
    numbers = tuple(sorted(found))
    return Episode(id_, tuple(found[number][0] for number in numbers), numbers)
