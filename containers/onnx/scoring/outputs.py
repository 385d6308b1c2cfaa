"""Reads a graph's outputs as predictions: numbers, labels with probabilities, or plain lists.
Chosen once at load; a probe run must prove the choice before the process serves."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scoring.inputs import GraphValue, Value
from scoring.problems import ModelFailed, ModelRefused
from scoring.schema import Classification, Output, Regression

NUMERIC = {"tensor(float)", "tensor(double)", "tensor(int64)", "tensor(int32)"}
PLAIN = NUMERIC | {"tensor(string)", "tensor(bool)"}
SUM_TOLERANCE = 1e-3
"""How far a row of float32 probabilities may be from 1 before it is taken for scores or logits."""
Prediction = Any


class UnreadableOutput(ValueError):
    """An output's values do not have the shape that the reading needs."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Regression: one output of shape [rows] or [rows, 1]."""

    output_names: tuple[str, ...]

    def read(self, values: Sequence[Any], rows: int) -> list[Prediction]:
        tensor = values[0]
        if tensor.size != rows:
            raise UnreadableOutput(
                f"{self.output_names[0]!r} has shape {tensor.shape}, not one number a row"
            )
        require_finite(tensor, self.output_names[0])
        return tensor.ravel().tolist()

    def csv_rows(self, predictions: list[Prediction]) -> Iterable[list[Value]]:
        return ([number] for number in predictions)


@dataclass(frozen=True, slots=True)
class LabelsFromTensor:
    """Classification by a tensor of probabilities [rows, classes], columns in label order.

    The label is the graph's own where it is a string, else that of the largest probability.
    One column and two labels: the column is the probability of the second label.
    """

    output_names: tuple[str, ...]
    labels: tuple[str, ...]

    def read(self, values: Sequence[Any], rows: int) -> list[Prediction]:
        table = values[0].reshape(rows, -1)
        if table.shape[1] == 1 and len(self.labels) == 2:
            table = np.hstack([1 - table, table])
        if table.shape[1] != len(self.labels):
            raise UnreadableOutput(
                f"{self.output_names[0]!r} has {table.shape[1]} columns, "
                f"the schema {len(self.labels)} labels"
            )
        require_finite(table, self.output_names[0])
        if len(values) > 1:
            chosen = values[1].ravel().tolist()
        else:
            chosen = [self.labels[i] for i in table.argmax(axis=1).tolist()]
        return [
            {"label": label, "probabilities": dict(zip(self.labels, row, strict=True))}
            for label, row in zip(chosen, table.tolist(), strict=True)
        ]

    def csv_rows(self, predictions: list[Prediction]) -> Iterable[list[Value]]:
        return _label_rows(predictions)


@dataclass(slots=True)
class LabelsFromMaps:
    """Classification by ZipMap: one map of class to probability for each row.

    String classes name themselves; whole-number classes take the schema's labels in sorted order.
    """

    output_names: tuple[str, ...]
    labels: tuple[str, ...] | None

    def read(self, values: Sequence[Any], rows: int) -> list[Prediction]:
        maps = values[0]
        if len(maps) != rows:
            raise UnreadableOutput(f"{self.output_names[0]!r} has {len(maps)} maps for {rows} rows")
        name_by_class = self._name_classes(list(maps[0]))
        chosen = (
            values[1].ravel().tolist() if len(values) > 1 else [max(m, key=m.get) for m in maps]
        )
        predictions = []
        for label, row in zip(chosen, maps, strict=True):
            if not math.isfinite(sum(row.values())):
                raise ModelFailed(f"{self.output_names[0]!r} holds NaN or infinity")
            shares = {name_by_class[class_]: share for class_, share in row.items()}
            predictions.append({"label": name_by_class[label], "probabilities": shares})
        return predictions

    def _name_classes(self, classes: list[Any]) -> dict[Any, str]:
        if self.labels is None:
            return {class_: str(class_) for class_ in classes}
        if isinstance(classes[0], str):
            if set(classes) != set(self.labels):
                raise UnreadableOutput(
                    f"the graph's classes are {classes}, the schema's {list(self.labels)}"
                )
            return {class_: class_ for class_ in classes}
        if len(classes) != len(self.labels):
            raise UnreadableOutput(
                f"the graph has {len(classes)} classes, the schema {len(self.labels)} labels"
            )
        return dict(zip(sorted(classes), self.labels, strict=True))

    def csv_rows(self, predictions: list[Prediction]) -> Iterable[list[Value]]:
        return _label_rows(predictions)


