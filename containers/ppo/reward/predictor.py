"""Answers questions: rewards by factor with their intervals, and what the policy would do.
No HTTP, no files. One question has a short way of its own, which computes what the batch does."""

from collections.abc import Iterable, Iterator, Sequence
from math import exp, isfinite, sqrt
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from reward.catalogue import LEAST, MOST, UNCALIBRATED
from reward.features import Encoder, Floats, Look, default_action
from reward.fused import Fused, fuse
from reward.model import RewardModel, Tensors
from reward.problems import Flaw, ModelFailed
from reward.questions import Action, Question, State

ROWS_AT_ONCE = 4096
"""So that a large batch needs no more memory than its answers."""


class Strange(msgspec.Struct, frozen=True):
    """What training has never seen, and where in the question it stands."""

    at: str
    because: str


class Interval(msgspec.Struct, frozen=True):
    """Holds the reward that will come about with probability `coverage`, as in calibration."""

    low: float
    high: float
    coverage: float


Answer = dict[str, Any]
"""As on the wire: of one action `reward, factors, interval, guarded, outOfDistribution`, or a
`ranking` of such parts, each with its `action`; then `policy, value, recommendedAction,
modelVersion`. guarded: the type was taken already, and the policy would not repeat it. value: of
all rewards to come, as the critic expects."""


class _Row(NamedTuple):
    """One action of one question."""

    question: int
    kind: int
    action: Action
    strange: list[Flaw]


