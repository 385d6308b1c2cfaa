"""Users who ask, and what comes of it: predictions of units, and labels with their receipts.
Nothing here knows what an experiment makes of them."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from samples.demo.doors import STATE, DemoFailed, Doors, say, until

THREADS = 4
BATCH = 100
"""Most items of one feedback call."""
ASKED_EVERY = 3
"""One user in so many tells how satisfied they are."""
SATISFACTION = {
    ("liked", "liked"): 5,
    ("ignored", "ignored"): 4,
    ("ignored", "liked"): 2,
    ("liked", "ignored"): 1,
}
"""By what the model predicted and what the user did: shown what they like, spared what they do
not, not shown what they would have liked, shown what they do not like."""

Item = dict[str, Any]


class Holdout(NamedTuple):
    """Rows that no version learned from, and what is true of them."""

    rows: Sequence[Any]
    truth: Sequence[str]


class Served(NamedTuple):
    """One user's prediction."""

    user: int
    request_id: str
    version: str
    label: str
    truth: str
    experiment: str | None


def read_holdout(samples: Path, model: str) -> Holdout:
    document = json.loads((samples / model / "holdout.json").read_text())
    return Holdout(document["rows"], document["truth"])


class Told(NamedTuple):
    """What users said after their predictions: feedback items, and who was in which experiment."""

    items: list[Item]
    experiment_by_user: dict[int, str | None]


Ask = Callable[[range], Told]
"""Users of these numbers ask, and tell what came of it."""


def asking(doors: Doors, model: str, holdout: Holdout) -> Ask:
    """Users who ask the model for a row each, and label its answer."""

    def ask_for(users: range) -> Told:
        served = ask(doors, model, holdout, users)
        return Told(labels_of(served), {one.user: one.experiment for one in served})

    return ask_for


def ask(doors: Doors, model: str, holdout: Holdout, users: range) -> list[Served]:
    """One prediction for each user, a few at a time; users take the rows in turn."""

    def ask_for(user: int) -> Served:
        row = user % len(holdout.rows)
        answer = doors.http(
            "POST",
            f"/api/models/{model}/predictions",
            {"instances": [holdout.rows[row]]},
            headers={"Sommelier-Unit": f"user-{user:04}"},
        )
        return Served(
            user,
            answer["request_id"],
            answer["version"],
            answer["output"]["predictions"][0]["label"],
            holdout.truth[row],
            answer.get("experiment"),
        )

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(ask_for, users))


def labels_of(served: Sequence[Served]) -> list[Item]:
    """Whether each prediction was right; and from every third user, a satisfaction of 1 to 5."""
    items = [_item(one, "recommendation_accuracy", int(one.label == one.truth)) for one in served]
    return items + [
        _item(one, "user_satisfaction", SATISFACTION[one.label, one.truth])
        for one in served
        if one.user % ASKED_EVERY == 0
    ]


def give(doors: Doors, items: Sequence[Item]) -> None:
    """Over HTTP, in batches."""
    for start in range(0, len(items), BATCH):
        batch = list(items[start : start + BATCH])
        answer = doors.http("POST", "/api/feedback", {"items": batch})
        if answer["accepted"] != len(batch):
            raise DemoFailed(f"feedback was not accepted: {answer['items']}")


def give_as_file(doors: Doors, items: Sequence[Item], *, name: str) -> Any:
    """As a file in S3, a line each; the report that comes for it."""
    file = STATE / "labels.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in items))
    bucket, key = doors.cloud.bucket, f"feedback/{name}/labels.jsonl"
    doors.aws("s3", "cp", "--quiet", str(file), f"s3://{bucket}/{key}")
    say(f"  aws s3 cp labels.jsonl s3://{bucket}/{key}")

    def report() -> Any:
        try:
            kept = f"s3://{bucket}/feedback-reports/{key}.json"
            found = json.loads(doors.aws("s3", "cp", "--quiet", kept, "-"))
        except DemoFailed:
            return None
        return found if found["finished"] else None

    return until(report, what=f"the report of {key}")


def _item(served: Served, metric: str, value: float) -> Item:
    return {"request_id": served.request_id, "metric_name": metric, "metric_value": value}
