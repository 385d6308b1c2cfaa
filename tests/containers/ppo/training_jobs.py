"""Training jobs as SageMaker starts them: folders, hyperparameters, a process, signals.
The log is of a help desk, so that nothing of the shipped simulator can be of use. Asserts nothing.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

MAIN = Path(__file__).resolve().parents[3] / "containers/ppo/main.py"
LONGEST_RUN_S = 400.0
RARE = 3
"""Times that the log takes the action DANCE."""
QUESTION = {
    "state": {"incident": "Parcel lost", "severity": "gold", "channel": "mail", "orders": 3},
    "proposedAction": {"type": "REFUND", "params": {"share": 0.5}},
}


def make_lines(episodes: int = 120, seed: int = 5) -> list[str]:
    """Two to four steps an episode; refunds resolve lost parcels, and cost."""
    random = np.random.default_rng(seed)
    lines = [line for number in range(episodes) for line in _episode(random, number)]
    rare = [_step(f"rare-{i}", 0, {"type": "DANCE"}, _state(random, []), 0.0) for i in range(RARE)]
    return [json.dumps(line) + "\n" for line in [*lines, *rare]]


def _episode(random: np.random.Generator, number: int) -> list[dict[str, Any]]:
    taken: list[dict[str, Any]] = []
    lines = []
    state = _state(random, taken)
    count = int(random.integers(2, 5))
    for step in range(count):
        action = _action(random)
        now = {**state, "actions_taken": list(taken)}
        is_solved = action["type"] == "REFUND" and state["incident"] == "Parcel lost"
        lines.append(_step(f"case-{number:04}", step, action, now, 3.0 * is_solved))
        lines[-1]["done"] = step == count - 1
        taken.append({**action, "result": "happy" if is_solved else "waiting"})
    return lines


def _state(random: np.random.Generator, taken: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "incident": str(random.choice(["Parcel lost", "Invoice wrong", "Cannot sign in"])),
        "severity": str(random.choice(["gold", "silver"])),
        "symptoms": ["angry_customer"] if random.random() < 0.5 else [],
        "actions_taken": taken,
        "channel": str(random.choice(["mail", "telephone"])),
        "orders": int(random.integers(1, 9)),
    }


def _action(random: np.random.Generator) -> dict[str, Any]:
    type_ = str(random.choice(["APOLOGISE", "REFUND", "RESEND"]))
    params = {
        "APOLOGISE": {},
        "REFUND": {"share": round(float(random.random()), 2)},
        "RESEND": {"carrier": str(random.choice(["bike", "train"])), "insured": True},
    }
    return {"type": type_, "params": params[type_]}


def _step(
    id_: str, step: int, action: dict[str, Any], state: dict[str, Any], won: float
) -> dict[str, Any]:
    cost = -float(action.get("params", {}).get("share", 0.0))
    factors = {"resolution": won, "time": -0.5, "risk": 0.0, "cost": cost}
    return {
        "episode_id": id_,
        "step": step,
        "state": state,
        "proposedAction": action,
        "reward": won - 0.5 + cost,
        "factors": factors,
        "propensity": 1 / 3,
        "done": True,
    }


def lay_out(base: Path, files: dict[str, str] | None, **hyperparameters: str) -> Path:
    """files: of the channel, by name; None: the job has no channel."""
    config = base / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    if files is not None:
        channel = base / "input" / "data" / "episodes"
        channel.mkdir(parents=True)
        for name, text in files.items():
            (channel / name).write_text(text)
    return base


class Job:
    """A process of `main.py train`; prefix: a command that runs it."""

    def __init__(self, base: Path, prefix: tuple[str, ...] = (), **environ: str) -> None:
        self.base = base
        self.log_path = base.parent / f"{base.name}.log"
        kept = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, str(MAIN), "train"],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={**kept, "SAGEMAKER_BASE_DIR": str(base), **environ},
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    @property
    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text()

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.base / "model" / "manifest.json").read_bytes())

    @property
    def report(self) -> dict[str, Any]:
        return json.loads(self.output("evaluation.json"), parse_constant=_refuse)

    def output(self, name: str) -> bytes:
        return (self.base / "output" / "data" / name).read_bytes()

    def model(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.base / "model").iterdir()}

    def wait_for(self, text: str) -> "Job":
        """Wait until the log holds the text."""
        give_up_at_s = time.monotonic() + LONGEST_RUN_S
        while text not in self.log:
            if self.process.poll() is not None or time.monotonic() > give_up_at_s:
                self.process.kill()
                raise AssertionError(self.log)
            time.sleep(0.02)
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.end()

    def end(self) -> int:
        """Wait, and return the exit code."""
        try:
            return self.process.wait(LONGEST_RUN_S)
        finally:
            self.process.kill()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
