"""The shipped incident simulator: what an incident hides, what actions do to it and cost.
Rules and numbers only: no policy, no loop, no random generator."""

from typing import Any, NamedTuple

import numpy as np

CAUSES = ("traffic_surge", "bad_deploy", "memory_leak", "db_overload", "stale_cache")
SEVERITIES = ("sev-1", "sev-2", "sev-3", "sev-4")
FACTORS = ("resolution", "time", "risk", "cost")
ACTIONS = (
    "DIAGNOSE",
    "REQUEST_APPROVAL",
    "SCALE_K8S",
    "RESTART_SERVICE",
    "ROLLBACK_DEPLOY",
    "FAILOVER_DB",
    "CLEAR_CACHE",
    "ESCALATE",
)
DIAGNOSE, REQUEST_APPROVAL, SCALE_K8S = 0, 1, 2
FIXES = range(2, 7)
ESCALATE = 7
HORIZON = 8
"""Actions after which an unsolved incident times out."""

TITLES = (
    "Database latency spike",
    "Error rate above threshold",
    "Checkout requests time out",
    "Memory usage keeps climbing",
    "Customers see outdated prices",
)
SYMPTOMS = (
    ("db_latency", "slow_queries"),
    ("http_5xx", "error_budget_burn"),
    ("timeouts", "queue_growth"),
    ("memory_pressure", "oom_kills"),
    ("outdated_reads",),
)
"""What a state may name besides its title; says nothing that the title does not."""

SYMPTOMS_SHARE = 0.5
"""Of the incidents whose states name symptoms."""

TITLE_SHARE = np.array([0.25, 0.25, 0.2, 0.15, 0.15])
CAUSE_SHARE = np.array(
    [  # causes in order; one row a title
        [0.20, 0.12, 0.10, 0.48, 0.10],
        [0.12, 0.48, 0.15, 0.12, 0.13],
        [0.45, 0.12, 0.13, 0.20, 0.10],
        [0.18, 0.17, 0.50, 0.08, 0.07],
        [0.08, 0.20, 0.07, 0.15, 0.50],
    ]
)
SEVERITY_SHARE = np.array(
    [  # severities in order; one row a title
        [0.30, 0.40, 0.30, 0.00],
        [0.20, 0.50, 0.30, 0.00],
        [0.40, 0.40, 0.20, 0.00],
        [0.00, 0.30, 0.40, 0.30],
        [0.00, 0.20, 0.40, 0.40],
    ]
)
FINDING_SHARE = np.full((5, 5), 0.04) + np.eye(5) * 0.8
"""What a diagnosis names (column), by the true cause (row): right in 84 of 100."""

WORKS = np.array(
    [  # actions in order, SCALE_K8S with three replicas; one row a cause
        [0, 0, 0.78, 0.05, 0.02, 0.08, 0.10, 0],
        [0, 0, 0.03, 0.10, 0.95, 0.03, 0.05, 0],
        [0, 0, 0.10, 0.88, 0.20, 0.02, 0.05, 0],
        [0, 0, 0.05, 0.08, 0.05, 0.92, 0.10, 0],
        [0, 0, 0.03, 0.15, 0.05, 0.03, 0.95, 0],
    ]
)
"""Probability that the first try resolves; whatever failed once fails for good."""

WEIGHT = np.array([1.3, 1.15, 1.0, 0.7])
"""What a severity multiplies resolution, time and risk by."""

RESOLVED, HANDED_OVER, TIMED_OUT = 4.0, 0.5, -2.8
TIME = np.array([-0.50, -0.40, -0.60, -0.80, -0.80, -0.90, -0.40, -1.60])
RISK = np.array([0, 0, -0.10, -0.90, -2.20, -2.60, -0.50, 0])
RISK_APPROVED = np.array([0, 0, -0.10, -0.70, -0.30, -0.40, -0.30, 0])
RISKY = (4, 5)
"""Fixes that a runbook asks approval for."""

