"""Logs of the shipped simulator as data sets, and a plain reward model of them.
The model is a ridge regression without pairs: simpler than what training fits, and near enough."""

from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from reward.model import RewardModel, shapes
from reward.predictor import Predictor
from simulator.episodes import write_episodes
from training.episodes.channel import read_episodes
from training.episodes.dataset import Dataset
from training.episodes.learning import learn
from training.policy.networks import new_tensors

PENALTY = 3.0


@cache
def make_dataset(episodes: int, seed: int = 1) -> Dataset:
    """A log of the simulator's mixed policy, read and split."""
    written = StringIO()
    write_episodes(written, count=episodes, seed=seed)
    return read_dataset(written.getvalue(), seed=seed)


def read_dataset(lines: str, seed: int = 1) -> Dataset:
    with TemporaryDirectory() as folder:
        (Path(folder) / "episodes.jsonl").write_text(lines)
        return learn(read_episodes(Path(folder)), seed=seed).dataset


@cache
def make_reward_model(episodes: int, seed: int = 1) -> RewardModel:
    """Calibrated; actor and critic are untrained."""
    dataset = make_dataset(episodes, seed)
    catalogue, fit = dataset.catalogue, dataset.fit
    tensors = {
        name: np.zeros(shape, dtype) for name, (dtype, shape) in shapes(catalogue, 0).items()
    }
    tensors |= new_tensors(width=len(catalogue.features), actions=len(catalogue.actions), seed=seed)
    kinds = []
    for i, kind in enumerate(catalogue.actions):
        rows = fit.kind == i
        z = np.hstack([np.ones((rows.sum(), 1)), fit.x[rows]]).astype(np.float64)
        inverse = np.linalg.inv(z.T @ z + PENALTY * np.eye(z.shape[1]))
        tensors["reward.weights"][i] = (inverse @ z.T @ fit.factors[rows]).T
        tensors["reward.leverage"][i] = inverse
        held = dataset.calibration.where(dataset.calibration.kind == i)
        z = np.hstack([np.ones((len(held), 1)), held.x])
        leverages = ((z @ inverse) * z).sum(axis=1)
        left = held.reward - (z @ tensors["reward.weights"][i].T).sum(axis=1)
        scores = np.abs(left) / np.sqrt(1 + leverages)
        half_width, limit = float(np.quantile(scores, 0.9)), float(leverages.max())
        kinds.append(msgspec.structs.replace(kind, half_width=half_width, leverage_limit=limit))
    catalogue = msgspec.structs.replace(catalogue, actions=tuple(kinds))
    return RewardModel(catalogue, tensors)


def residual_scale(dataset: Dataset, model: RewardModel) -> np.ndarray:
    """Standard deviation of what the model leaves of the rewards, by action."""
    rows = dataset.fit
    factors, _ = Predictor(model).rewards(rows.x, rows.kind, rows.u)
    left = rows.reward - factors.sum(axis=1)
    return np.array([left[rows.kind == i].std() for i in range(len(model.catalogue.actions))])
