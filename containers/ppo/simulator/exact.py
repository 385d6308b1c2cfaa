"""The incident simulator solved exactly: its reachable states, their beliefs, any policy's value.
No sampling: every number is a finite sum."""

from functools import cache
from typing import NamedTuple

import numpy as np
from simulator.incidents import (
    ACTIONS,
    CAUSE_SHARE,
    CAUSES,
    DIAGNOSE,
    ESCALATE,
    FINDING_SHARE,
    FIXES,
    HORIZON,
    RULES,
    SEVERITIES,
    SEVERITY_SHARE,
    TITLE_SHARE,
    TITLES,
    WORKS,
    Situation,
    is_repeat,
)


class World(NamedTuple):
    """The belief MDP; S states ordered by steps, A actions, at most five ways on."""

    situations: Situation
    """Arrays of shape (S,)."""
    beliefs: np.ndarray
    """(S, causes): probability of each cause, given all that was seen."""
    starts: np.ndarray
    """(S,): probability of beginning there."""
    factors: np.ndarray
    """(S, A, 4): expected factors."""
    rewards: np.ndarray
    """(S, A): expected reward, the sum of the factors."""
    chances: np.ndarray
    """(S, A, 5): probability of each way on; what is missing to 1 ends the episode."""
    following: np.ndarray
    """(S, A, 5): the state a way leads to; 0 where its chance is 0."""
    numbers: np.ndarray
    """Of states, by code; -1 where a code is no state."""
    bounds: tuple[int, ...]
    """States with k steps are bounds[k]:bounds[k + 1]."""


class Solution(NamedTuple):
    value: float
    values: np.ndarray
    """(S,)"""
    gains: np.ndarray
    """(S, A): expected return of the action and of the best ones after it."""
    policy: np.ndarray
    """(S, A): 1 at the first best action."""


@cache
def world() -> World:
    """Build the MDP; takes a fifth of a second."""
    situations = _enumerate()
    beliefs = _beliefs(situations)
    steps = RULES.steps(situations)
    numbers = _numbers(situations)
    chances, following = _ways(situations, beliefs, numbers)
    factors = _expect_factors(situations, beliefs)
    return World(
        situations=situations,
        beliefs=beliefs,
        starts=_starts(situations),
        factors=factors,
        rewards=factors.sum(axis=2),
        chances=chances,
        following=following,
        numbers=numbers,
        bounds=tuple(int(n) for n in np.searchsorted(steps, range(HORIZON + 1))),
    )


def solve() -> Solution:
    """Backward induction, undiscounted."""
    mdp = world()
    values = np.zeros(len(mdp.starts))
    gains = np.zeros(mdp.rewards.shape)
    for part in _backwards(mdp):
        gains[part] = _look_ahead(mdp, part, values)
        values[part] = gains[part].max(axis=1)
    policy = np.eye(len(ACTIONS))[gains.argmax(axis=1)]
    return Solution(float(mdp.starts @ values), values, gains, policy)


def value_of(policy: np.ndarray) -> float:
    """Expected return of an episode. policy: (S, A), rows of probabilities."""
    return float(world().starts @ values_of(policy))


def values_of(policy: np.ndarray) -> np.ndarray:
    """Expected return from each state on, shape (S,)."""
    mdp = world()
    values = np.zeros(len(mdp.starts))
    for part in _backwards(mdp):
        values[part] = (policy[part] * _look_ahead(mdp, part, values)).sum(axis=1)
    return values


def visits_of(policy: np.ndarray) -> np.ndarray:
    """Probability that an episode passes through each state, shape (S,)."""
    mdp = world()
    visits = mdp.starts.copy()
    for part in reversed(_backwards(mdp)):
        flow = visits[part, None, None] * policy[part, :, None] * mdp.chances[part]
        np.add.at(visits, mdp.following[part], flow)
    return visits


def find(situation: Situation) -> np.ndarray:
    """Numbers of the states that look so, elementwise; -1 where none does."""
    return world().numbers[_code(situation)]


def situation_at(state: int) -> Situation:
    return Situation(*(int(column[state]) for column in world().situations))


