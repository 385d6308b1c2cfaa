"""Situations as numbers, by the names of a catalogue's features.
Gives what encoding the state documents would give, for thousands of situations at once."""

import re
from typing import Any, NamedTuple

import numpy as np
from simulator.incidents import (
    ACTIONS,
    CAUSES,
    ESCALATE,
    HORIZON,
    RULES,
    SEVERITIES,
    SYMPTOMS,
    TITLES,
    Situation,
)
from simulator.play import result_of


class Observer(NamedTuple):
    """Tables of rows to add up, one for each part of a situation; NumPy or JAX arrays alike."""

    title: Any
    """Titles in order, then once more with their symptoms."""
    severity: Any
    diagnosis: Any
    taken: Any
    again: Any
    steps: Any
    bits: Any

    def observe(self, situation: Situation, symptoms: Any = 0) -> Any:
        """Return float32, (..., features), within 0..1. symptoms: 1 where the state names them."""
        steps = self.bits[situation.taken] + (situation.again > 0)
        return (
            self.title[situation.title + len(TITLES) * symptoms]
            + self.severity[situation.severity]
            + self.diagnosis[situation.diagnosis]
            + self.taken[situation.taken]
            + self.again[situation.again]
            + self.steps[steps]
        )


def observer(features: tuple[str, ...], *, horizon: int = HORIZON) -> Observer:
    """horizon: how many actions make `steps` 1. Names that no situation has stay 0."""
    again = [[]] + [[f"again:{action}"] for action in ACTIONS[:ESCALATE]]
    diagnoses = [[]] + [[f"taken:{ACTIONS[0]}={cause}"] for cause in CAUSES]
    titles = [_words(title) for title in TITLES]
    titles += [_words(title, *SYMPTOMS[i]) for i, title in enumerate(TITLES)]
    steps = np.minimum(np.arange(HORIZON + 1) / horizon, 1)[:, None]
    return Observer(
        title=_rows(titles, features),
        severity=_rows([[f"severity={severity}"] for severity in SEVERITIES], features),
        diagnosis=_rows(diagnoses, features),
        taken=_rows([_taken_names(taken) for taken in range(1 << ESCALATE)], features),
        again=_rows(again, features),
        steps=(steps * _rows([["steps"]], features)).astype(np.float32),
        bits=RULES.bits,
    )


def default_features() -> tuple[str, ...]:
    """Every name that a state of the simulator can have, in alphabetical order, `steps` last."""
    names = {f"severity={severity}" for severity in SEVERITIES}
    names.update(word for i, title in enumerate(TITLES) for word in _words(title, *SYMPTOMS[i]))
    names.update(_taken_names((1 << ESCALATE) - 1))
    names.update(f"taken:{ACTIONS[0]}={cause}" for cause in CAUSES)
    names.update(f"again:{action}" for action in ACTIONS[:ESCALATE])
    return (*sorted(names), "steps")


def _words(*texts: str) -> list[str]:
    return [f"word:{word}" for text in texts for word in re.findall("[a-z0-9]{2,}", text.lower())]


def _taken_names(taken: int) -> list[str]:
    """All but what a diagnosis named."""
    actions = [action for action in range(ESCALATE) if taken >> action & 1]
    names = [f"taken:{ACTIONS[action]}" for action in actions]
    seen = Situation(0, 0, 1, taken, 0)
    return names + [
        f"taken:{ACTIONS[action]}={result_of(seen, action)}" for action in actions if action
    ]


def _rows(names: list[list[str]], features: tuple[str, ...]) -> np.ndarray:
    rows = [[feature in present for feature in features] for present in names]
    return np.array(rows, np.float32)