class Predictor:
    """Made once, at load; may be used by several threads."""

    def __init__(self, model: RewardModel) -> None:
        self.catalogue = model.catalogue
        self.version = model.version
        self._encoder = Encoder(model.catalogue)
        self._tensors: Tensors = model.tensors
        self._pairs = model.tensors["reward.pairs"]
        self._fused = fuse(self._encoder, model.tensors)
        self._types = model.catalogue.types
        self._factors = model.catalogue.factors
        self._kinds = model.catalogue.actions
        self._coverage = model.catalogue.coverage
        self._defaults = [default_action(kind) for kind in model.catalogue.actions]

    def answer(
        self, questions: Sequence[Question], *, places: Sequence[str] | None = None
    ) -> list[Answer]:
        """Answer in order.

        places: what the place of a fault in each question begins with. Raises UnknownAction, and
        ModelFailed where the weights lead to numbers that are not finite.
        """
        looks = [self._encoder.look(question.state) for question in questions]
        taken = [{each.type for each in one.state.actions_taken} for one in questions]
        rows = [
            row
            for i, (question, look) in enumerate(zip(questions, looks, strict=True))
            for row in self._rows(i, question, look.strange, places[i] if places else "")
        ]
        xs = np.stack([look.z for look in looks])[:, 1 : 1 + self._encoder.width]
        parts: list[list[Answer]] = [[] for _ in questions]
        for row, part in zip(rows, self._judge(xs, rows, taken), strict=True):
            is_ranking = questions[row.question].is_ranking
            parts[row.question].append(part | {"action": row.action} if is_ranking else part)
        advice = self._advise(xs, questions)
        return [
            (_ranked(part) if question.is_ranking else part[0]) | advised
            for question, part, advised in zip(questions, parts, advice, strict=True)
        ]

    def answer_one(self, question: Question) -> Answer:
        """Answer as `answer` does."""
        fused = self._fused
        if fused is None:
            return self.answer([question])[0]
        state, actions, is_ranking = question
        look = self._encoder.look(state)
        taken = {each.type for each in state.actions_taken}
        if is_ranking:
            answer = _ranked(self._parts(fused, look, actions, taken))
        else:
            (action,) = actions or ()
            kind, strange = self._encoder.add_action(look, action, "proposedAction")
            factors, leverage = fused.judge(kind, look.z)
            answer = self._part(kind, factors, leverage, strange, is_guarded=action.type in taken)
        logits, value = fused.advise(look.z)
        answer.update(self._advice(self._chances(logits, taken), value))
        return answer

    def _parts(
        self, fused: Fused, look: Look, actions: tuple[Action, ...] | None, taken: set[str]
    ) -> Iterator[Answer]:
        for k, action in enumerate(self._defaults if actions is None else actions):
            own = Look(look.z.copy(), look.strange)
            kind, strange = self._encoder.add_action(own, action, f"proposedActions[{k}]")
            factors, leverage = fused.judge(kind, own.z)
            is_guarded = action.type in taken
            part = self._part(kind, factors, leverage, strange, is_guarded=is_guarded)
            yield part | {"action": action}

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
        found = np.array([type_ not in taken for type_ in self._types])
        return found if found.any() else ~found

    def _network(self, part: str, output: str, xs: Floats) -> Floats:
        for layer in ("hidden1", "hidden2"):
            xs = np.tanh(self._layer(f"{part}.{layer}", xs))
        return self._layer(f"{part}.{output}", xs)

    def _layer(self, name: str, xs: Floats) -> Floats:
        return xs @ self._tensors[f"{name}.weights"] + self._tensors[f"{name}.bias"]

    def _rows(self, i: int, question: Question, strange: list[Flaw], at: str) -> list[_Row]:
        name = f"{at}proposedActions[{{}}]" if question.is_ranking else f"{at}proposedAction"
        actions = self._defaults if question.actions is None else question.actions
        return [self._row(i, action, name.format(k), strange) for k, action in enumerate(actions)]

    def _row(self, i: int, action: Action, at: str, strange: list[Flaw]) -> _Row:
        kind = self._encoder.kind_of(action, at)
        flaws = self._encoder.strange_params(self.catalogue.actions[kind], action, at)
        return _Row(i, kind, action, strange + flaws)

    def _judge(self, xs: Floats, rows: list[_Row], taken: list[set[str]]) -> Iterator[Answer]:
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            us = np.stack([self._encode_params(row) for row in some])
            kinds = np.array([row.kind for row in some])
            factors, leverages = self.rewards(xs[[row.question for row in some]], kinds, us)
            for row, row_factors, leverage in zip(
                some, factors.tolist(), leverages.tolist(), strict=True
            ):
                is_guarded = row.action.type in taken[row.question]
                yield self._part(
                    row.kind, row_factors, leverage, row.strange, is_guarded=is_guarded
                )

    def _encode_params(self, row: _Row) -> Floats:
        return self._encoder.encode_params(self.catalogue.actions[row.kind], row.action)

    def _part(
        self,
        kind: int,
        factors: list[float],
        leverage: float,
        strange: list[Flaw],
        *,
        is_guarded: bool,
    ) -> Answer:
        known, coverage = self._kinds[kind], self._coverage
        total = sum(factors)
        if not isfinite(total + leverage):
            raise ModelFailed(f"the reward of {known.type} came out as {total} +- {leverage}")
        if total > MOST or total < LEAST:
            scale = MOST / abs(total)
            factors = [each * scale for each in factors]
            total = MOST if total > 0 else LEAST
        if leverage > known.leverage_limit:
            because = f"hardly any episode took {known.type} in such a state"
            strange = [*strange, Flaw("state", because)]
        if known.half_width >= UNCALIBRATED:
            because = f"too few episodes took {known.type} to say how far off its reward may be"
            strange = [*strange, Flaw("action", because)]
        half_width = MOST - LEAST if strange else known.half_width * sqrt(1.0 + leverage)
        low, high = total - half_width, total + half_width
        return {
            "reward": total,
            "factors": dict(zip(self._factors, factors, strict=True)),
            "interval": Interval(
                LEAST if low < LEAST else low, MOST if high > MOST else high, coverage
            ),
            "guarded": is_guarded,
            "outOfDistribution": [Strange(*flaw) for flaw in strange] if strange else [],
        }

    def _advise(self, xs: Floats, questions: Sequence[Question]) -> list[Answer]:
        allowed = np.stack([self.allowed(question.state) for question in questions])
        probabilities, values = self.policy(xs, allowed)
        return [
            self._advice(row, value)
            for row, value in zip(probabilities.tolist(), values.tolist(), strict=True)
        ]

    def _chances(self, logits: list[float], taken: set[str]) -> list[float]:
        """The policy's probabilities of one state, as `policy` has them for many."""
        if taken and not taken.issuperset(self._types):
            types = self._types
            logits = [
                -1e300 if type_ in taken else logit
                for type_, logit in zip(types, logits, strict=True)
            ]
        top = max(logits)
        odds = [exp(logit - top) for logit in logits]
        whole = sum(odds)
        return [each / whole for each in odds]

    def _advice(self, chances: list[float], value: float) -> Answer:
        best = max(chances)
        if not isfinite(best + value):
            raise ModelFailed(f"the policy came out as {best}, the value as {value}")
        return {
            "policy": dict(zip(self._types, chances, strict=True)),
            "value": value,
            "recommendedAction": self._defaults[chances.index(best)],
            "modelVersion": self.version,
        }


def _ranked(parts: Iterable[Answer]) -> Answer:
    return {"ranking": sorted(parts, key=lambda part: part["reward"], reverse=True)}
