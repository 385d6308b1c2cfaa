"""PPO in the shipped incident simulator, ours beside stable-baselines3, in one run.
Run as `python -m bench.ppo_training`; exits with 1 when a floor is missed.
What a policy is worth is exact, by its probabilities in every state; 100 % is the optimum."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OURS_VENV = ROOT / ".local/venv/ppo"
PEER_VENV = ROOT / ".local/venv/bench-ppo-training"
REQUIREMENTS = ROOT / "bench/requirements-ppo-training.txt"
FLOOR_RATIO = 10.0
"""Least ratio of our steps per CPU second to the usual gymnasium setup's."""
FLOOR_PERCENT = 98.5
"""Least that our policy is worth at the end, drawn from its probabilities."""
EPISODES = 5_000
FLOOR_FROM_LOG_PERCENT = 85.0
"""Least that a policy is worth whose trainer saw a log of so many episodes, never the simulator."""
MARKS = (95, 98, 99)
OURS, USUAL, NATIVE = "ours", "gymnasium", "native"
TOLD = {
    OURS: "ours, JAX, 256 environments",
    USUAL: "stable-baselines3, 8 gymnasium environments",
    NATIVE: "stable-baselines3, 256 native NumPy environments",
}
ONE_THREAD = {
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}

Line = dict[str, Any]


def prepare_peers() -> bool:
    """Install them once, and again when a pin changes; False where they cannot be had."""
    wanted, stamp = REQUIREMENTS.read_text(), PEER_VENV / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return True
    subprocess.run([sys.executable, "-m", "venv", str(PEER_VENV)], check=True)
    pip = [str(PEER_VENV / "bin/python"), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)]
    if subprocess.run(pip, check=False).returncode:
        return False
    stamp.write_text(wanted)
    return True


def run(name: str) -> list[Line]:
    """What a contestant told, in order."""
    venv = OURS_VENV if name == OURS else PEER_VENV
    command = [str(venv / "bin/python"), str(ROOT / "bench/ppo_contestants.py"), name]
    told = subprocess.run(
        command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=True
    )
    lines = [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")]
    assert len(lines) > 1, told.stdout
    return lines


def steps_a_second(lines: list[Line]) -> float:
    """Of CPU, after the first report, so that compiling is not in it."""
    first, last = lines[0], lines[-1]
    return (last["steps"] - first["steps"]) / (last["cpu_s"] - first["cpu_s"])


def cpu_to(lines: list[Line], percent: float) -> float | None:
    return next((line["cpu_s"] for line in lines if line["percent"] >= percent), None)


def tell(name: str, lines: list[Line]) -> None:
    last = lines[-1]
    to = (cpu_to(lines, percent) for percent in MARKS)
    marks = " ".join(f"{'-' if s is None else f'{s:.1f}':>7}" for s in to)
    print(
        f"  {TOLD[name]:<50} {steps_a_second(lines):9,.0f} {marks} {last['cpu_s']:8.1f}"
        f" {last['steps']:11,} {last['percent']:8.2f} {last['greedy_percent']:7.2f}"
    )


def learn_from_log() -> Line:
    """Metrics of a whole training job on a log of the runbook mixed with chance."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "tools.train_reward", "--simulate", str(EPISODES), "--out", folder]
        told = subprocess.run(
            [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
    lines = [line.removeprefix("metric ").split("=") for line in told.stdout.splitlines()]
    return {line[0]: float(line[1]) for line in lines if len(line) == 2 and " " not in line[0]}


def main() -> int:
    names = [OURS, USUAL, NATIVE] if prepare_peers() else [OURS]
    found = {name: run(name) for name in names}
    print("CPU seconds from the start of training, compiling included, to % of the optimum")
    print("(-: not within its CPU seconds); drawn: as its probabilities say; best: the likeliest")
    to = " ".join(f"{f'{percent} %':>7}" for percent in MARKS)
    print(f"  {'':<50} {'steps/s':>9} {to} {'CPU s':>8} {'steps':>11} {'drawn':>8} {'best':>7}")
    for name, lines in found.items():
        tell(name, lines)
    holds = report(f"floor: {FLOOR_PERCENT} %", found[OURS][-1]["percent"], FLOOR_PERCENT)
    learnt = learn_from_log()
    print(
        f"a whole job on {EPISODES:,} logged episodes: R2 {learnt['reward_r2_of_ceiling']:.2f} of"
        f" what is reachable, intervals hold {learnt['coverage']:.1%}"
    )
    floor = f"floor: {FLOOR_FROM_LOG_PERCENT:.0f} % from the log alone"
    holds &= report(floor, learnt["policy_percent"], FLOOR_FROM_LOG_PERCENT)
    if USUAL not in found:
        print("stable-baselines3 could not be installed: nothing was compared")
        return 1
    rate = steps_a_second(found[OURS])
    ratio = rate / steps_a_second(found[USUAL])
    holds &= report(f"floor: {FLOOR_RATIO:.0f} x the steps of {USUAL}", ratio, FLOOR_RATIO)
    print(f"beside native environments: {rate / steps_a_second(found[NATIVE]):.1f} x the steps")
    return 0 if holds else 1


def report(floor: str, value: float, least: float) -> bool:
    print(f"{floor}: {value:.1f}, {'holds' if value >= least else 'IS MISSED'}")
    return value >= least


if __name__ == "__main__":
    sys.exit(main())
