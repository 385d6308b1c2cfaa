"""States and actions as numbers, by the names of a catalogue, and what is strange about them.
Used alike by training and serving; learns nothing.

Names of features: `severity=sev-2`, `word:latency` (incident and symptoms), `taken:RESTART` and
`taken:RESTART=failed` (among the actions taken), `again:RESTART` (twice or more), `steps` (share of
the horizon), `detail:region=eu` (further members of the state; `true` of a boolean, each of a
list), `number:replicas` (0 at the least seen, 1 at the most).
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray
from reward.catalogue import ActionKind, Catalogue, ChoiceParam, NumberDetail, NumberParam
from reward.problems import Flaw, UnknownAction
from reward.questions import Action, State, TakenAction

Floats = NDArray[np.float32]
_WORD = re.compile(r"[^\W_]{2,}")
_UNSEEN = "was never seen in training"


def words(text: str) -> list[str]:
    """Lower-case words of two letters or digits or more, in any script."""
    return _WORD.findall(text.lower())


def names_of(state: State) -> Iterator[str]:
    """Every feature that is 1 in the state; `steps` and numbers are not among them."""
    yield f"severity={state.severity}"
    for text in (state.incident, *state.symptoms):
        for word in words(text):
            yield f"word:{word}"
    for taken in state.actions_taken:
        yield f"taken:{taken.type}"
        if taken.result is not None:
            yield f"taken:{taken.type}={taken.result}"
    for type_, times in Counter(taken.type for taken in state.actions_taken).items():
        if times > 1:
            yield f"again:{type_}"
    for key, value in state.details.items():
        yield from _details(key, value)


def _details(key: str, value: bool | float | str | list[str]) -> Iterator[str]:
    if isinstance(value, bool):
        yield f"detail:{key}={str(value).lower()}"
    elif isinstance(value, str):
        yield f"detail:{key}={value}"
    elif isinstance(value, list):
        for each in value:
            yield f"detail:{key}={each}"


class Look(NamedTuple):
    """A state as the model sees it, and what is strange; a state with any gets no narrow interval.

    z = (1, features, columns of an action's parameters); the last ones are 0 until `add_action`.
    """

    z: Floats
    strange: list[Flaw]


class Encoder:
    """Encodes by one catalogue; made once, at load."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.width = len(catalogue.features)
        self.columns = 1 + max((_columns(kind) for kind in catalogue.actions), default=0)
        """Of an action's parameters; the first one is always 0, so that no axis is empty."""
        self.action_index = {kind.type: i for i, kind in enumerate(catalogue.actions)}
        self._kinds = catalogue.actions
        self._params_by_action = {
            kind.type: {param.name: param for param in kind.params} for kind in catalogue.actions
        }
        self._place = {name: i for i, name in enumerate(catalogue.features, start=1)}
        self._place_by_word = {
            name.removeprefix("word:"): i
            for name, i in self._place.items()
            if name.startswith("word:")
        }
        self._detail_keys = {
            name.partition(":")[2].partition("=")[0]
            for name in catalogue.features
            if name.startswith("detail:")
        }
        self._empty = np.zeros(1 + self.width + self.columns, np.float32)
        self._empty[0] = 1.0

    def encode(self, state: State) -> Floats:
        """Return shape (features,), each within 0..1."""
        return self.look(state).z[1 : 1 + self.width]

    def look(self, state: State) -> Look:
        """Encode a state and name what training has never seen of it, in one pass."""
        z, strange = self._empty.copy(), list[Flaw]()
        place = self._place.get(f"severity={state.severity}")
        if place is None:
            strange.append(Flaw("state.severity", f"{state.severity[:50]!r} {_UNSEEN}"))
        else:
            z[place] = 1.0
        find, is_known = self._place_by_word.get, False
        for word in _WORD.findall(state.incident.lower()):
            if (place := find(word)) is not None:
                z[place] = 1.0
                is_known = True
        if not is_known:
            because = f"none of its words was seen in training: {state.incident[:50]!r}"
            strange.append(Flaw("state.incident", because))
        if state.symptoms:
            self._look_at_symptoms(z, strange, state.symptoms)
        if state.actions_taken:
            self._look_at_taken(z, strange, state.actions_taken)
        for key, value in state.details.items():
            self._look_at_detail(z, strange, key, value)
        return Look(z, strange)

    def _look_at_symptoms(self, z: Floats, strange: list[Flaw], symptoms: tuple[str, ...]) -> None:
        """Every word of a symptom must be known, unlike those of prose."""
        find = self._place_by_word.get
        for i, text in enumerate(symptoms):
            places = [find(word) for word in _WORD.findall(text.lower())]
            for place in places:
                if place is not None:
                    z[place] = 1.0
            if None in places or not places:
                strange.append(Flaw(f"state.symptoms[{i}]", f"{text[:50]!r} {_UNSEEN}"))

    def _look_at_taken(
        self, z: Floats, strange: list[Flaw], taken: tuple[TakenAction, ...]
    ) -> None:
        find, seen = self._place.get, set[str]()
        for i, one in enumerate(taken):
            names = [f"taken:{one.type}"]
            if one.result is not None:
                names.append(f"taken:{one.type}={one.result}")
            for name in names:
                if (place := find(name)) is not None:
                    z[place] = 1.0
                else:
                    strange.append(Flaw(f"state.actions_taken[{i}]", f"{name[6:56]!r} {_UNSEEN}"))
            if one.type in seen and (place := find(f"again:{one.type}")) is not None:
                z[place] = 1.0
            seen.add(one.type)
        most = self.catalogue.horizon
        if (place := find("steps")) is not None:
            z[place] = min(len(taken) / most, 1.0)
        if len(taken) > most:
            strange.append(Flaw("state.actions_taken", f"has more than the {most} steps ever seen"))

    def _look_at_detail(
        self, z: Floats, strange: list[Flaw], key: str, value: bool | float | str | list[str]
    ) -> None:
        at = f"state.{key}"
        if _is_number(value):
            seen, place = self.catalogue.numbers.get(key), self._place.get(f"number:{key}")
            if seen is None or place is None:
                strange.append(Flaw(at, _UNSEEN))
                return
            z[place] = _scaled(value, seen.low, seen.high)
            if not seen.low <= value <= seen.high:
                strange.append(Flaw(at, _outside(value, seen)))
            return
        if key not in self._detail_keys:
            strange.append(Flaw(at, _UNSEEN))
            return
        for name in _details(key, value):
            if (place := self._place.get(name)) is not None:
                z[place] = 1.0
            else:
                strange.append(Flaw(at, f"{name.partition('=')[2][:50]!r} {_UNSEEN}"))

    def kind_of(self, action: Action, at: str) -> int:
        """Return the action's place in the catalogue. Raises UnknownAction."""
        i = self.action_index.get(action.type)
        if i is None:
            known = ", ".join(self.catalogue.types)
            raise UnknownAction(
                Flaw(f"{at}.type", f"{action.type[:50]!r} is none of the catalogue: {known}")
            )
        return i

    def encode_params(self, kind: ActionKind, action: Action) -> Floats:
        """Return shape (columns,); a parameter that is not given has its default."""
        u = np.zeros(self.columns, np.float32)
        _mark_params(u, 1, kind, action)
        return u

    def add_action(self, look: Look, action: Action, at: str) -> tuple[int, list[Flaw]]:
        """Write the same at the end of the look's z, which holds no other action's.

        Return the action's place in the catalogue, and what is strange about it and the state.
        Raises UnknownAction.
        """
        i = self.action_index.get(action.type)
        if i is None:
            i = self.kind_of(action, at)
        kind, strange = self._kinds[i], look.strange
        if action.params:
            strange = strange + self.strange_params(kind, action, at)
        if kind.params:
            _mark_params(look.z, 2 + self.width, kind, action)
        return i, strange

    def strange_params(self, kind: ActionKind, action: Action, at: str) -> list[Flaw]:
        """Name the parameters, values and choices that this action never had in training."""
        seen = self._params_by_action[kind.type]
        found: list[Flaw] = []
        for name, value in action.params.items():
            because = _strangeness(value, seen.get(name))
            if because is not None:
                found.append(Flaw(f"{at}.params.{name}", because))
        return found


def _strangeness(value: bool | float | str, param: NumberParam | ChoiceParam | None) -> str | None:
    if type(param) is NumberParam:
        if type(value) is not int and type(value) is not float:
            return "was always a number in training"
        return None if param.low <= value <= param.high else _outside(value, param)
    if type(param) is ChoiceParam:
        return None if _text(value) in param.choices else f"{_text(value)[:50]!r} {_UNSEEN}"
    return _UNSEEN


def _mark_params(u: Floats, at: int, kind: ActionKind, action: Action) -> None:
    for param in kind.params:
        value = action.params.get(param.name, param.default)
        if type(param) is NumberParam:
            number = value if type(value) is int or type(value) is float else param.default
            u[at] = _scaled(number, param.low, param.high)
            at += 1
        else:
            text = _text(value)
            if text in param.choices:
                u[at + param.choices.index(text)] = 1.0
            at += len(param.choices)


def default_action(kind: ActionKind) -> Action:
    """The action with its usual parameters; whole numbers stay whole."""
    return Action(kind.type, {param.name: _told(param) for param in kind.params})


def _told(param: NumberParam | ChoiceParam) -> bool | float | str:
    if isinstance(param, NumberParam):
        return int(param.default) if param.default.is_integer() else param.default
    return {"true": True, "false": False}.get(param.default, param.default)


def _columns(kind: ActionKind) -> int:
    return sum(1 if isinstance(each, NumberParam) else len(each.choices) for each in kind.params)


def _scaled(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.0


def _outside(value: float, seen: NumberDetail | NumberParam) -> str:
    return f"{value!r} is outside what was seen in training: {seen.low:g} to {seen.high:g}"


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
