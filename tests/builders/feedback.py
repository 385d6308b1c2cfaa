"""Predictions that feedback can be given for, and what of it reached the queue.
Receipts are issued with the cloud's own keys; experiments are written as they are kept."""

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from chalicelib.experiments import store
from chalicelib.experiments.events import Batch, Event
from chalicelib.experiments.model import Challenger, Definition, Experiment, State
from chalicelib.kit import aws, tables
from chalicelib.kit.clock import utc_now
from chalicelib.kit.settings import settings
from chalicelib.receipts import service as receipts
from chalicelib.receipts.model import Receipt
from chalicelib.registry import service as registry
from chalicelib.registry.metrics import Metric
from chalicelib.registry.model import ModelSettings

CLICKS = Metric(name="clicks", kind="count", minimum=0, maximum=10)
SATISFACTION = Metric(name="user_satisfaction", minimum=1, maximum=5)
Sent = Callable[[], list[Event]]
_NUMBERS = itertools.count(1)


def make_receipt(tenant: str, **fields: Any) -> str:
    """The request_id of a prediction of version 1.0.0 of the model `eta`, made just now."""
    defaults = {
        "model": "eta",
        "version": "1.0.0",
        "issued_at_ms": time.time_ns() // 1_000_000,
        "nonce": f"nonce{next(_NUMBERS):07d}",
    }
    return receipts.issue(Receipt(**{"tenant": tenant, **defaults, **fields}))


def in_experiment(experiment: str, **fields: Any) -> dict[str, Any]:
    """The fields of a receipt whose unit was given the arm `treatment`."""
    defaults = {"arm": "treatment", "version": "1.1.0", "propensity": 0.5, "unit_hash": "u" * 16}
    return {"experiment": experiment, "phase": 2, **defaults, **fields}


def declare(tenant: str, *metrics: Metric, model: str = "eta") -> None:
    registry.put_settings(tenant, model, ModelSettings(metrics=list(metrics)), actor="test")


def keep_experiment(
    tenant: str, name: str, metrics: Sequence[Metric], *, state: State = State.RUNNING
) -> str:
    """Write the experiment, or write it anew; returns its id."""
    now = utc_now()
    experiment = Experiment(
        id=name,
        definition=Definition(name=name, model="eta", challengers=[Challenger(version="1.1.0")]),
        state=state,
        metrics=list(metrics),
        versions={"control": "1.0.0", "treatment": "1.1.0"},
        created_at=now,
        updated_at=now,
    )
    read = store.read_experiment(tenant, name)
    tables.commit([store.put_experiment(tenant, read, experiment)])
    return name


def own_queue(tenant: str, monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Send to a queue of the tenant's own from here on; returns what tells, once, what it got."""
    url = aws.queues().create_queue(QueueName=f"outcomes-{tenant}")["QueueUrl"]
    monkeypatch.setenv("OUTCOMES_QUEUE_URL", url)
    settings.cache_clear()
    return lambda: [event for batch in taken_from(url) for event in batch.events]


def taken_from(queue_url: str) -> list[Batch]:
    """Every message that the queue holds; it is empty afterwards."""
    found: list[Batch] = []
    while True:
        answer = aws.queues().receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, VisibilityTimeout=300
        )
        for message in answer.get("Messages", []):
            found.append(Batch.model_validate_json(message["Body"]))
            aws.queues().delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        if not answer.get("Messages"):
            return found
