"""What the known policies are worth, exactly: the yardstick of everything learnt here.
Estimates nothing."""

from typing import NamedTuple

import numpy as np
from simulator.exact import solve, value_of
from simulator.policies import draw_evenly, follow_runbook, grab_reward, work_as_logged


class Worth(NamedTuple):
    policy: str
    value: float
    share: float
    """Of the way from random to optimal; 0 and 1 at the ends."""


def share_of_optimum(policy: np.ndarray) -> float:
    """Where a policy (S, A) stands between random (0) and the optimum (1); below 0 if worse."""
    worst = value_of(draw_evenly())
    return (value_of(policy) - worst) / (solve().value - worst)


def compare_policies() -> list[Worth]:
    """Worst first."""
    policies = {
        "random": draw_evenly(),
        "logged": work_as_logged(),
        "greedy": grab_reward(),
        "runbook": follow_runbook(),
        "optimal": solve().policy,
    }
    return [
        Worth(name, value_of(policy), share_of_optimum(policy)) for name, policy in policies.items()
    ]


def summarise() -> str:
    """Return the comparison as lines of text."""
    rows = [
        f"{worth.policy:<9}{worth.value:>8.3f}{worth.share:>8.1%}" for worth in compare_policies()
    ]
    return "\n".join([f"{'policy':<9}{'value':>8}{'share':>8}", *rows])
