"""What is true of the shipped simulator, beside what was learnt from its log: exact expectations.
Only for logs that it wrote; nothing here is learnt, and nothing estimated but under a shift.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from reward.catalogue import ActionKind, Catalogue, NumberParam
from reward.features import Encoder, default_action
from reward.predictor import Predictor
from reward.questions import State
from simulator import policies
from simulator.documents import situation_of
from simulator.exact import find, solve, value_of, visits_of, world
from simulator.incidents import (
    ACTIONS,
    COST_OF_REPLICA,
    MOST_REPLICAS,
    NOISE,
    REACH,
    REPLICAS,
    RULES,
    SCALE_K8S,
    SYMPTOMS,
    WORKS,
    Situation,
    is_repeat,
)
from simulator.vectorised import IncidentSimulator
from training.episodes.dataset import Rows

ROUNDED = 1e-3
"""By which a log's factors may pass the noise; they are rounded."""
CHUNK = 4_096
"""States predicted at once; products of pairs take memory."""

Floats = NDArray[np.float64]


class Ranking(NamedTuple):
    """Means over the states that the log's policy meets.

    spearman: rank correlation of predicted and true rewards over the actions of a state. top_1:
    share of states where the best by prediction is the best. regret: what it costs at once to take
    the best by prediction. mae: of the expected reward, over states and actions.
    """

    spearman: float
    top_1: float
    regret: float
    mae: float


class Known:
    """The simulator's exact states as one catalogue sees them; its actions must be among ours."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._encoder = Encoder(catalogue)
        self._world = world()
        self._incidents = IncidentSimulator(
            catalogue.features, actions=catalogue.types, horizon=catalogue.horizon
        )
        self._order = np.array([ACTIONS.index(type_) for type_ in catalogue.types])
        self._x = self._incidents.observations(self._world.situations)
        self._allowed = self._incidents.allowed_in(self._world.situations)

    def expect(self, rows: Rows) -> Floats:
        """Return the true expected factors of the rows, shape (rows, factors)."""
        states = find(_situations(rows))
        action, replicas = self._order[rows.kind], self._replicas(rows)
        reach = np.where(action == SCALE_K8S, REACH[replicas], 1.0)
        success = (self._success(states, action) * reach)[:, None]
        won, lost = self._pay(rows, states)
        return success * won + (1 - success) * lost

    def could_pay(self, rows: Rows) -> bool:
        """True if every row's factors are within the noise of one of its two outcomes."""
        is_near = np.abs(self._pay(rows, find(_situations(rows))) - rows.factors) <= NOISE + ROUNDED
        return bool(is_near.all(axis=2).any(axis=0).all())

    def _pay(self, rows: Rows, states: NDArray[np.intp]) -> Floats:
        """Return the factors where the action resolves and where not, (2, rows, factors)."""
        action, situations = self._order[rows.kind], self._at(states)
        paid = np.stack([RULES.means(situations, action, resolved) for resolved in (1, 0)])
        more = (self._replicas(rows) - REPLICAS) * COST_OF_REPLICA
        paid[:, :, 3] += (action == SCALE_K8S) * more
        return paid

    def predict(self, predictor: Predictor) -> Floats:
        """Return the predicted rewards of default actions, shape (states, actions)."""
        found = np.empty((len(self._x), len(self._order)))
        us = self._default_params()
        for first in range(0, len(self._x), CHUNK):
            x = self._x[first : first + CHUNK]
            for kind, u in enumerate(us):
                kinds, many = np.full(len(x), kind), np.repeat(u[None], len(x), axis=0)
                factors, _ = predictor.rewards(x, kinds, many)
                found[first : first + CHUNK, kind] = factors.sum(axis=1)
        return found

    def rank(self, predicted: Floats) -> Ranking:
        true = self._world.rewards[:, self._order]
        visits = visits_of(policies.work_as_logged())
        weights = visits / visits.sum()
        chosen = np.take_along_axis(true, predicted.argmax(axis=1)[:, None], axis=1)[:, 0]
        spearman = _spearman(predicted, true)
        return Ranking(
            spearman=float(weights @ spearman),
            top_1=float(weights @ (chosen >= true.max(axis=1))),
            regret=float(weights @ (true.max(axis=1) - chosen)),
            mae=float(weights @ np.abs(predicted - true).mean(axis=1)),
        )

    def value_policies(self, predictor: Predictor, predicted: Floats) -> dict[str, dict[str, Any]]:
        """Exact values; percent: of the way from random (0) to optimal (100)."""
        free = np.ones_like(self._allowed)
        guarded, unguarded = (predictor.policy(self._x, each)[0] for each in (self._allowed, free))
        greedy = [np.where(each, predicted, -np.inf) for each in (self._allowed, free)]
        tables = {
            "random": policies.draw_evenly(),
            "logged": policies.work_as_logged(),
            "greedy_on_true_rewards": policies.grab_reward(),
            "runbook": policies.follow_runbook(),
            "optimal": solve().policy,
            "policy": self._incidents.in_order(guarded),
            "policy_without_guard": self._incidents.in_order(unguarded),
            "recommended": self._certain(guarded),
            "recommended_without_guard": self._certain(unguarded),
            "greedy_on_model": self._certain(greedy[0]),
            "greedy_on_model_without_guard": self._certain(greedy[1]),
        }
        values = {name: value_of(table) for name, table in tables.items()}
        worst, best = values["random"], values["optimal"]
        return {
            name: {"value": value, "percent": 100 * (value - worst) / (best - worst)}
            for name, value in values.items()
        }

    def shift(self, *, count: int, seed: int) -> Rows:
        """Draw rows as a log of evenly drawn actions would have them, with its noise."""
        random = np.random.default_rng(seed)
        visits = visits_of(policies.draw_evenly())
        states = random.choice(len(visits), count, p=visits / visits.sum())
        kind = random.integers(len(self._order), size=count)
        action, situations = self._order[kind], self._at(states)
        resolved = (random.random(count) < self._success(states, action)).astype(np.intp)
        factors = RULES.means(situations, action, resolved)
        factors = factors + NOISE * random.uniform(-1, 1, factors.shape)
        nothing = np.full(count, "")
        return Rows(
            states=nothing.astype(object),
            x=self._x[states],
            kind=kind,
            u=self._default_params()[kind],
            factors=factors,
            reward=factors.sum(axis=1),
            propensity=np.full(count, 1 / len(self._order)),
            result=nothing,
            done=np.ones(count, bool),
            episode=np.arange(count),
            step=np.zeros(count, np.intp),
        )

    def _at(self, states: NDArray[np.intp]) -> Situation:
        return Situation(*(column[states] for column in self._world.situations))

    def _success(self, states: NDArray[np.intp], action: NDArray[np.intp]) -> Floats:
        chances = (self._world.beliefs[states] * WORKS[:, action].T).sum(axis=1)
        return chances * (1 - is_repeat(self._at(states), action))

    def _replicas(self, rows: Rows) -> NDArray[np.intp]:
        """The default of the simulator where the log never varied them."""
        kinds = self._catalogue.actions
        params = [param for kind in kinds for param in kind.params if param.name == "replicas"]
        if not params or not isinstance(params[0], NumberParam):
            return np.full(len(rows), REPLICAS)
        param = params[0]
        return np.rint(param.low + rows.u[:, 1] * (param.high - param.low)).astype(np.intp)

    def _default_params(self) -> NDArray[np.float32]:
        kinds = self._catalogue.actions
        return np.stack([self._encoder.encode_params(kind, default_action(kind)) for kind in kinds])

    def _certain(self, scores: NDArray[np.floating[Any]]) -> Floats:
        return self._incidents.in_order(np.eye(len(self._order))[scores.argmax(axis=1)])


