"""The last part: a version that answers copies in the shadow of the champion, and is compared.
It decides nothing: nobody was ever answered by it."""

import time
from pathlib import Path
from typing import Any

from samples.demo.doors import DemoFailed, Doors, say, step, until
from samples.demo.traffic import ask, read_holdout
from samples.demo.trial import ROUTES_ARE_KNOWN_AFTER_S

PREDICTIONS, LEAST_PAIRS = 150, 100
"""Copies never hold an answer up: some are not sent, and those that the challenger's endpoint has
no room for come again minutes later."""
_DEFINITION = {
    "name": "sentiment_in_shadow",
    "model": "sentiment",
    "challengers": [{"version": "1.0.0"}],
    "mode": "shadow",
    "comparing": {"field": "predictions/*/label"},
    "start": True,
}


def play(doors: Doors, samples: Path) -> None:
    step(f"Shadow: sentiment 1.0.0 gets copies of {PREDICTIONS} predictions of the champion 1.1.0")
    made = doors.http("POST", "/api/experiments", _DEFINITION)
    path = f"/api/experiments/{made['id']}"
    time.sleep(ROUTES_ARE_KNOWN_AFTER_S)
    holdout = read_holdout(samples, "sentiment")
    served = ask(doors, "sentiment", holdout, range(1, PREDICTIONS + 1))
    if {one.version for one in served} != {"1.1.0"}:
        raise DemoFailed("the challenger answered somebody")
    for one in until(lambda: _paired(doors, path), what="the shadow's pairs"):
        say(f"  {one['metric']:<22} {_with_interval(one)}  {one['units']} pairs")
    stopped = doors.http("POST", f"{path}/stop", {"reason": "seen enough"})
    say(f"  {stopped['state']}; nobody was answered by 1.0.0")


def _paired(doors: Doors, path: str) -> Any:
    found = doors.http("GET", f"{path}/analysis")["analysis"]["paired"]
    is_enough = found and all(one["units"] >= LEAST_PAIRS for one in found)
    return found if is_enough else None


def _with_interval(one: Any) -> str:
    if one["mean"] is None or one["interval"] is None:
        return f"no answer: {one['inconclusive']}"
    low, high = one["interval"]["low"], one["interval"]["high"]
    return f"{one['mean']:8.3f}  ({low:.3f} .. {high:.3f})"
