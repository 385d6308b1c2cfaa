"""Time to compare two arms from their sums, beside gbstats and spotify-confidence, in one run.
Run as `python -m bench.analysis_from_sums`; exits with 1 when the floor is missed.
Like with like: sums in, difference, interval and p-value out; that they agree is checked first."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chalicelib.experiments import lifecycle
from chalicelib.experiments.analysis.analysis import analyse
from chalicelib.experiments.counting.sums import Cell
from chalicelib.experiments.events import SCALE
from chalicelib.experiments.model import Challenger, Definition
from chalicelib.stats import comparison
from chalicelib.stats.answers import Inconclusive
from chalicelib.stats.moments import moments

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".local/venv/bench-stats"
REQUIREMENTS = ROOT / "bench/requirements-analysis.txt"
FLOOR = 10.0
"""Least ratio of gbstats' time to ours."""
AGREES = 1e-6
"""Most by which our numbers and gbstats' may differ, relatively."""
ROUNDS, CALLS = 40, 200
PEER_CALLS = {"gbstats": 20, "spotify-confidence": 1}
# Units, sum, sum of squares: values of mean 5.0 and 5.02, with a deviation of about 2.
CONTROL = (100_000, 500_000, 2_900_000)
TREATMENT = (99_000, 496_980, 2_890_000)
OURS, REPORT = "ours", "analyse(), nine comparisons"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def prepare_venv() -> None:
    """Install the peers once, and again when a pin changes."""
    wanted = REQUIREMENTS.read_text()
    stamp = VENV / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    pip = [str(VENV / "bin/python"), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)]
    subprocess.run(pip, check=True)
    stamp.write_text(wanted)


def ticks(sums: tuple[int, int, int]) -> tuple[int, int, int]:
    n, total, squares = sums
    return n, total * SCALE, squares * SCALE * SCALE


def compare() -> dict[str, Any]:
    """The same that the peers are asked, from exact sums."""
    control, treatment = (
        moments(*ticks(CONTROL), scale=SCALE),
        moments(*ticks(TREATMENT), scale=SCALE),
    )
    assert not isinstance(control, Inconclusive), control
    assert not isinstance(treatment, Inconclusive), treatment
    estimate = comparison.difference_of_means(control, treatment)
    assert not isinstance(estimate, Inconclusive), estimate
    p, interval = comparison.p_value(estimate), comparison.interval(estimate, alpha=0.05)
    return {"difference": estimate.difference, "interval": interval, "p": p}


def whole_report() -> Callable[[], object]:
    """analyse() of three arms by three metrics: nine comparisons with all that is told of them."""
    challengers = [Challenger(name=name, version=f"1.{n}.0") for n, name in enumerate("abc", 1)]
    definition = Definition(
        name="bench", model="m", challengers=challengers, guardrails=[], secondary=["b", "c"]
    )
    drafted = lifecycle.draft(definition, experiment="exp_1", control="1.0.0", now=NOW)
    experiment = lifecycle.start(
        drafted,
        metrics=lifecycle.metrics_of(definition, []),
        namespace_range=(0.0, 1.0),
        planned_units=10_000,
        now=NOW,
    )
    sums = {
        (arm, 1): Cell(
            units=of[0],
            metrics={name: [*ticks(of), 0, 0, 0] for name in ("quality_score", "b", "c")},
        )
        for arm, of in zip(experiment.versions, (CONTROL, TREATMENT) * 2, strict=True)
    }
    return lambda: analyse(experiment, sums, now=NOW)


def round_us(call: Callable[[], object], calls: int) -> float:
    start_s = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start_s) / calls * 1e6


def measure() -> tuple[dict[str, float], dict[str, Any]]:
    """Best time by contestant, and what gbstats says. In turns, so that a busy moment of the
    machine does not fall on one of them alone."""
    asked = {"control": CONTROL, "treatment": TREATMENT, "calls": PEER_CALLS}
    command = [str(VENV / "bin/python"), str(ROOT / "bench/analysis_peers.py")]
    report = whole_report()
    best_us = dict.fromkeys((OURS, REPORT, *PEER_CALLS), float("inf"))
    says: dict[str, Any] = {}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as peers:
        assert peers.stdin is not None
        assert peers.stdout is not None
        peers.stdin.write(json.dumps(asked) + "\n")
        for _ in range(ROUNDS):
            found = {OURS: round_us(compare, CALLS), REPORT: round_us(report, 10)}
            for name in PEER_CALLS:
                peers.stdin.write(name + "\n")
                peers.stdin.flush()
                answer = json.loads(peers.stdout.readline())
                found[name], says[name] = answer["us"], answer["says"]
            best_us = {name: min(us, found[name]) for name, us in best_us.items()}
        peers.stdin.close()
    return best_us, says


def check_agreement(peer: dict[str, Any]) -> None:
    ours = compare()
    pairs = [(ours["difference"], peer["difference"]), (ours["p"], peer["p"])]
    pairs += zip(ours["interval"], peer["interval"], strict=True)
    for own, other in pairs:
        assert abs(own - other) <= AGREES * abs(other), (ours, peer)


def main() -> int:
    prepare_venv()
    best_us, says = measure()
    check_agreement(says["gbstats"])
    print(f"us a call, best of {ROUNDS} rounds in turns; gbstats says the same within {AGREES:g}")
    for name, us in best_us.items():
        print(f"  {name:<34} {us:10.2f}   {us / best_us[OURS]:8.1f} x ours")
    ratio = best_us["gbstats"] / best_us[OURS]
    verdict = "holds" if ratio >= FLOOR else "IS MISSED"
    print(f"floor: {FLOOR:.0f} x faster than gbstats: {ratio:.1f} x, {verdict}")
    return 0 if ratio >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
