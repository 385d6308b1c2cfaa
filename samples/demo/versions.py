"""The first part of the main job: upload, deploy, predict, promote, roll back, look back, refuse.
Experiments come after it."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samples.demo.doors import STATE, DemoFailed, Doors, say, step
from samples.hostile import climbing_archive

PROMOTED = {"recommendation": ("1.0.0", "1.1.0"), "sentiment": ("1.0.0", "1.1.0")}
HOLDOUT_ROWS = 200
LIVE_TIMEOUT_S = 120.0
_ENDS = {"champion", "candidate", "failed", "rejected"}


@dataclass
class Summary:
    """What the last lines print of this part."""

    quality: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    live_after_s: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    rollback_ms: float = 0.0
    refusal: str = ""
    ledger_entries: int = 0


def play(doors: Doors, samples: Path) -> Summary:
    summary = Summary()
    step("Upload two versions of two models")
    for model, versions in PROMOTED.items():
        for version in versions:
            upload(doors, samples, model, version)
            summary.live_after_s[model, version] = wait_until_live(doors, model, version)
    step("Predict on held-out rows, each version by itself")
    for model, versions in PROMOTED.items():
        for version in versions:
            summary.quality[model, version] = _quality(doors, samples, model, version)
            say(f"  {model} {version}: {summary.quality[model, version]}")
    _promote(doors)
    _roll_back(doors, samples, summary)
    _look_back(doors, summary)
    summary.refusal = _refuse_hostile(doors)
    return summary


def upload(doors: Doors, samples: Path, model: str, version: str) -> None:
    bucket = doors.cloud.bucket
    settings = samples / model / "model.json"
    doors.aws("s3", "cp", "--quiet", str(settings), f"s3://{bucket}/models/{model}/model.json")
    key = f"s3://{bucket}/models/{model}/{version}/model.tar.gz"
    say(f"  aws s3 cp {model}-{version}.tar.gz {key}")
    doors.aws("s3", "cp", "--quiet", str(samples / model / version / "model.tar.gz"), key)


def wait_until_live(doors: Doors, model: str, version: str) -> float:
    started_at = time.monotonic()
    last = ""
    for stage, reason in _stages(doors, model, version):
        if stage != last:
            say(f"    {time.monotonic() - started_at:5.1f} s  {stage}")
        if stage in {"failed", "rejected"}:
            raise DemoFailed(f"{model} {version} is {stage}: {reason}")
        last = stage
    return time.monotonic() - started_at


def _stages(doors: Doors, model: str, version: str) -> Iterator[tuple[str, Any]]:
    """The version's stages as they are seen, until it comes to rest."""
    ends_at = time.monotonic() + LIVE_TIMEOUT_S
    while time.monotonic() < ends_at:
        try:
            found = doors.http("GET", f"/api/models/{model}/versions/{version}")
        except DemoFailed:
            found = {"stage": "uploaded", "reason": None}
        yield found["stage"], found["reason"]
        if found["stage"] in _ENDS:
            return
        time.sleep(0.2)
    raise DemoFailed(f"{model} {version} did not come to rest in {LIVE_TIMEOUT_S:.0f} s")


def _quality(doors: Doors, samples: Path, model: str, version: str) -> str:
    holdout = json.loads((samples / model / "holdout.json").read_text())
    rows, truth = holdout["rows"][:HOLDOUT_ROWS], holdout["truth"][:HOLDOUT_ROWS]
    path = f"/api/models/{model}/predictions?version={version}"
    answer = doors.http("POST", path, {"instances": rows})
    predicted = [
        one["label"] if isinstance(one, dict) else one for one in answer["output"]["predictions"]
    ]
    if holdout["metric"] == "accuracy":
        right = sum(str(a) == str(b) for a, b in zip(predicted, truth, strict=True))
        return f"accuracy {right / len(truth):.3f} on {len(truth)} rows"
    error = sum(abs(a - b) for a, b in zip(predicted, truth, strict=True)) / len(truth)
    return f"mean absolute error {error:.2f} on {len(truth)} rows"


def _promote(doors: Doors) -> None:
    step("Promote 1.1.0: one model over HTTP, one with the Lambda function")
    doors.http(
        "POST",
        "/api/models/recommendation/versions/1.1.0/promote",
        {"reason": "better on held-out rows"},
    )
    payload = {"action": "promote_model", "model_name": "sentiment", "version": "1.1.0"}
    answer = doors.invoke("model-version-manager", payload)
    if answer["status"] != "ok":
        raise DemoFailed(f"model-version-manager answered {answer}")
    for model in PROMOTED:
        champion = doors.http("GET", f"/api/models/{model}")["champion"]
        say(f"  {model}: champion {champion['version']} at endpoint {champion['endpoint']}")


def _roll_back(doors: Doors, samples: Path, summary: Summary) -> None:
    step("Roll back recommendation, then predict again")
    started_at = time.monotonic()
    doors.http("POST", "/api/models/recommendation/rollback", {"reason": "show that it works"})
    summary.rollback_ms = (time.monotonic() - started_at) * 1000
    ends_at = time.monotonic() + 10
    holdout = json.loads((samples / "recommendation" / "holdout.json").read_text())
    row = {"instances": holdout["rows"][:1]}
    while time.monotonic() < ends_at:
        answer = doors.http("POST", "/api/models/recommendation/predictions", row)
        if answer["version"] == "1.0.0":
            break
        time.sleep(0.1)
    else:
        raise DemoFailed("predictions still come from 1.1.0")
    say(f"  rolled back in {summary.rollback_ms:.0f} ms; answered by {answer['version']}")
    receipt = doors.http("GET", f"/api/receipts/{answer['request_id']}")
    say(f"  its receipt verifies: model {receipt['model']}, version {receipt['version']}")


def _look_back(doors: Doors, summary: Summary) -> None:
    step("History and ledger of recommendation")
    history = doors.http("GET", "/api/models/recommendation/history")["items"]
    for move in reversed(history):
        before = move["before"] or "-"
        say(
            f"  {move['number']:2} {move['at'][:23]}  {move['version']}  "
            f"{before:>10} -> {move['after']:<10} {move['reason']}"
        )
    promoted = next(move for move in history if move["champion"] == "1.1.0")
    at = promoted["at"]
    live = doors.http("GET", f"/api/models/recommendation/history?at={at}")["live"]
    say(f"  live at {at[:23]}: {live['champion']}")
    proof = doors.http("GET", "/api/ledger/verification?subject=model/recommendation")
    if not proof["intact"]:
        raise DemoFailed(f"the ledger is broken: {proof}")
    summary.ledger_entries = proof["entries"]
    page = doors.http("GET", "/api/ledger?subject=model/recommendation&limit=3")
    for entry in page["items"]:
        say(f"  ledger {entry['seq']:2} {entry['action']:<20} by {entry['actor']}")


def _refuse_hostile(doors: Doors) -> str:
    step("Upload an archive that climbs out of its folder")
    hostile = STATE / "hostile.tar.gz"
    hostile.write_bytes(climbing_archive())
    bucket = doors.cloud.bucket
    key = f"s3://{bucket}/models/recommendation/6.6.6/model.tar.gz"
    doors.aws("s3", "cp", "--quiet", str(hostile), key)
    for stage, reason in _stages(doors, "recommendation", "6.6.6"):
        if stage == "rejected":
            say(f"  rejected, {reason['code']}: {reason['detail']}")
            return reason["code"]
    raise DemoFailed("the climbing archive was not rejected")
