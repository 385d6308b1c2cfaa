"""A reward model without a container, behind serving's runtime that answers what a test tells it.
Its numbers are made up; those of a real model are the container's tests' to check."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.kit.settings import settings
from tests.builders.http import JSON, Reply, send
from tests.builders.queues import Queue
from tests.builders.runtime import Asked, Told
from tests.serving.conftest import Stage, arms, queue, stage

__all__ = ["arms", "queue", "stage"]

ADVICE = {
    "policy": {"SCALE_K8S": 0.75, "ROLLBACK": 0.25},
    "value": 2.5,
    "recommendedAction": {"type": "SCALE_K8S", "params": {"replicas": 3}},
    "modelVersion": "sha256:0123456789abcdef",
}
JUDGED = {
    "reward": 1.25,
    "factors": {"resolution": 3.0, "time": -1.0, "risk": -0.5, "cost": -0.25},
    "interval": {"low": -1.5, "high": 4.0, "coverage": 0.9},
    "guarded": False,
    "outOfDistribution": [],
}
ANSWER = {**JUDGED, **ADVICE}
RANKING = {"ranking": [{**JUDGED, "action": {"type": "ROLLBACK", "params": {}}}], **ADVICE}
QUESTION = {
    "state": {
        "incident": "Database latency spike",
        "severity": "sev-2",
        "symptoms": ["db_latency"],
        "actions_taken": [],
    },
    "proposedAction": {"type": "SCALE_K8S", "params": {"replicas": 3}},
}
"""The guide's own example."""

Ask = Callable[..., Reply]


def answered(asked: Asked) -> Told:
    is_single = "proposedAction" in json.loads(asked.body)
    return Told(json.dumps(ANSWER if is_single else RANKING).encode())


@pytest.fixture
def rewarding(stage: Stage, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The stage's model is the reward model, and its endpoints answer as such."""
    monkeypatch.setenv("REWARD_MODEL", stage.world.model)
    settings.cache_clear()
    stage.runtime.answer = answered
    return stage


def ask(question: Any = None, *, version: str | None = None, **headers: str) -> Reply:
    """question: a document, or bytes as they are; the guide's when there is none."""
    content = question if isinstance(question, bytes) else json.dumps(question or QUESTION).encode()
    sent = {**JSON, **{name.replace("_", "-"): text for name, text in headers.items()}}
    query = None if version is None else {"version": [version]}
    return send("POST", "/api/ai/rl/reward", content, headers=sent, query=query)