@dataclass(frozen=True, slots=True)
class PlainOutputs:
    """No schema and no known form: every output by name, nested lists, one object a row."""

    output_names: tuple[str, ...]

    def read(self, values: Sequence[Any], rows: int) -> list[Prediction]:
        for name, tensor in zip(self.output_names, values, strict=True):
            if tensor.shape[:1] != (rows,):
                raise UnreadableOutput(f"{name!r} has shape {tensor.shape} for {rows} rows")
            require_finite(tensor, name)
        columns = [tensor.tolist() for tensor in values]
        return [
            dict(zip(self.output_names, cells, strict=True)) for cells in zip(*columns, strict=True)
        ]

    def csv_rows(self, predictions: list[Prediction]) -> Iterable[list[Value]]:
        return (_flatten(prediction.values()) for prediction in predictions)


Reading = Numbers | LabelsFromTensor | LabelsFromMaps | PlainOutputs


def choose_reading(graph_outputs: list[GraphValue], output: Output | None) -> Reading:
    """Match the schema's output with the graph's; raises ModelRefused where nothing matches."""
    match output:
        case Regression():
            return Numbers((_only(graph_outputs, NUMERIC, "regression").name,))
        case Classification(labels=labels):
            return _choose_labels(graph_outputs, labels)
        case None:
            return _choose_without_schema(graph_outputs)


def _choose_without_schema(graph_outputs: list[GraphValue]) -> Reading:
    if any(_is_map(value) for value in graph_outputs):
        return _choose_labels(graph_outputs, None)
    unreadable = [value for value in graph_outputs if value.type not in PLAIN]
    if unreadable:
        raise ModelRefused(
            f"output {unreadable[0].name!r} is {unreadable[0].type}, which is not served"
        )
    first = graph_outputs[0]
    if len(graph_outputs) == 1 and first.type in NUMERIC and first.shape[1:] in ([], [1]):
        return Numbers((first.name,))
    return PlainOutputs(tuple(value.name for value in graph_outputs))


def _choose_labels(graph_outputs: list[GraphValue], labels: tuple[str, ...] | None) -> Reading:
    maps = [value for value in graph_outputs if _is_map(value)]
    if maps:
        key_type = maps[0].type.removeprefix("seq(map(").split(",")[0]
        named = [v.name for v in graph_outputs if v.type == f"tensor({key_type})"]
        return LabelsFromMaps((maps[0].name, *named[:1]), labels)
    if labels is None:
        raise ModelRefused("the graph's classes have no names; give labels in schema.json")
    floats = {"tensor(float)", "tensor(double)"}
    shares = _only(graph_outputs, floats, "classification", rank=2)
    strings = [value.name for value in graph_outputs if value.type == "tensor(string)"]
    return LabelsFromTensor((shares.name, *strings[:1]), labels)


def _only(
    graph_outputs: list[GraphValue], types: set[str], kind: str, *, rank: int | None = None
) -> GraphValue:
    """Find the one output of these types; several of a kind would make the answer a guess."""
    fitting = [value for value in graph_outputs if value.type in types]
    of_rank = [value for value in fitting if rank is None or len(value.shape) == rank]
    found = of_rank or fitting
    if len(found) != 1:
        described = ", ".join(f"{value.name} {value.type}" for value in graph_outputs)
        raise ModelRefused(f"a {kind} needs exactly one fitting output; the graph has: {described}")
    return found[0]


def _is_map(value: GraphValue) -> bool:
    return value.type.startswith("seq(map(") and value.type.endswith("tensor(float)))")


def prove_predictions(reading: Reading, predictions: list[Prediction]) -> None:
    """Check on the probe's answer that a classification really holds probabilities."""
    if isinstance(reading, Numbers | PlainOutputs):
        return
    for prediction in predictions:
        shares = prediction["probabilities"]
        if min(shares.values()) < -SUM_TOLERANCE or abs(sum(shares.values()) - 1) > SUM_TOLERANCE:
            raise UnreadableOutput(
                f"{reading.output_names[0]!r} holds no probabilities: a row sums to "
                f"{sum(shares.values()):g}; end the graph with a softmax"
            )
        if prediction["label"] not in shares:
            raise UnreadableOutput(
                f"label {prediction['label']!r} is not among the schema's labels"
            )


def require_finite(tensor: np.ndarray, name: str) -> None:
    """Refuse to answer NaN or infinity: JSON cannot say it, and null would hide it."""
    if tensor.dtype.kind == "f" and np.count_nonzero(np.isfinite(tensor)) != tensor.size:
        raise ModelFailed(f"{name!r} holds NaN or infinity")


def _label_rows(predictions: list[Prediction]) -> Iterable[list[Value]]:
    return ([p["label"], *p["probabilities"].values()] for p in predictions)


def _flatten(values: Iterable[Any]) -> list[Value]:
    cells: list[Value] = []
    for value in values:
        cells.extend(_flatten(value) if isinstance(value, list) else [value])
    return cells
