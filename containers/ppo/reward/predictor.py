"""Answers questions: one pass over all actions asked about, in plain numpy.
No HTTP, no files; the same for one question and for a batch."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from reward.catalogue import LEAST, MOST
from reward.features import Encoder, Floats, default_action
from reward.model import RewardModel, Tensors
from reward.questions import Action, Question, State


class Strange(msgspec.Struct, frozen=True):
    """What training has never seen, and where in the question it stands."""

    at: str
    because: str


class Interval(msgspec.Struct, frozen=True):
    """Holds the reward that will come about with probability `coverage`, as in calibration."""

    low: float
    high: float
    coverage: float


class Judged(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What is predicted of one action; `action` stands in rankings only.

    guarded: the action's type was taken already, and the policy would not repeat it.
    """

    reward: float
    factors: dict[str, float]
    interval: Interval
    guarded: bool
    out_of_distribution: tuple[Strange, ...]
    action: Action | None = None


class Advice(msgspec.Struct, frozen=True, rename="camel"):
    """What the policy makes of the state; value: of all rewards to come, as the critic expects."""

    policy: dict[str, float]
    value: float
    recommended_action: Action
    model_version: str


class _Row(NamedTuple):
    """One action of one question."""

    question: int
    kind: int
    action: Action
    strange: tuple[Strange, ...]


