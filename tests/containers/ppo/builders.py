"""Small synthetic models of the size that training yields, and questions about them.
Random weights from a seed: they know nothing of incidents, and need not."""

from pathlib import Path
from typing import Any

import numpy as np
from reward import artifact
from reward.catalogue import (
    ActionKind,
    Catalogue,
    ChoiceParam,
    NumberDetail,
    NumberParam,
)
from reward.model import RewardModel, shapes

SEVERITIES = ("sev-1", "sev-2", "sev-3", "sev-4")
WORDS = [
    "above",
    "cache",
    "checkout",
    "climbing",
    "customers",
    "database",
    "db",
    "error",
    "http5xx",
    "keeps",
    "latency",
    "memory",
    "outdated",
    "pressure",
    "prices",
    "queries",
    "queue",
    "rate",
    "reads",
    "requests",
    "see",
    "slow",
    "spike",
    "threshold",
    "time",
    "usage",
]
TYPES = (
    "DIAGNOSE",
    "REQUEST_APPROVAL",
    "SCALE_K8S",
    "RESTART_SERVICE",
    "ROLLBACK_DEPLOY",
    "FAILOVER_DB",
    "CLEAR_CACHE",
    "ESCALATE",
)
RESULTS = ("failed", "solved")
HORIZON = 8
GUIDE: dict[str, Any] = {
    "state": {"incident": "Database latency spike", "severity": "sev-2", "actions_taken": []},
    "proposedAction": {"type": "SCALE_K8S", "params": {"replicas": 3}},
}
"""The deployment guide's own example."""


def make_catalogue(**changes: Any) -> Catalogue:
    """60 features, 8 actions; one has a number, one a choice, one a boolean."""
    features = [f"severity={each}" for each in SEVERITIES]
    features += [f"word:{each}" for each in WORDS]
    features += [f"taken:{each}" for each in TYPES]
    features += [f"taken:{each}={result}" for each in TYPES[2:7] for result in RESULTS]
    features += [f"again:{each}" for each in TYPES[:6]]
    features += ["steps", "detail:region=eu", "detail:region=us", "detail:is_peak=true"]
    features += ["detail:is_peak=false", "number:replicas"]
    params: dict[str, tuple[NumberParam | ChoiceParam, ...]] = {
        "SCALE_K8S": (NumberParam("replicas", 1.0, 6.0, 3.0),),
        "RESTART_SERVICE": (ChoiceParam("mode", ("hard", "rolling"), "rolling"),),
        "FAILOVER_DB": (ChoiceParam("drain", ("false", "true"), "true"),),
    }
    settings: dict[str, Any] = {
        "features": tuple(features),
        "actions": tuple(
            ActionKind(type_, params.get(type_, ()), 500, 1.0 + 0.1 * i, 5.0)
            for i, type_ in enumerate(TYPES)
        ),
        "numbers": {"replicas": NumberDetail(1.0, 20.0)},
        "horizon": HORIZON,
    }
    return Catalogue(**settings | changes)


def make_model(
    *, seed: int = 0, pairs: int = 800, scale: float = 0.05, **changes: Any
) -> RewardModel:
    """scale: of the weights; rewards of well-known states stay within a few units of 0."""
    random = np.random.default_rng(seed)
    catalogue = make_catalogue(**changes)
    width = len(catalogue.features)
    tensors: dict[str, Any] = {
        name: (scale * random.normal(size=shape)).astype(np.float32)
        for name, (_, shape) in shapes(catalogue, pairs).items()
    }
    first = random.integers(0, width, pairs)
    second = (first + random.integers(1, width, pairs)) % width
    tensors["reward.pairs"] = np.stack([first, second], axis=1).astype(np.int32)
    root = 0.1 * random.normal(size=(len(catalogue.actions), 1 + width, 1 + width))
    leverage = root @ root.transpose(0, 2, 1) / (1 + width)
    tensors["reward.leverage"] = leverage.astype(np.float32)
    return RewardModel(catalogue, tensors)


def write_artifact(folder: Path, model: RewardModel | None = None) -> str:
    """Write one that is in order, its golden question the guide's example; return its version."""
    return artifact.write(
        folder, model or make_model(), samples=[GUIDE], training={"episodes": 5000}
    )
