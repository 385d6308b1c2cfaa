"""Logs of episodes as callers and users write them: JSON Lines, one step each.
Numbers are made up; what is true of incidents is the simulator's part."""

import json
from typing import Any


def make_step(**members: Any) -> dict[str, Any]:
    return {
        "episode_id": "ep-000001",
        "step": 0,
        "state": {"incident": "Database latency spike", "severity": "sev-2", "actions_taken": []},
        "proposedAction": {"type": "SCALE_K8S", "params": {"replicas": 3}},
        "reward": 1.25,
        "factors": {"resolution": 3.0, "time": -1.0, "risk": -0.5, "cost": -0.25},
        "done": True,
        **members,
    }


def lines_of(*steps: Any) -> bytes:
    return b"".join(json.dumps(step).encode() + b"\n" for step in steps)


def episode_lines(episodes: int, *, first: int = 0) -> bytes:
    """Episodes of two steps each."""
    names = [f"ep-{number:06d}" for number in range(first, first + episodes)]
    steps = [
        make_step(episode_id=name, step=step, done=step == 1) for name in names for step in (0, 1)
    ]
    return lines_of(*steps)