def is_of_the_simulator(catalogue: Catalogue, rows: Rows) -> bool:
    """True if every row is one that the shipped simulator writes: actions, state and factors.

    Other teams word their incidents alike, and pay for them otherwise.
    """
    if not all(map(_is_ours, catalogue.actions)) or not all(map(_is_plain, rows.states)):
        return False
    try:
        if not (find(_situations(rows)) >= 0).all():
            return False
    except (KeyError, ValueError, IndexError):
        return False
    return Known(catalogue).could_pay(rows)


def _is_ours(kind: ActionKind) -> bool:
    if kind.type not in ACTIONS:
        return False
    return all(
        isinstance(param, NumberParam)
        and (kind.type, param.name) == ("SCALE_K8S", "replicas")
        and param.low >= 1
        and param.high <= MOST_REPLICAS
        for param in kind.params
    )


def _is_plain(state: State) -> bool:
    """Without members and symptoms that the simulator never writes."""
    return not state.details and state.symptoms in ((), *SYMPTOMS)


def _situations(rows: Rows) -> Situation:
    found = [situation_of(_document(state)) for state in rows.states]
    return Situation(*np.array(found, np.intp).reshape(-1, 5).T)


def _document(state: State) -> dict[str, Any]:
    taken = [{"type": each.type, "result": each.result} for each in state.actions_taken]
    return {"incident": state.incident, "severity": state.severity, "actions_taken": taken}


def _spearman(one: Floats, other: Floats) -> Floats:
    """Rank correlation of each row; equal entries have the mean of their ranks."""
    ranks = [_ranks(each) for each in (one, other)]
    apart = [each - each.mean(axis=1, keepdims=True) for each in ranks]
    size = np.sqrt((apart[0] ** 2).sum(axis=1) * (apart[1] ** 2).sum(axis=1))
    product = (apart[0] * apart[1]).sum(axis=1)
    return np.divide(product, size, out=np.zeros(len(one)), where=size > 0)


def _ranks(rows: Floats) -> Floats:
    less = (rows[:, None, :] < rows[:, :, None]).sum(axis=2)
    equal = (rows[:, None, :] == rows[:, :, None]).sum(axis=2)
    return less + (equal + 1) / 2
