"""What telling an experiment adds to the time of a prediction: it goes beside the endpoint.
Run as `python -m bench.exposure`; exits with 1 when a prediction waits for queue and endpoint in
turn. The endpoint takes 50 ms and so does the queue, both played by a server in another process."""

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.prediction_overhead import Context, checked, environment, event, stub

DELAY_S = 0.05
ROUNDS = 60
WARM_UP = 5
MOST_RATIO = 1.2
"""One after the other they would take twice as long."""


def main() -> int:
    with stub(delay_s=DELAY_S) as url:
        os.environ.update(environment(url))
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            ms_by_name, sent = measure()
    return report(ms_by_name, sent)


def measure() -> tuple[dict[str, list[float]], int]:
    """Wall ms of each call by contestant, in turns, and the sends meanwhile."""
    from app import app  # noqa: PLC0415 - after the environment is set
    from chalicelib.experiments import service as experiments  # noqa: PLC0415
    from chalicelib.experiments.events import Event  # noqa: PLC0415
    from chalicelib.kit import aws  # noqa: PLC0415

    told = Event(
        id="n/exposure",
        kind="exposure",
        subject="exp-1",
        arm="control",
        phase=1,
        unit="unit",
        predicted_at_ms=0,
        nonce="n",
    )
    contestants: dict[str, Callable[[], Any]] = {
        "send to the queue alone": lambda: experiments.send("dev", [told]),
        "without an experiment": lambda: checked(app(event(), Context())),
        "in an experiment": lambda: checked(app(event(unit="u"), Context())),
    }
    for ask in contestants.values():
        for _ in range(WARM_UP):
            ask()
    sends: list[str] = []
    aws.queues().meta.events.register("before-call", lambda model, **_: sends.append(model.name))
    ms_by_name: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, ask in contestants.items():
            started_s = time.perf_counter()
            ask()
            ms_by_name[name].append((time.perf_counter() - started_s) * 1000)
    return ms_by_name, len(sends) - ROUNDS


def report(ms_by_name: dict[str, list[float]], sent: int) -> int:
    print(f"endpoint {DELAY_S * 1000:.0f} ms, queue {DELAY_S * 1000:.0f} ms, {ROUNDS} calls each")
    for name, found in ms_by_name.items():
        p90 = statistics.quantiles(found, n=10)[-1]
        print(f"  {name:<24} median {statistics.median(found):7.2f} ms   p90 {p90:7.2f} ms")
    alone, without, within = (statistics.median(found) for found in ms_by_name.values())
    ratio, in_turn = within / without, (without + alone) / without
    print(f"  the exposure adds {within - without:+.2f} ms: {ratio:.3f} x (floor: {MOST_RATIO} x)")
    print(f"  sent before or after the endpoint it would be {in_turn:.3f} x")
    print(f"  {sent} sends for {ROUNDS} predictions in the experiment")
    return int(ratio > MOST_RATIO or sent != ROUNDS)


if __name__ == "__main__":
    sys.exit(main())