COST = np.array([-0.05, 0, 0, -0.10, -0.10, -0.60, -0.10, -0.60])
REPLICAS = 3
MOST_REPLICAS = 10
COST_OF_REPLICA = -0.15
REACH = (1 - np.exp(-np.arange(MOST_REPLICAS + 1) / 2)) / (1 - np.exp(-REPLICAS / 2))
"""What a number of replicas multiplies the success of SCALE_K8S by; 1 at the default."""

NOISE = np.array([0.3, 0.3, 0.4, 0.1])
"""Half-width of the uniform noise that a log adds to each factor; the factors keep their means."""

PARAMS: dict[str, dict[str, int]] = {"SCALE_K8S": {"replicas": REPLICAS}}
"""What each action is done with where nothing else is said."""

_ONLY_RESOLUTION = np.array([1, 0, 0, 0], np.float32)


class Situation(NamedTuple):
    """All that can be seen of an incident under way; integers, or arrays of them elementwise."""

    title: Any
    severity: Any
    diagnosis: Any
    """0 none, else 1 + the cause it named."""
    taken: Any
    """Bit i is set where action i was taken. Every fix among them failed."""
    again: Any
    """0 none, else 1 + the action that was repeated; one repeat is borne."""


class Rules(NamedTuple):
    """The rules as arithmetic on tables: elementwise, on integers, NumPy and JAX arrays alike."""

    works: Any
    factors: Any
    """[severity, approved, action, resolved, factor], means."""
    time_out: Any
    """[severity], added to resolution."""
    bits: Any

    def steps(self, situation: Situation) -> Any:
        return self.bits[situation.taken] + (situation.again > 0)

    def success(self, situation: Situation, cause: Any, action: Any) -> Any:
        """Probability that the action resolves; SCALE_K8S with its default replicas."""
        return self.works[cause, action] * (1 - is_repeat(situation, action))

    def gives_up(self, situation: Situation, action: Any) -> Any:
        """1 where an action that does not resolve is the last one: too late, or repeated twice."""
        is_late = self.steps(situation) + 1 >= HORIZON
        is_stubborn = is_repeat(situation, action) * (situation.again > 0)
        return (is_late | (is_stubborn > 0)) & (action != ESCALATE)

    def follow(self, situation: Situation, action: Any, finding: Any) -> Situation:
        """What is seen after an action that neither resolved nor ended the incident."""
        repeat = is_repeat(situation, action)
        named = (action == DIAGNOSE) * (1 - repeat) * (1 + finding)
        return Situation(
            situation.title,
            situation.severity,
            situation.diagnosis + named,
            situation.taken | (1 << action),
            situation.again + repeat * (1 + action),
        )

    def means(self, situation: Situation, action: Any, resolved: Any) -> Any:
        """The four factors, without noise; shape (..., 4)."""
        approved = (situation.taken >> REQUEST_APPROVAL) & 1
        means = self.factors[situation.severity, approved, action, resolved]
        lost = self.gives_up(situation, action) * (1 - resolved)
        return means + (self.time_out[situation.severity] * lost)[..., None] * _ONLY_RESOLUTION


def is_repeat(situation: Situation, action: Any) -> Any:
    """1 where the action was taken before; such a try finds and resolves nothing."""
    return (situation.taken >> action) & 1


def _factors() -> np.ndarray:
    table = np.zeros((len(SEVERITIES), 2, len(ACTIONS), 2, len(FACTORS)))
    weight = WEIGHT[:, None, None, None]
    table[..., 1, 0] = RESOLVED
    table[:, :, ESCALATE, :, 0] = HANDED_OVER
    table[..., 1] = TIME[None, None, :, None]
    table[..., 2] = np.stack([RISK, RISK_APPROVED])[None, :, :, None]
    table[..., :3] *= weight[..., None]
    table[..., 3] = COST[None, None, :, None]
    table[:, :, SCALE_K8S, :, 3] += REPLICAS * COST_OF_REPLICA
    return table


RULES = Rules(
    works=WORKS,
    factors=_factors(),
    time_out=WEIGHT * TIMED_OUT,
    bits=np.array([bin(taken).count("1") for taken in range(1 << ESCALATE)]),
)