def _enumerate() -> Situation:
    contexts = np.argwhere(SEVERITY_SHARE > 0)
    rest = np.indices((len(CAUSES) + 1, 1 << ESCALATE, ESCALATE + 1)).reshape(3, -1)
    title, severity = (np.repeat(column, rest.shape[1]) for column in contexts.T)
    diagnosis, taken, again = (np.tile(row, len(contexts)) for row in rest)
    every = Situation(title, severity, diagnosis, taken, again)
    is_reachable = (
        ((diagnosis > 0) == is_repeat(every, DIAGNOSE))
        & ((again == 0) | ((taken >> np.maximum(again - 1, 0)) & 1 > 0))
        & (RULES.steps(every) < HORIZON)
    )
    order = np.argsort(RULES.steps(every)[is_reachable], kind="stable")
    return Situation(*(column[is_reachable][order] for column in every))


def _beliefs(situations: Situation) -> np.ndarray:
    found = np.vstack([np.ones(len(CAUSES)), FINDING_SHARE.T])
    beliefs = CAUSE_SHARE[situations.title] * found[situations.diagnosis]
    for fix in FIXES:
        beliefs *= 1 - WORKS[:, fix] * is_repeat(situations, fix)[:, None]
    return beliefs / beliefs.sum(axis=1, keepdims=True)


def _starts(situations: Situation) -> np.ndarray:
    shares = TITLE_SHARE[situations.title] * SEVERITY_SHARE[situations.title, situations.severity]
    return shares * (situations.taken == 0)


def _success(situations: Situation, beliefs: np.ndarray, action: int) -> np.ndarray:
    return beliefs @ WORKS[:, action] * (1 - is_repeat(situations, action))


def _expect_factors(situations: Situation, beliefs: np.ndarray) -> np.ndarray:
    expected = np.empty((len(beliefs), len(ACTIONS), 4))
    for action in range(len(ACTIONS)):
        success = _success(situations, beliefs, action)[:, None]
        won, lost = (RULES.means(situations, action, resolved) for resolved in (1, 0))
        expected[:, action] = success * won + (1 - success) * lost
    return expected


def _ways(
    situations: Situation, beliefs: np.ndarray, numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    chances = np.zeros((len(beliefs), len(ACTIONS), len(CAUSES)))
    following = np.zeros(chances.shape, np.int32)
    for action, finding in np.ndindex(ESCALATE, len(CAUSES)):
        share = _way_share(situations, beliefs, action, finding)
        share = share * (1 - RULES.gives_up(situations, action))
        ahead = np.flatnonzero(share)
        seen = RULES.follow(situations, action, finding)
        chances[:, action, finding] = share
        following[ahead, action, finding] = numbers[_code(seen)[ahead]]
    return chances, following


def _way_share(situations: Situation, beliefs: np.ndarray, action: int, finding: int) -> np.ndarray:
    """A first diagnosis goes on in one of five ways; everything else in the first, or it ends."""
    plain = (1 - _success(situations, beliefs, action)) * (finding == 0)
    if action != DIAGNOSE:
        return plain
    return np.where(is_repeat(situations, DIAGNOSE), plain, beliefs @ FINDING_SHARE[:, finding])


def _code(situation: Situation) -> np.ndarray:
    """One number for each combination, reachable or not."""
    code = np.asarray(situation.title)
    radices = (len(SEVERITIES), len(CAUSES) + 1, 1 << ESCALATE, ESCALATE + 1)
    for column, radix in zip(situation[1:], radices, strict=True):
        code = code * radix + column
    return code


def _numbers(situations: Situation) -> np.ndarray:
    last = Situation(len(TITLES) - 1, len(SEVERITIES) - 1, len(CAUSES), 127, ESCALATE)
    numbers = np.full(int(_code(last)) + 1, -1)
    codes = _code(situations)
    numbers[codes] = np.arange(len(codes))
    return numbers


def _backwards(mdp: World) -> list[slice]:
    spans = zip(mdp.bounds[:-1], mdp.bounds[1:], strict=True)
    return [slice(first, last) for first, last in spans][::-1]


def _look_ahead(mdp: World, part: slice, values: np.ndarray) -> np.ndarray:
    return mdp.rewards[part] + (mdp.chances[part] * values[mdp.following[part]]).sum(axis=2)
