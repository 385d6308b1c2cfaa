"""What happens to units in an experiment, as events and as messages of the queue, and what exactly
comes of it: a recount that shares no code with the product's. Shape: Lambda guide, "Amazon SQS"."""

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from chalicelib.experiments import store
from chalicelib.experiments.events import SCALE, Batch, Event
from chalicelib.experiments.model import Definition, Experiment, State
from chalicelib.kit import tables
from chalicelib.registry.metrics import Metric

HOUR_MS = 3_600_000
STARTED_MS = 1_760_000_000_000
METRICS = (
    Metric(name="score"),
    Metric(name="bought", kind="binary"),
    Metric(name="clicks", kind="count"),
    Metric(name="revenue", kind="revenue", cap=50.0),
    Metric(name="error_rate", kind="ratio", numerator="errors", denominator="requests"),
)


def event(kind: str, unit: str, number: int, **given: Any) -> Event:
    """number: of the unit's prediction; it names the nonce, and hours after the start."""
    nonce = f"{unit}-{number}"
    values: dict[str, float] = given.pop("values", {})
    fields = {
        "id": f"{nonce}/{'/'.join([kind, *values])}",
        "kind": kind,
        "subject": "exp_1",
        "arm": "control",
        "phase": 0,
        "unit": unit,
        "predicted_at_ms": STARTED_MS + number * HOUR_MS,
        "nonce": nonce,
        "ticks": {name: round(Fraction(value) * SCALE) for name, value in values.items()},
    }
    return Event.model_validate({**fields, **given})


def exposure(unit: str, number: int = 0, **given: Any) -> Event:
    return event("exposure", unit, number, **given)


def outcome(unit: str, number: int = 0, **given: Any) -> Event:
    return event("outcome", unit, number, **given)


def history(seed: int, *, units: int, subject: str = "exp_1") -> list[Event]:
    """Units that come back, buy, fail, change arms, lose exposures, and tell things twice."""
    dice = random.Random(seed)
    told: list[Event] = []
    for number in range(units):
        for prediction in range(dice.randrange(1, 5)):
            at = {
                "subject": subject,
                "arm": dice.choice(["control", "treatment"])
                if number % 7 == 0
                else ARMS[number % 2],
                "phase": dice.randrange(2) if prediction else number % 2,
            }
            told += _prediction(dice, f"unit-{number}", prediction, at)
    return told


ARMS = ("control", "treatment")


def _prediction(dice: random.Random, unit: str, number: int, at: Mapping[str, Any]) -> list[Event]:
    told: list[Event] = []
    if dice.random() < 0.9:
        brought = {"covariate": dice.randrange(-(10**11), 10**11), "segment": dice.choice(SEGMENTS)}
        told.append(exposure(unit, number, **at, **brought))
    for _ in range(dice.randrange(3)):
        values = {
            "score": round(1e12 - dice.random(), 4),
            "bought": float(dice.random() < 0.3),
            "clicks": float(dice.randrange(5)),
            "revenue": round(dice.expovariate(1 / 30), 2),
        }
        name = dice.choice(list(values))
        told.append(
            outcome(unit, number, **at, values={name: values[name]}, id=f"{unit}/{dice.random()}")
        )
    if dice.random() < 0.1:
        told.append(event("measurement", unit, number, **at, values={"errors": 1.0}))
    return told


SEGMENTS = ("mobile", "desktop", "fridge")


def messages(
    tenant: str, events: Sequence[Event], *, size: int = 10, start: int = 0
) -> dict[str, str]:
    """Bodies by message id."""
    return {
        f"message-{start + number}": Batch(
            tenant=tenant, events=list(events[first : first + size])
        ).model_dump_json(exclude_defaults=True)
        for number, first in enumerate(range(0, len(events), size))
    }


def sqs_event(bodies: Mapping[str, str]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": message,
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1545082649183",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1545082649185",
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:outcomes",
                "awsRegion": "us-east-1",
            }
            for message, body in bodies.items()
        ]
    }


def start_experiment(tenant: str, name: str = "exp_1", **given: Any) -> Experiment:
    """An experiment that runs, as far as counting must know it."""
    definition = Definition.model_validate(
        {
            "name": name,
            "model": "recommendation",
            "challengers": [{"version": "1.1.0"}],
            "segments": ["mobile", "desktop"],
            **given,
        }
    )
    now = datetime.now(UTC)
    experiment = Experiment(
        id=name,
        definition=definition,
        state=State.RUNNING,
        metrics=list(METRICS),
        versions={"control": "1.0.0", "treatment": "1.1.0"},
        created_at=now,
        updated_at=now,
    )
    tables.commit([store.put_experiment(tenant, None, experiment)])
    return experiment


def exact_recount(
    events: Iterable[Event], *, segments: Sequence[str] = ("mobile", "desktop")
) -> dict[tuple[str, int], dict[str, Any]]:
    """Units, crossed units and six sums by metric and by segment, of METRICS, by rational numbers.

    All of a unit's events are looked at together, and nothing is ever taken back.
    """
    once = {one.id: one for one in reversed(list(events))}
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for unit in {one.unit for one in once.values()}:
        mine = [one for one in once.values() if one.unit == unit]
        first = min(mine, key=lambda one: (one.predicted_at_ms, one.nonce, one.arm, one.phase))
        cell = found.setdefault(
            (first.arm, first.phase), {"units": 0, "crossed": 0, "metrics": {}, "segments": {}}
        )
        cell["units"] += 1
        cell["crossed"] += len({one.arm for one in mine}) > 1
        counted = [one for one in mine if one.arm == first.arm]
        exposures = [one for one in mine if one.kind == "exposure"]
        told = min(exposures, key=lambda one: (one.predicted_at_ms, one.nonce), default=first)
        segment = told.segment if told.segment in segments else "other"
        for name, (y, x) in _values(counted, told.covariate or 0).items():
            terms = [1, y, y * y, x, x * x, x * y]
            for table in (cell["metrics"], cell["segments"].setdefault(segment, {})):
                before = table.get(name, [0] * 6)
                table[name] = [old + new for old, new in zip(before, terms, strict=True)]
    return found


def _values(events: Sequence[Event], covariate: int) -> dict[str, tuple[int, int]]:
    def told(name: str) -> list[int]:
        return [one.ticks[name] for one in events if name in one.ticks]

    requests = sum(SCALE for one in events if one.kind == "exposure")
    found: dict[str, tuple[int, int]] = {
        "clicks": (sum(told("clicks")), covariate),
        "revenue": (min(sum(told("revenue")), 50 * SCALE), covariate),
    }
    for name in ("score", "bought"):
        if told(name):
            found[name] = (round(Fraction(sum(told(name)), len(told(name)))), covariate)
    if requests or told("errors"):
        found["error_rate"] = (sum(told("errors")), requests)
    return found


def seen(cells: Mapping[tuple[str, int], Any]) -> dict[tuple[str, int], dict[str, Any]]:
    """The product's sums in the recount's shape."""
    return {
        key: {
            "units": cell.units,
            "crossed": cell.crossed,
            "metrics": cell.metrics,
            "segments": cell.segments,
        }
        for key, cell in cells.items()
    }
