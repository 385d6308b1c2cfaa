"""The training job: from the channel to the artifact, the report and the pictures.
The order of the steps, and what a stop leaves; each step is a module of its own."""

import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from reward import artifact
from reward.model import RewardModel
from reward.questions import State
from simulator.incidents import ACTIONS
from training import checkpoints
from training.episodes import learning
from training.episodes.channel import ChannelRefused, Episode, read_episodes
from training.episodes.dataset import Dataset, Rows
from training.places import Places
from training.policy import ppo
from training.policy.learned import LearnedSimulator, Thinness
from training.policy.outcomes import learn_outcomes
from training.policy.simulating import Simulator
from training.report import evaluation, pictures
from training.report.known import is_of_the_simulator
from training.rewards import fitting, intervals
from training.settings import Hyperparameters, SettingsRefused, read_hyperparameters

GOLDEN_STATES = 8
_GUIDES_OWN = {
    "state": {"incident": "Database latency spike", "severity": "sev-2", "actions_taken": []},
    "proposedAction": {"type": "SCALE_K8S", "params": {"replicas": 3}},
}


class Prepared(NamedTuple):
    """What is learnt before PPO; model: without a policy yet."""

    dataset: Dataset
    model: RewardModel
    simulator: Simulator
    notes: dict[str, Any]


class Learnt(NamedTuple):
    """curve: points of the learning curve. is_whole: nobody asked to stop before the end."""

    model: RewardModel
    curve: list[dict[str, Any]]
    is_whole: bool


def run(places: Places, is_stopping: Callable[[], bool]) -> str:
    """Return the artifact's version; once it is stopping, that of the policy learnt so far."""
    settings = read_hyperparameters(places.hyperparameters())
    _say(f"hyperparameters {json.dumps(msgspec.to_builtins(settings), sort_keys=True)}")
    prepared = _prepare(settings, _episodes(places, settings))
    learnt = _learn_policy(settings, prepared, places, is_stopping)
    told = {"hyperparameters": msgspec.to_builtins(settings), **prepared.notes}
    if not learnt.is_whole:
        _write(places, prepared, learnt, {**told, "stopped_after": learnt.curve[-1]["steps"]})
    report = evaluation.evaluate(
        prepared.dataset,
        learnt.model,
        simulator=prepared.simulator,
        is_known=is_of_the_simulator(prepared.dataset.catalogue, prepared.dataset.test),
        guarded=settings.guarded,
        seed=settings.seed,
    )
    metrics = evaluation.metrics(report)
    if learnt.is_whole:
        version = _write(places, prepared, learnt, {**told, "metrics": metrics})
    else:
        version = artifact.version_of((places.model / artifact.MANIFEST).read_bytes())
    for name, value in metrics.items():
        _say(f"metric {name}={value:.6f}")
    _write_report(places, report, learnt)
    _say(f"done: {version}")
    return version


def _episodes(places: Places, settings: Hyperparameters) -> list[Episode]:
    if settings.simulated_episodes and not places.episodes.exists():
        episodes = _simulate(settings)
    else:
        episodes = read_episodes(places.episodes)
    if len(episodes) < settings.minimum_episodes:
        raise ChannelRefused(
            f"the channel has {len(episodes)} episodes, at least {settings.minimum_episodes} "
            "are needed (hyperparameter minimum_episodes)"
        )
    _say(f"{len(episodes)} episodes, {sum(len(one.steps) for one in episodes)} steps")
    return episodes


def _simulate(settings: Hyperparameters) -> list[Episode]:
    from simulator.episodes import write_episodes  # noqa: PLC0415 - for a first model only

    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "episodes.jsonl").open("w", encoding="utf-8") as file:
            write_episodes(file, count=settings.simulated_episodes, seed=settings.seed)
        return read_episodes(Path(folder))


def _prepare(settings: Hyperparameters, episodes: Sequence[Episode]) -> Prepared:
    learnt = learning.learn(
        episodes, seed=settings.seed, minimum_observations=settings.minimum_observations
    )
    dataset = learnt.dataset
    fitted = fitting.fit_rewards(dataset.catalogue, dataset.fit)
    bare = fitting.without_policy(dataset.catalogue, fitted)
    calibrated = intervals.calibrate(bare, fit=dataset.fit, calibration=dataset.calibration)
    model = bare._replace(catalogue=calibrated.catalogue)
    _say(f"{len(dataset.catalogue.types)} actions, {len(dataset.catalogue.features)} features")
    notes = {
        "episodes": len(episodes),
        "steps": sum(len(one.steps) for one in episodes),
        "episodes_with_gaps": sum(not one.is_whole for one in episodes),
        "left_out_actions": learnt.dropped,
        "uncalibrated_actions": list(calibrated.uncalibrated),
    }
    simulator = _simulator(settings, dataset, model, fitted.residual_scale)
    return Prepared(dataset, model, simulator, notes)


