"""Writes episodes of the simulator as a log: JSON Lines, one step a line.
Same arguments, same bytes; decides nothing about the policy."""

import json
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np
from simulator.documents import action_document, state_document
from simulator.exact import find
from simulator.incidents import FACTORS, MOST_REPLICAS, NOISE, REPLICAS, SCALE_K8S, SYMPTOMS_SHARE
from simulator.play import act, begin, draw
from simulator.policies import work_as_logged


def write_episodes(
    file: TextIO,
    *,
    count: int,
    seed: int,
    policy: np.ndarray | None = None,
    varied: float = 0.5,
) -> None:
    """Write `count` episodes, whose names tell the seed: logs of several seeds go together.

    policy: (S, A), probabilities in the exact states; the logging policy where none is given.
    varied: share of SCALE_K8S that draws 1 to 10 replicas; the rest takes the default. A policy's
    exact value is that of the default.
    """
    random = np.random.default_rng(seed)
    chosen = work_as_logged() if policy is None else policy
    for number in range(1, count + 1):
        for line in _play(random, chosen, varied):
            file.write(json.dumps({"episode_id": f"ep-{seed}-{number:06d}", **line}) + "\n")


def _play(
    random: np.random.Generator, policy: np.ndarray, varied: float
) -> Iterator[dict[str, Any]]:
    """The propensity is that of the action's type: parameters are drawn apart from it."""
    incident, done, taken = begin(random), False, []
    with_symptoms = random.random() < SYMPTOMS_SHARE
    while not done:
        before = incident.situation
        shares = policy[find(before)]
        action = draw(shares, random)
        replicas = _draw_replicas(random, varied) if action == SCALE_K8S else REPLICAS
        incident, means, result, done = act(incident, action, random, replicas=replicas)
        params = {"replicas": replicas} if action == SCALE_K8S else {}
        document = action_document(action, **params)
        yield {
            "step": len(taken),
            "state": state_document(before, list(taken), with_symptoms=with_symptoms),
            "proposedAction": document,
            **_rewards(means, random),
            "propensity": round(float(shares[action]), 6),
            "done": done,
        }
        taken.append({**document, "result": result})


def _draw_replicas(random: np.random.Generator, varied: float) -> int:
    if random.random() >= varied:
        return REPLICAS
    return 1 + int(random.random() * MOST_REPLICAS)


def _rewards(means: np.ndarray, random: np.random.Generator) -> dict[str, Any]:
    noisy = means + NOISE * (2 * random.random(len(FACTORS)) - 1)
    factors = {
        name: round(float(factor), 4) + 0.0 for name, factor in zip(FACTORS, noisy, strict=True)
    }
    return {"reward": round(sum(factors.values()), 4) + 0.0, "factors": factors}
