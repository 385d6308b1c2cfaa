"""One incident under way: its hidden cause, and what an action leads to.
Chooses no action, and keeps no history but what a Situation tells."""

from typing import NamedTuple

import numpy as np
from simulator.incidents import (
    CAUSE_SHARE,
    CAUSES,
    COST_OF_REPLICA,
    DIAGNOSE,
    ESCALATE,
    FINDING_SHARE,
    FIXES,
    REACH,
    REPLICAS,
    RULES,
    SCALE_K8S,
    SEVERITY_SHARE,
    TITLE_SHARE,
    Situation,
    is_repeat,
)


class Incident(NamedTuple):
    cause: int
    situation: Situation


class Outcome(NamedTuple):
    incident: Incident
    """As it was, where the episode is done."""
    factors: np.ndarray
    """Without noise."""
    result: str | None
    """What the log says of the action; None where the incident is over."""
    done: bool


def begin(random: np.random.Generator) -> Incident:
    title = draw(TITLE_SHARE, random)
    severity = draw(SEVERITY_SHARE[title], random)
    cause = draw(CAUSE_SHARE[title], random)
    return Incident(cause, Situation(title, severity, 0, 0, 0))


def act(
    incident: Incident, action: int, random: np.random.Generator, *, replicas: int = REPLICAS
) -> Outcome:
    """Take the action; replicas counts for SCALE_K8S only."""
    cause, situation = incident
    success = RULES.success(situation, cause, action)
    success *= REACH[replicas] if action == SCALE_K8S else 1.0
    resolved = int(random.random() < success)
    factors = RULES.means(situation, action, resolved)
    if action == SCALE_K8S:
        factors[3] += (replicas - REPLICAS) * COST_OF_REPLICA
    if resolved or action == ESCALATE or RULES.gives_up(situation, action):
        return Outcome(incident, factors, None, True)
    finding = 0
    if action == DIAGNOSE and not is_repeat(situation, action):
        finding = draw(FINDING_SHARE[cause], random)
    seen = Situation(*(int(each) for each in RULES.follow(situation, action, finding)))
    return Outcome(Incident(cause, seen), factors, result_of(seen, action), False)


def result_of(situation: Situation, action: int) -> str:
    """What a situation tells of an action taken in it; a repeat says what the first try said."""
    if action == DIAGNOSE:
        return CAUSES[situation.diagnosis - 1]
    return "failed" if action in FIXES else "granted"


def draw(shares: np.ndarray, random: np.random.Generator) -> int:
    """Draw an index with these probabilities, by one uniform number."""
    lot = random.random()
    for number, share in enumerate(shares.tolist()):
        lot -= share
        if lot < 0:
            return number
    return int(np.flatnonzero(shares)[-1])
