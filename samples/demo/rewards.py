"""The third part: rewards of actions, predicted before they are taken, learnt from episodes.
Incidents are the container's simulator; here they play the world, and nothing here knows them."""

import json
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samples.demo import trial as trials
from samples.demo.doors import STATE, DemoFailed, Doors, say, step, until
from samples.demo.traffic import THREADS, Ask, Told
from samples.demo.trial import Trial
from samples.demo.versions import wait_until_live
from tools import train_reward

MODEL = "reward"
FIRST_EPISODES, MORE_EPISODES, HELD_OUT_EPISODES = 60, 3_000, 600
SHORT = {"ppo_steps": "200000", "ppo_environments": "128", "ppo_learning_rate": "0.005"}
"""Half a minute of PPO; the default takes a few times as long for a few percent more."""
STEP_UNITS, MOST_UNITS = 150, 1_500
SETTINGS = {
    "description": "What an action on an incident is worth, before it is taken",
    "image": "sommelier-ppo:1",
    "hosting": {"kind": "serverless", "memory_mb": 1024, "max_concurrency": 5},
    "metrics": [{"name": "reward_error", "better": "lower", "minimum": 0, "maximum": 20}],
    "training": {
        "hyperparameters": SHORT,
        "retrain_after_episodes": 1_000_000,
        "cooldown_s": 0,
    },
}
GUIDES_OWN = {
    "state": {"incident": "Database latency spike", "severity": "sev-2", "actions_taken": []},
    "proposedAction": {"type": "SCALE_K8S", "params": {"replicas": 3}},
}
_DEFINITION = {
    "name": "reward_v1_vs_v2",
    "model": MODEL,
    "challengers": [{"version": "1.1.0"}],
    "primary": "reward_error",
    "guardrails": [{"metric": "error_rate", "margin": 0.05}],
    "minimal_effect": 0.2,
    "start": True,
}
"""Errors a fifth smaller are worth finding; for less, or a narrower guardrail, more must ask."""


@dataclass
class Learnt:
    """What the last lines print of this part."""

    first_reward: float
    trial: Trial


def play(doors: Doors) -> Learnt:
    step(f"Rewards: a model from {FIRST_EPISODES} episodes, trained here by the container's code")
    _train_first(doors)
    first_reward = _ask_guides_own(doors)
    _learn_again(doors)
    return Learnt(first_reward, _compare(doors))


def _train_first(doors: Doors) -> None:
    folder = STATE / "reward"
    episodes = train_reward.simulate(folder / "episodes.jsonl", FIRST_EPISODES, seed=1)
    try:
        archive = train_reward.train(episodes, folder, SHORT, log=folder / "train.log")
    except (train_reward.TrainingFailed, subprocess.CalledProcessError) as error:
        raise DemoFailed(f"training failed: {error}") from error
    report = folder / "ml" / "output" / "data"
    say(f"  {archive.stat().st_size:,} bytes; report and pictures: {report}")
    settings = folder / "model.json"
    settings.write_text(json.dumps(SETTINGS))
    _copy(doors, settings, f"models/{MODEL}/model.json")
    _copy(doors, archive, f"models/{MODEL}/1.0.0/model.tar.gz")
    wait_until_live(doors, MODEL, "1.0.0")


def _ask_guides_own(doors: Doors) -> float:
    step("What is SCALE_K8S {replicas: 3} worth on a sev-2 database latency spike?")
    answer = doors.http("POST", "/api/ai/rl/reward", GUIDES_OWN)
    _say_answer(answer)
    ranked = doors.http("POST", "/api/ai/rl/reward", {"state": GUIDES_OWN["state"]})
    for one in ranked["ranking"]:
        chance = ranked["policy"][one["action"]["type"]]
        say(
            f"    {one['action']['type']:<17} {one['reward']:+6.2f}  {_bounds(one['interval'])}"
            f"  policy {chance:4.0%}"
        )
    again = doors.http("POST", "/api/ai/rl/reward", GUIDES_OWN)
    say(
        f"  asked again: cached {again['cached']}, {again['age_s']:.1f} s old, a receipt of its own"
    )
    return answer["reward"]