def _simulator(
    settings: Hyperparameters, dataset: Dataset, model: RewardModel, residual_scale: Any
) -> Simulator:
    catalogue = dataset.catalogue
    if settings.simulator == "incidents":
        from simulator.vectorised import IncidentSimulator  # noqa: PLC0415

        strange = sorted(set(catalogue.types) - set(ACTIONS))
        if strange:
            raise SettingsRefused(
                f"hyperparameter simulator cannot be 'incidents' for this log: that simulator has "
                f"no action {strange[0]!r}, only {', '.join(ACTIONS)}"
            )
        return IncidentSimulator(
            catalogue.features, actions=catalogue.types, horizon=catalogue.horizon
        )
    thin = Thinness(
        leverage=model.tensors["reward.leverage"],  # pyright: ignore[reportArgumentType]
        scale=residual_scale,
        pessimism=settings.pessimism,
    )
    _, first = np.unique(dataset.fit.episode, return_index=True)
    return LearnedSimulator(
        catalogue,
        learn_outcomes(catalogue, dataset.fit),
        thin=thin,
        states=list(dataset.fit.states[first]),
    )


def _learn_policy(
    settings: Hyperparameters,
    prepared: Prepared,
    places: Places,
    is_stopping: Callable[[], bool],
) -> Learnt:
    wanted = ppo.PpoSettings(
        steps=settings.ppo_steps,
        environments=settings.ppo_environments,
        learning_rate=settings.ppo_learning_rate,
        seed=settings.seed,
        guarded=settings.guarded,
    )
    fingerprint = _fingerprint(settings, wanted, prepared)
    before = checkpoints.find(places.checkpoints, fingerprint)
    curve: list[dict[str, Any]] = [] if before is None else before.curve
    if before is not None:
        _say(f"goes on after {curve[-1]['steps']:,} steps")

    def on_chunk(snapshot: ppo.Snapshot, progress: ppo.Progress) -> bool:
        curve.append(_point(progress))
        found = checkpoints.Checkpoint(dict(snapshot.arrays), curve)
        checkpoints.keep(places.checkpoints, fingerprint, found)
        _say(f"{progress.steps:,} steps, mean return {progress.mean_return:+.3f}")
        return is_stopping()

    train = partial(ppo.train, prepared.simulator, wanted, on_chunk=on_chunk)
    try:
        policy = train(resume=None if before is None else ppo.Snapshot(before.arrays))
    except ppo.SnapshotRefused as error:  # of another version of this program
        _say(f"begins anew: {error}")
        curve.clear()
        policy = train()
    model = prepared.model._replace(tensors={**prepared.model.tensors, **policy.tensors})
    return Learnt(model, curve, is_whole=curve[-1]["updates"] == wanted.updates)


def _fingerprint(settings: Hyperparameters, wanted: ppo.PpoSettings, prepared: Prepared) -> str:
    """Of all that PPO hangs on: how it learns, and what its simulator was learnt from."""
    rows = prepared.dataset.fit
    about = {
        "settings": msgspec.to_builtins(settings),
        "ppo": dataclasses.asdict(wanted),
        "catalogue": msgspec.to_builtins(prepared.model.catalogue),
        "results": rows.result.tolist(),
    }
    arrays = {"x": rows.x, "kind": rows.kind, "done": rows.done, "step": rows.step}
    return checkpoints.fingerprint_of(about, {**prepared.model.tensors, **arrays})


def _point(progress: ppo.Progress) -> dict[str, Any]:
    """As JSON has it: what is not a number is null."""
    return {
        name: None if value != value else value  # noqa: PLR0124
        for name, value in progress._asdict().items()
    }


def _write(places: Places, prepared: Prepared, learnt: Learnt, told: dict[str, Any]) -> str:
    """Raises ArtifactRefused for what serving would refuse, as a manifest that is too large."""
    version = artifact.write(
        places.model,
        learnt.model,
        samples=_samples(prepared.dataset.test, learnt.model),
        training=told,
    )
    artifact.load(places.model)
    return version


def _samples(rows: Rows, model: RewardModel) -> list[dict[str, Any]]:
    """The guide's own question where the model knows its action, then states of the log."""
    knows = _GUIDES_OWN["proposedAction"]["type"] in model.catalogue.types
    firsts = [{"state": _document(rows.state(i))} for i in range(min(GOLDEN_STATES, len(rows)))]
    questions = [
        {**first, "proposedAction": {"type": model.catalogue.types[rows.kind[i]]}}
        for i, first in enumerate(firsts)
    ]
    return [_GUIDES_OWN, *questions] if knows else questions


def _document(state: State) -> dict[str, Any]:
    return {
        **state.details,
        "incident": state.incident,
        "severity": state.severity,
        "symptoms": list(state.symptoms),
        "actions_taken": [msgspec.to_builtins(each) for each in state.actions_taken],
    }


def _write_report(places: Places, report: Any, learnt: Learnt) -> None:
    places.output.mkdir(parents=True, exist_ok=True)
    whole = {**report, "learning": learnt.curve}
    text = json.dumps(whole, indent=1, sort_keys=True, allow_nan=False)
    (places.output / "evaluation.json").write_text(text + "\n")
    draw: dict[str, Callable[[], str]] = {
        "learning.svg": lambda: pictures.draw_learning(learnt.curve, report),
        "calibration.svg": lambda: pictures.draw_calibration(report),
    }
    for name, drawn in draw.items():
        (places.output / name).write_text(drawn())


def _say(line: str) -> None:
    print(line, file=sys.stdout, flush=True)
