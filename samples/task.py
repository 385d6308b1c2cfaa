"""What a sample model is: features, output, held-out rows and the releases that learn the task.
Nothing here trains, exports or writes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Value = float | int | bool | str
Row = Mapping[str, Value]
Inputs = npt.NDArray[np.float32] | npt.NDArray[np.object_]


class Estimator(Protocol):
    """A fitted scikit-learn estimator."""

    def predict(self, inputs: Inputs) -> npt.NDArray[np.generic]: ...


@dataclass(frozen=True)
class Feature:
    """One column of an instance, as schema.json names it."""

    name: str
    type: Literal["float", "int", "bool", "string"] = "float"


@dataclass(frozen=True)
class Task:
    """One model: the same rows and truth judge each of its releases."""

    model: str
    description: str
    features: Sequence[Feature]
    labels: Sequence[str] | None
    """Classes in sorted order; None for a regression."""
    output_name: str
    """What the number of a regression is, with its unit."""
    rows: Sequence[Row]
    """Held out: no release learns from them."""
    truth: Sequence[str] | Sequence[float]
    releases: Mapping[str, Callable[[], Estimator]]
    """The training of each version, by semver."""

    @property
    def metric(self) -> str:
        return "mae" if self.labels is None else "accuracy"


def to_inputs(rows: Sequence[Row], features: Sequence[Feature]) -> Inputs:
    """shape (rows, features) of float32; for a text, shape (rows,) of strings."""
    if features[0].type == "string":
        return np.array([row[features[0].name] for row in rows], dtype=object)
    return np.array([[row[feature.name] for feature in features] for row in rows], np.float32)


def to_rows(columns: npt.NDArray[np.float64], features: Sequence[Feature]) -> list[Row]:
    """columns: shape (rows, features); gives plain values of each feature's type."""
    casts = {"float": float, "int": int, "bool": bool}
    return [
        {
            feature.name: casts[feature.type](cell)
            for feature, cell in zip(features, line, strict=True)
        }
        for line in columns.tolist()
    ]


def score(task: Task, predicted: Sequence[object]) -> float:
    """Share of right labels, or mean absolute error in the unit of the output."""
    if task.labels is not None:
        return float(np.mean(np.asarray(predicted) == np.asarray(task.truth)))
    return float(np.mean(np.abs(np.asarray(predicted, float) - np.asarray(task.truth, float))))