def _say_answer(answer: Any) -> None:
    factors = ", ".join(f"{name} {value:+.2f}" for name, value in answer["factors"].items())
    bounds = _bounds(answer["interval"])
    say(f"  reward {answer['reward']:+.2f}, 9 times in 10 within {bounds}: {factors}")
    for strange in answer["outOfDistribution"]:
        say(f"  not confident: {strange['at']} {strange['because']}")
    recommended = answer["recommendedAction"]["type"]
    say(f"  version {answer['version']} recommends {recommended}; value {answer['value']:+.2f}")


def _learn_again(doors: Doors) -> None:
    step(f"{MORE_EPISODES:,} more episodes are dropped into S3, and a SageMaker job is asked for")
    more = train_reward.simulate(STATE / "reward" / "more.jsonl", MORE_EPISODES, seed=2)
    _copy(doors, more, "episodes/dev/more.jsonl")
    payload = {
        "action": "trigger_retraining",
        "model_name": MODEL,
        "reason": "Performance degradation detected",
    }
    until(lambda: _started(doors, payload), what="the training job")
    job = until(lambda: _ended(doors), what="the end of the training job", timeout_s=240)
    say(f"  {job['name']} {job['state']}: became version {job['version']}")
    wait_until_live(doors, MODEL, "1.1.0")
    _say_answer(doors.http("POST", "/api/ai/rl/reward?version=1.1.0", GUIDES_OWN))


def _started(doors: Doors, payload: Any) -> Any:
    """The event of the upload may not have been counted yet; then the job is a recorded skip."""
    answer = doors.invoke("model-retraining-trigger", payload)
    if answer["status"] != "ok":
        raise DemoFailed(f"model-retraining-trigger answered {answer}")
    result = answer["result"]
    if result["status"] == "skipped":
        return None
    say(f"  model-retraining-trigger: {json.dumps(result)[:200]}")
    return result


def _ended(doors: Doors) -> Any:
    job = doors.http("GET", f"/api/models/{MODEL}/training-jobs?limit=1")["items"][0]
    if job["state"] in {"failed", "stopped"}:
        raise DemoFailed(f"the training job {job['state']}: {job['failure']}")
    return job if job["state"] == "completed" else None


def _compare(doors: Doors) -> Trial:
    step("Experiment: 1.1.0 against 1.0.0, by how far predictions are from what came about")
    held_out = _held_out()
    trial = trials.define(doors, _asking(doors, held_out), definition=_DEFINITION)
    trials.run(trial, step=STEP_UNITS, until_state="promoted", most_units=MOST_UNITS)
    champion = doors.http("GET", f"/api/models/{MODEL}")["champion"]["version"]
    if champion != "1.1.0":
        raise DemoFailed(f"the champion is {champion}")
    say(f"  champion of {MODEL}: {champion}")
    return trial


def _held_out() -> list[Any]:
    """Steps of episodes that no version learned from."""
    path = train_reward.simulate(STATE / "reward" / "held_out.jsonl", HELD_OUT_EPISODES, seed=3)
    return [json.loads(line) for line in path.read_text().splitlines()]


def _asking(doors: Doors, held_out: Sequence[Any]) -> Ask:
    """Operators who ask before they act, act, and tell what the action was worth."""

    def ask_for(user: int) -> tuple[Any, float]:
        lived = held_out[user % len(held_out)]
        question = {"state": lived["state"], "proposedAction": lived["proposedAction"]}
        headers = {"Sommelier-Unit": f"operator-{user:05}"}
        answer = doors.http("POST", "/api/ai/rl/reward", question, headers=headers)
        return answer, abs(answer["reward"] - lived["reward"])

    def ask(users: range) -> Told:
        with ThreadPoolExecutor(THREADS) as pool:
            told = list(pool.map(ask_for, users))
        items = [
            {
                "request_id": answer["request_id"],
                "metric_name": "reward_error",
                "metric_value": error,
            }
            for answer, error in told
        ]
        experiments = [answer.get("experiment") for answer, _ in told]
        return Told(items, dict(zip(users, experiments, strict=True)))

    return ask


def _copy(doors: Doors, path: Path, key: str) -> None:
    target = f"s3://{doors.cloud.bucket}/{key}"
    say(f"  aws s3 cp {path.name} {target}")
    doors.aws("s3", "cp", "--quiet", str(path), target)


def _bounds(interval: Any) -> str:
    return f"{interval['low']:+.2f} .. {interval['high']:+.2f}"
