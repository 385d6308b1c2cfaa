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

import numpy as np
from numpy.typing import NDArray
from reward.catalogue import ActionKind, Catalogue, ChoiceParam, NumberParam
from reward.problems import Flaw, UnknownAction
from reward.questions import Action, State

Floats = NDArray[np.float32]
_WORD = re.compile(r"[a-z0-9]{2,}")
_UNSEEN = "was never seen in training"


def words(text: str) -> list[str]:
    """Lower-case words of two characters or more."""
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


class Encoder:
    """Encodes by one catalogue; made once, at load."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.width = len(catalogue.features)
        self.columns = 1 + max((_columns(kind) for kind in catalogue.actions), default=0)
        """Of an action's parameters; the first one is always 0, so that no axis is empty."""
        self.action_index = {kind.type: i for i, kind in enumerate(catalogue.actions)}
        self._index = {name: i for i, name in enumerate(catalogue.features)}
        self._detail_keys = {
            name.partition(":")[2].partition("=")[0]
            for name in catalogue.features
            if name.startswith("detail:")
        }

    def encode(self, state: State) -> Floats:
        """Return shape (features,), each within 0..1."""
        x = np.zeros(self.width, np.float32)
        index = self._index
        for name in names_of(state):
            i = index.get(name)
            if i is not None:
                x[i] = 1.0
        if (i := index.get("steps")) is not None:
            x[i] = min(len(state.actions_taken) / self.catalogue.horizon, 1.0)
        for key, value in state.details.items():
            if (i := index.get(f"number:{key}")) is not None and _is_number(value):
                seen = self.catalogue.numbers[key]
                x[i] = _scaled(float(value), seen.low, seen.high)  # pyright: ignore[reportArgumentType]
        return x

    def strange(self, state: State) -> list[Flaw]:
        """Name what training has never seen; a state with any of it gets no confident answer."""
        index = self._index
        found: list[Flaw] = []
        if f"severity={state.severity}" not in index:
            found.append(Flaw("state.severity", f"{state.severity[:50]!r} {_UNSEEN}"))
        texts = [("state.incident", state.incident)]
        texts += [(f"state.symptoms[{i}]", text) for i, text in enumerate(state.symptoms)]
        found += [
            Flaw(at, f"none of its words was seen in training: {text[:50]!r}")
            for at, text in texts
            if not any(f"word:{word}" in index for word in words(text))
        ]
        for i, taken in enumerate(state.actions_taken):
            names = [f"taken:{taken.type}"]
            names += [f"taken:{taken.type}={taken.result}"] if taken.result is not None else []
            found += [
                Flaw(f"state.actions_taken[{i}]", f"{name[6:56]!r} {_UNSEEN}")
                for name in names
                if name not in index
            ]
        if len(state.actions_taken) > self.catalogue.horizon:
            most = self.catalogue.horizon
            found.append(Flaw("state.actions_taken", f"has more than the {most} steps ever seen"))
        for key, value in state.details.items():
            found += self._strange_detail(key, value)
        return found

    def _strange_detail(self, key: str, value: bool | float | str | list[str]) -> list[Flaw]:
        at = f"state.{key}"
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            seen = self.catalogue.numbers.get(key)
            if seen is None:
                return [Flaw(at, _UNSEEN)]
            return [] if seen.low <= value <= seen.high else [Flaw(at, _outside(value, seen))]
        if key not in self._detail_keys:
            return [Flaw(at, _UNSEEN)]
        unseen = [name for name in _details(key, value) if name not in self._index]
        return [Flaw(at, f"{name.partition('=')[2][:50]!r} {_UNSEEN}") for name in unseen]

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
        at = 1
        for param in kind.params:
            value = action.params.get(param.name, param.default)
            if isinstance(param, NumberParam):
                number = float(value) if _is_number(value) else param.default  # pyright: ignore[reportArgumentType]
                u[at] = _scaled(number, param.low, param.high)
                at += 1
            else:
                text = _text(value)
                if text in param.choices:
                    u[at + param.choices.index(text)] = 1.0
                at += len(param.choices)
        return u

    def strange_params(self, kind: ActionKind, action: Action, at: str) -> list[Flaw]:
        """Name the parameters, values and choices that this action never had in training."""
        seen = {param.name: param for param in kind.params}
        found: list[Flaw] = []
        for name, value in action.params.items():
            place, param = f"{at}.params.{name}", seen.get(name)
            if param is None:
                found.append(Flaw(place, _UNSEEN))
            elif isinstance(param, ChoiceParam):
                if _text(value) not in param.choices:
                    found.append(Flaw(place, f"{_text(value)[:50]!r} {_UNSEEN}"))
            elif not _is_number(value):
                found.append(Flaw(place, "was always a number in training"))
            elif not param.low <= float(value) <= param.high:
                found.append(Flaw(place, _outside(value, param)))
        return found


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


def _outside(value: object, seen: object) -> str:
    low, high = getattr(seen, "low", None), getattr(seen, "high", None)
    return f"{value!r} is outside what was seen in training: {low:g} to {high:g}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
