"""Bodies to questions: JSON and JSON Lines.
Two ways in: typed decoding for what is right, a careful parser that says what is wrong."""

import json
from collections import Counter
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from reward.catalogue import Catalogue
from reward.problems import Flaw, InvalidQuestion
from reward.questions import (
    MOST_INSTANCES,
    Action,
    Actions,
    Detail,
    Known,
    Question,
    TakenAction,
    read_question,
    read_questions,
    state_of,
)
from serving.media import Format
from serving.problems import DuplicateKey, InvalidJson, InvalidText, Problem

_MOST_DETAILS = 50
"""Of the catalogue's that are decoded by type; more are read carefully."""


class Questions(NamedTuple):
    """places: of a batch, what the place of a fault in each question begins with."""

    questions: list[Question]
    places: list[str] | None


class Reader:
    """Reads bodies for one catalogue, whose details of states it knows by name; made at load."""

    def __init__(self, catalogue: Catalogue) -> None:
        names = _detail_names(catalogue)[:_MOST_DETAILS]
        self._fields = [(f"detail_{i}", name) for i, name in enumerate(names)]
        state = msgspec.defstruct(
            "State",
            [(field, Detail | UnsetType, UNSET) for field, _ in self._fields],
            bases=(Known,),
            rename=dict(self._fields),
            forbid_unknown_fields=True,
            frozen=True,
        )
        ask = msgspec.defstruct(
            "Ask",
            [
                ("state", state),
                ("proposedAction", Action | UnsetType, UNSET),
                ("proposedActions", Actions | UnsetType, UNSET),
            ],
            forbid_unknown_fields=True,
            frozen=True,
        )
        self._one = msgspec.json.Decoder(ask)
        instances = Annotated[list[ask], msgspec.Meta(min_length=1, max_length=MOST_INSTANCES)]
        batch = msgspec.defstruct("Batch", [("instances", instances)], forbid_unknown_fields=True)
        self._batch = msgspec.json.Decoder(batch)

    def read(self, body: bytes, format_: Format) -> Questions:
        """Raises Problem, or InvalidQuestion; a bad line refuses all lines."""
        if format_ == "lines":
            return self._read_lines(body)
        question = self._read_one(body)
        if question is not None:
            return Questions([question], None)
        questions, is_batch = self._read_batch(body), True
        if questions is None:
            questions, is_batch = read_questions(parse_json(body))
        places = [f"instances[{i}]." for i in range(len(questions))] if is_batch else None
        return Questions(questions, places)

    def _read_lines(self, body: bytes) -> Questions:
        questions: list[Question] = []
        places: list[str] = []
        for number, line in enumerate(body.split(b"\n"), start=1):
            if line and not line.isspace():
                questions.append(self._read_one(line) or _read_line(line, number))
                places.append(f"line {number}: ")
        if not questions:
            raise InvalidQuestion(Flaw("line 1", "is missing; send one question a line"))
        return Questions(questions, places)

    def _read_one(self, body: bytes) -> Question | None:
        """Return None in any doubt: a wrong type, a batch, a key that might stand there twice."""
        try:
            ask = self._one.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        question = self._question(ask)
        if question is None or b"\\" in body or body.count(b":") != _colons(ask, question):
            return None
        return question

    def _read_batch(self, body: bytes) -> list[Question] | None:
        """Return None in any doubt."""
        try:
            asks = self._batch.decode(body).instances
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        found: list[Question] = []
        colons = 1
        for ask in asks:
            question = self._question(ask)
            if question is None:
                return None
            colons += _colons(ask, question)
            found.append(question)
        return None if b"\\" in body or body.count(b":") != colons else found

    def _question(self, ask: Any) -> Question | None:
        known, details = ask.state, {}
        for field, name in self._fields:
            value = getattr(known, field)
            if value is not UNSET:
                details[name] = value
        state = state_of(known, details)
        one, several = ask.proposedAction, ask.proposedActions
        if one is UNSET:
            return Question(state, None if several is UNSET else several, is_ranking=True)
        return Question(state, (one,), is_ranking=False) if several is UNSET else None


def parse_json(body: bytes) -> Any:
    """Parse strictly: UTF-8, RFC 8259, no duplicate key, no lone surrogate."""
    try:
        msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        raise InvalidText(
            f"{error.object[error.start : error.start + 1]!r} is not UTF-8"
        ) from error
    except RecursionError as error:
        raise InvalidJson("the document is nested too deeply") from error
    except msgspec.MsgspecError as error:
        raise InvalidJson(str(error)) from error
    try:
        return json.loads(body.decode(), object_pairs_hook=_refuse_duplicates)
    except UnicodeDecodeError as error:
        raise InvalidText(f"byte {error.start} is not UTF-8") from error
    except (RecursionError, ValueError) as error:
        raise InvalidJson(str(error)[:200]) from error


def _read_line(line: bytes, number: int) -> Question:
    at = f"line {number}: "
    try:
        return read_question(parse_json(line), at)
    except Problem as problem:
        raise InvalidQuestion(Flaw(f"line {number}", problem.detail)) from problem


def _colons(ask: Any, question: Question) -> int:
    """Count those of a question that names no key twice: that is the one fault which typed
    decoding lets through. Rare colons are not counted, and cost a careful second reading."""
    known: Known = ask.state
    colons = 3 + known.incident.count(":") + len(question.state.details)
    if known.symptoms is not UNSET:
        colons += 1
    if known.actions_taken is not UNSET:
        colons += 1
        for taken in known.actions_taken:
            if type(taken) is TakenAction:
                colons += _colons_of(taken) + (taken.result is not None)
    if question.actions is not None:
        colons += 1
        for action in question.actions:
            colons += _colons_of(action)
    return colons


def _colons_of(action: Action | TakenAction) -> int:
    return 2 + len(action.params) if action.params else 1


def _detail_names(catalogue: Catalogue) -> list[str]:
    """What states may hold besides the guide's members, as the features name it."""
    names = set(catalogue.numbers)
    for feature in catalogue.features:
        if feature.startswith("detail:"):
            names.add(feature.partition(":")[2].partition("=")[0])
    return sorted(names - set(Known.__struct_fields__))


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        name = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise DuplicateKey(f"an object names {name[:100]!r} twice")
    return document
