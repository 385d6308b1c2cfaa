"""Ways of working an incident, as probabilities over the actions in every exact state.
Nothing here looks at the hidden cause; the best way of all is exact.solve()."""

import numpy as np
from simulator.exact import world
from simulator.incidents import (
    ACTIONS,
    CAUSES,
    DIAGNOSE,
    ESCALATE,
    REQUEST_APPROVAL,
    RISKY,
    WORKS,
    Situation,
)

RUNBOOK_SHARE = 0.6
"""Of the steps in a log; the rest are drawn evenly from all actions."""

TRIES = 2
"""Fixes that the runbook tries before it hands over."""


def draw_evenly() -> np.ndarray:
    """Every action as likely as any other, useless repeats too. Shape (S, A)."""
    return np.full(world().rewards.shape, 1 / len(ACTIONS))


def grab_reward() -> np.ndarray:
    """The action with the best expected reward at once: greedy on the truth. Shape (S, A)."""
    return _certain(world().rewards.argmax(axis=1))


def follow_runbook() -> np.ndarray:
    """Diagnose, ask approval for what is risky, the best fix, the next best, hand over."""
    situations = world().situations
    choices: dict[tuple[int, int], int] = {}
    pairs = list(zip(situations.diagnosis.tolist(), situations.taken.tolist(), strict=True))
    for diagnosis, taken in set(pairs):
        choices[diagnosis, taken] = choose_by_runbook(diagnosis, taken)
    return _certain(np.array([choices[pair] for pair in pairs]))


def work_as_logged() -> np.ndarray:
    """The logging policy: at each step the runbook, or sometimes anything."""
    return RUNBOOK_SHARE * follow_runbook() + (1 - RUNBOOK_SHARE) * draw_evenly()


def choose_by_runbook(diagnosis: int, taken: int) -> int:
    """diagnosis and taken as in Situation."""
    if not diagnosis:
        return DIAGNOSE
    fixes = _fixes_for(diagnosis - 1)
    failed = [fix for fix in fixes if taken >> fix & 1]
    if len(failed) >= TRIES:
        return ESCALATE
    fix = next(fix for fix in fixes if fix not in failed)
    is_approved = taken >> REQUEST_APPROVAL & 1
    return REQUEST_APPROVAL if fix in RISKY and not is_approved else fix


def allowed(situations: Situation) -> np.ndarray:
    """What the guard against useless repeats leaves; bool, shape (..., A)."""
    return (np.asarray(situations.taken)[..., None] >> np.arange(len(ACTIONS))) & 1 == 0


def _fixes_for(cause: int) -> list[int]:
    """Best first."""
    assert cause < len(CAUSES)
    order = np.argsort(-WORKS[cause], kind="stable")
    return [int(action) for action in order if WORKS[cause, action] > 0]


def _certain(actions: np.ndarray) -> np.ndarray:
    return np.eye(len(ACTIONS))[actions]
