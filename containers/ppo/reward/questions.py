"""Questions as they come over the wire: states, actions, and how many of them one may ask.
Nothing here knows a catalogue; what is strange to a model is found in `features`."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from reward.problems import Flaw, InvalidQuestion

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Number = (
    Annotated[int, msgspec.Meta(ge=-(10**12), le=10**12)]
    | Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
)
Param = bool | Number | Annotated[str, msgspec.Meta(max_length=200)]
Texts = Annotated[list[Name], msgspec.Meta(max_length=64)]
Detail = bool | Number | Annotated[str, msgspec.Meta(max_length=200)] | Texts
Details = Annotated[dict[Name, Detail], msgspec.Meta(max_length=50)]

MOST_INSTANCES = 10_000
MOST_ACTIONS = 200
_FAULT = re.compile(r"(?P<because>.*?)(?: - at `(?P<at>.*)`)?", re.DOTALL)


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A proposed action."""

    type: Name
    params: Annotated[dict[Name, Param], msgspec.Meta(max_length=50)] = {}


class TakenAction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An action that was taken; result: what it led to, in one word of the log."""

    type: Name
    params: Annotated[dict[Name, Param], msgspec.Meta(max_length=50)] = {}
    result: Name | None = None


class Known(msgspec.Struct, frozen=True):
    """The members of a state that every log has."""

    incident: Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
    severity: Name
    symptoms: Annotated[tuple[Name, ...], msgspec.Meta(max_length=32)] | UnsetType = UNSET
    actions_taken: (
        Annotated[tuple[Name | TakenAction, ...], msgspec.Meta(max_length=64)] | UnsetType
    ) = UNSET


class State(NamedTuple):
    """What is known of an incident; details: the members that only this log has."""

    incident: str
    severity: str
    symptoms: tuple[str, ...] = ()
    actions_taken: tuple[TakenAction, ...] = ()
    details: Mapping[str, bool | float | str | list[str]] = MappingProxyType({})


Actions = Annotated[tuple[Action, ...], msgspec.Meta(min_length=1, max_length=MOST_ACTIONS)]


class Question(NamedTuple):
    """Actions in a state; is_ranking: the answer orders them (None: the whole catalogue)."""

    state: State
    actions: tuple[Action, ...] | None
    is_ranking: bool


class _Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    state: dict[str, Any]
    proposed_action: Action | None = None
    proposed_actions: Actions | None = None


_KNOWN = frozenset(Known.__struct_fields__)


def read_questions(document: Any) -> tuple[list[Question], bool]:
    """Read a body's document; the flag tells a batch of `instances` from one question.

    Raises InvalidQuestion.
    """
    if not isinstance(document, dict) or "instances" not in document:
        return [read_question(document)], False
    instances = document["instances"]
    others = [key for key in document if key != "instances"]
    if others:
        raise InvalidQuestion(Flaw(others[0][:100], "is no member of a batch"))
    if not isinstance(instances, list) or not 1 <= len(instances) <= MOST_INSTANCES:
        raise InvalidQuestion(Flaw("instances", f"must be 1 to {MOST_INSTANCES} questions"))
    return [read_question(one, f"instances[{i}].") for i, one in enumerate(instances)], True


def read_question(document: Any, at: str = "") -> Question:
    """Read one question; `at` goes before the places named in a fault. Raises InvalidQuestion."""
    ask: _Ask = _convert(document, _Ask, at)
    state = read_state(ask.state, f"{at}state.")
    if ask.proposed_action is None:
        return Question(state, ask.proposed_actions, is_ranking=True)
    if ask.proposed_actions is not None:
        raise InvalidQuestion(Flaw(f"{at}proposedActions", "cannot be given beside proposedAction"))
    return Question(state, (ask.proposed_action,), is_ranking=False)


def read_state(document: dict[str, Any], at: str = "state.") -> State:
    """Read a state; members that are not the guide's become details. Raises InvalidQuestion."""
    known: Known = _convert(document, Known, at)
    extra = {key: value for key, value in document.items() if key not in _KNOWN}
    return state_of(known, _convert(extra, Details, at) if extra else {})


def state_of(known: Known, details: dict[str, Any]) -> State:
    """Put a state together of members whose types are right."""
    return State(
        known.incident,
        known.severity,
        known.symptoms or (),
        tuple(map(_taken, known.actions_taken)) if known.actions_taken else (),
        details,
    )


def _taken(told: str | TakenAction) -> TakenAction:
    return TakenAction(told) if isinstance(told, str) else told


def _convert(document: Any, type_: Any, at: str) -> Any:
    try:
        return msgspec.convert(document, type_)
    except msgspec.ValidationError as error:
        fault = _FAULT.fullmatch(str(error))
        path = (fault["at"] or "" if fault else "").removeprefix("$").removeprefix(".")
        because = fault["because"] if fault else str(error)
        place = f"{at}{path}".rstrip(".") or "body"
        raise InvalidQuestion(Flaw(place, because[:1].lower() + because[1:])) from error