class Predictor:
    """Made once, at load; may be used by several threads."""

    def __init__(self, model: RewardModel) -> None:
        self.catalogue = model.catalogue
        self.version = model.version
        self._encoder = Encoder(model.catalogue)
        self._tensors: Tensors = model.tensors
        self._pairs = model.tensors["reward.pairs"]
        self._defaults = [default_action(kind) for kind in model.catalogue.actions]
        self._half_widths = np.array([kind.half_width for kind in model.catalogue.actions])
        self._limits = np.array([kind.leverage_limit for kind in model.catalogue.actions])

    def answer(self, questions: Sequence[Question], *, at: str = "") -> list[dict[str, object]]:
        """Answer in order; raises UnknownAction, whose places begin with `at` in a batch."""
        rows = [
            row
            for i, question in enumerate(questions)
            for row in self._rows(i, question, at.format(i))
        ]
        xs = np.stack([self._encoder.encode(question.state) for question in questions])
        judged = self._judge(xs, rows, questions)
        advice = self._advise(xs, questions)
        parts: list[list[Judged]] = [[] for _ in questions]
        for row, one in zip(rows, judged, strict=True):
            parts[row.question].append(one)
        return [
            _told(question, part, advised)
            for question, part, advised in zip(questions, parts, advice, strict=True)
        ]

    def rewards(self, xs: Floats, kinds: NDArray[np.intp], us: Floats) -> tuple[Floats, Floats]:
        """Predict the factors, shape (rows, factors), and the leverages, shape (rows,).

        xs: shape (rows, features). kinds: the action's place in the catalogue. us: its parameters.
        """
        tensors = self._tensors
        ones = np.ones((len(xs), 1), np.float32)
        z = np.concatenate([ones, xs], axis=1)
        products = xs[:, self._pairs[:, 0]] * xs[:, self._pairs[:, 1]]
        phi = np.concatenate([z, products], axis=1)
        factors = np.empty((len(xs), len(self.catalogue.factors)), np.float32)
        leverages = np.empty(len(xs), np.float32)
        for kind in np.unique(kinds):
            rows = kinds == kind
            weights, params = tensors["reward.weights"][kind], tensors["reward.params"][kind]
            factors[rows] = phi[rows] @ weights.T + us[rows] @ params.T
            leverages[rows] = ((z[rows] @ tensors["reward.leverage"][kind]) * z[rows]).sum(axis=1)
        return factors, np.maximum(leverages, 0.0)

    def policy(self, xs: Floats, allowed: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Return probabilities, shape (rows, actions), and values, shape (rows,)."""
        logits = np.where(allowed, self._network("policy", "logits", xs), -np.inf)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True), self._network("value", "output", xs)[:, 0]

    def allowed(self, state: State) -> NDArray[np.bool_]:
        """What the guard leaves: no type twice, or all where every one was taken."""
        taken = {each.type for each in state.actions_taken}
        found = np.array([type_ not in taken for type_ in self.catalogue.types])
        return found if found.any() else ~found

    def _network(self, part: str, output: str, xs: Floats) -> Floats:
        for layer in ("hidden1", "hidden2"):
            xs = np.tanh(self._layer(f"{part}.{layer}", xs))
        return self._layer(f"{part}.{output}", xs)

    def _layer(self, name: str, xs: Floats) -> Floats:
        return xs @ self._tensors[f"{name}.weights"] + self._tensors[f"{name}.bias"]

    def _rows(self, i: int, question: Question, at: str) -> list[_Row]:
        strange = [Strange(flaw.at, flaw.because) for flaw in self._encoder.strange(question.state)]
        name = f"{at}proposedActions[{{}}]" if question.is_ranking else f"{at}proposedAction"
        actions = self._defaults if question.actions is None else question.actions
        return [self._row(i, action, name.format(k), strange) for k, action in enumerate(actions)]

    def _row(self, i: int, action: Action, at: str, strange: list[Strange]) -> _Row:
        kind = self._encoder.kind_of(action, at)
        flaws = self._encoder.strange_params(self.catalogue.actions[kind], action, at)
        return _Row(i, kind, action, (*strange, *(Strange(*flaw) for flaw in flaws)))

    def _judge(self, xs: Floats, rows: list[_Row], questions: Sequence[Question]) -> list[Judged]:
        kinds = np.array([row.kind for row in rows])
        known = self.catalogue.actions
        us = np.stack([self._encoder.encode_params(known[row.kind], row.action) for row in rows])
        factors, leverages = self.rewards(xs[[row.question for row in rows]], kinds, us)
        half_widths = self._half_widths[kinds] * np.sqrt(1.0 + leverages)
        is_thin = leverages > self._limits[kinds]
        taken = [{each.type for each in one.state.actions_taken} for one in questions]
        return [
            self._judged(
                row,
                row_factors,
                half_width,
                is_thin=thin,
                guarded=row.action.type in taken[row.question],
                is_ranking=questions[row.question].is_ranking,
            )
            for row, row_factors, half_width, thin in zip(
                rows, factors.tolist(), half_widths.tolist(), is_thin.tolist(), strict=True
            )
        ]

    def _judged(
        self,
        row: _Row,
        factors: list[float],
        half_width: float,
        *,
        is_thin: bool,
        guarded: bool,
        is_ranking: bool,
    ) -> Judged:
        total = sum(factors)
        scale = min(1.0, MOST / abs(total)) if total else 1.0
        reward = min(max(total * scale, LEAST), MOST)
        strange = row.strange
        if is_thin:
            because = f"hardly any episode took {row.action.type} in such a state"
            strange = (*strange, Strange("state", because))
        low, high = (LEAST, MOST) if strange else (reward - half_width, reward + half_width)
        names = self.catalogue.factors
        return Judged(
            reward=reward,
            factors={name: each * scale for name, each in zip(names, factors, strict=True)},
            interval=Interval(max(low, LEAST), min(high, MOST), self.catalogue.coverage),
            guarded=guarded,
            out_of_distribution=strange,
            action=row.action if is_ranking else None,
        )

    def _advise(self, xs: Floats, questions: Sequence[Question]) -> list[Advice]:
        allowed = np.stack([self.allowed(question.state) for question in questions])
        probabilities, values = self.policy(xs, allowed)
        return [
            Advice(
                policy=dict(zip(self.catalogue.types, row, strict=True)),
                value=value,
                recommended_action=self._defaults[best],
                model_version=self.version,
            )
            for row, value, best in zip(
                probabilities.tolist(),
                values.tolist(),
                probabilities.argmax(axis=1).tolist(),
                strict=True,
            )
        ]


def _told(question: Question, parts: list[Judged], advice: Advice) -> dict[str, object]:
    if question.is_ranking:
        best_first = sorted(parts, key=lambda part: part.reward, reverse=True)
        return {"ranking": best_first} | _members(advice)
    return _members(parts[0]) | _members(advice)


def _members(part: Judged | Advice) -> dict[str, object]:
    return {
        told: value
        for told, value in zip(
            part.__struct_encode_fields__, msgspec.structs.astuple(part), strict=True
        )
        if value is not None
    }
