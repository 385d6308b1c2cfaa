"""Binds features to the graph's inputs and turns checked rows into tensors.
Reads no bytes of a request and runs no session."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scoring.problems import ModelRefused
from scoring.schema import Feature, FeatureType

Value = float | int | bool | str | None
Row = tuple[Value, ...]
Feeds = dict[str, np.ndarray]

DTYPE_BY_ONNX: dict[str, type] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
FLOATS = (np.float32, np.float64)
NUMBERS = (*FLOATS, np.int64, np.int32)
DTYPES_BY_TYPE: dict[FeatureType, tuple[type, ...]] = {
    "float": FLOATS,
    "int": NUMBERS,
    "bool": (*NUMBERS, np.bool_),
    "string": (np.object_,),
}
TYPE_BY_DTYPE: dict[type, FeatureType] = {
    np.float32: "float",
    np.float64: "float",
    np.int64: "int",
    np.int32: "int",
    np.bool_: "bool",
    np.object_: "string",
}


class GraphValue(Protocol):
    """An input or output as onnxruntime describes it; shape holds None or a name where open."""

    name: str
    type: str
    shape: list[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A feature together with the tensor type it is cast to."""

    feature: Feature
    dtype: type

    @property
    def name(self) -> str:
        return self.feature.name


class Unfit(ValueError):
    """A value of a well-typed row is outside its tensor's range."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """All features side by side in one tensor [rows, features]."""

    input_name: str
    columns: tuple[Column, ...]

    def feed(self, rows: list[Row]) -> Feeds:
        return {self.input_name: to_tensor(rows, self.columns[0].dtype)}


@dataclass(frozen=True, slots=True)
class Columns:
    """One tensor [rows, 1] or [rows] for each feature, named as the feature."""

    columns: tuple[Column, ...]
    ranks: tuple[int, ...]

    def feed(self, rows: list[Row]) -> Feeds:
        feeds = {}
        for column, rank, values in zip(
            self.columns, self.ranks, zip(*rows, strict=True), strict=True
        ):
            tensor = to_tensor(values, column.dtype)
            feeds[column.name] = tensor.reshape(-1, 1) if rank == 2 else tensor
        return feeds


Binding = Matrix | Columns


def to_tensor(values: Any, dtype: type) -> np.ndarray:
    """Cast checked values; None becomes NaN. Raises Unfit where a number leaves the range."""
    try:
        tensor = np.array(values, dtype=dtype)
    except OverflowError as error:
        raise Unfit from error
    if dtype in FLOATS and np.count_nonzero(np.isinf(tensor)):  # any() costs a row 2 us more
        raise Unfit
    return tensor


def is_in_range(value: float | int, dtype: type) -> bool:
    """Tell whether a number survives the cast as a finite number of this type."""
    if dtype in FLOATS:
        try:
            return math.isfinite(dtype(value))
        except OverflowError:
            return False
    if dtype is np.bool_:
        return True
    limits = np.iinfo(dtype)
    return int(limits.min) <= value <= int(limits.max)


def bind_inputs(graph_inputs: list[GraphValue], features: tuple[Feature, ...] | None) -> Binding:
    """Decide how rows feed the graph; raises ModelRefused where they cannot."""
    for graph_input in graph_inputs:
        _refuse_unusable(graph_input)
    if not graph_inputs:
        raise ModelRefused("model.onnx has no inputs")
    if len(graph_inputs) == 1 and len(graph_inputs[0].shape) == 2:
        return _bind_matrix(graph_inputs[0], features)
    return _bind_columns(graph_inputs, features)


def _refuse_unusable(graph_input: GraphValue) -> None:
    name, shape = graph_input.name, graph_input.shape
    if graph_input.type not in DTYPE_BY_ONNX:
        raise ModelRefused(f"input {name!r} is {graph_input.type}, which no feature can fill")
    if len(shape) not in (1, 2):
        raise ModelRefused(f"input {name!r} has shape {shape}; only [rows, features] is served")
    if isinstance(shape[0], int):
        raise ModelRefused(
            f"input {name!r} has shape {shape}: the number of rows is fixed; "
            "export the model with an open first dimension"
        )


def _bind_matrix(graph_input: GraphValue, features: tuple[Feature, ...] | None) -> Matrix:
    dtype, width = DTYPE_BY_ONNX[graph_input.type], graph_input.shape[1]
    if features is None:
        if not isinstance(width, int) or width < 1:
            raise ModelRefused(
                f"input {graph_input.name!r} does not say its width; "
                "name the features in schema.json"
            )
        features = tuple(Feature(f"f{i}", TYPE_BY_DTYPE[dtype]) for i in range(width))
    if isinstance(width, int) and width != len(features):
        raise ModelRefused(
            f"schema.json names {len(features)} features, input {graph_input.name!r} takes {width}"
        )
    return Matrix(graph_input.name, tuple(_column(feature, dtype) for feature in features))


def _bind_columns(graph_inputs: list[GraphValue], features: tuple[Feature, ...] | None) -> Columns:
    inputs_by_name = {graph_input.name: graph_input for graph_input in graph_inputs}
    for name, graph_input in inputs_by_name.items():
        width = graph_input.shape[1] if len(graph_input.shape) == 2 else 1
        if isinstance(width, int) and width != 1:
            raise ModelRefused(
                f"input {name!r} has shape {graph_input.shape}; "
                "a model with several inputs takes one feature each, [rows, 1]"
            )
    if features is None:
        features = tuple(
            Feature(name, TYPE_BY_DTYPE[DTYPE_BY_ONNX[graph_input.type]])
            for name, graph_input in inputs_by_name.items()
        )
    named, wanted = {feature.name for feature in features}, set(inputs_by_name)
    if named != wanted:
        raise ModelRefused(
            "schema.json and model.onnx name different features: "
            f"only in the schema {sorted(named - wanted)}, "
            f"only in the graph {sorted(wanted - named)}"
        )
    inputs = [inputs_by_name[feature.name] for feature in features]
    return Columns(
        tuple(_column(f, DTYPE_BY_ONNX[i.type]) for f, i in zip(features, inputs, strict=True)),
        tuple(len(graph_input.shape) for graph_input in inputs),
    )


def _column(feature: Feature, dtype: type) -> Column:
    if dtype not in DTYPES_BY_TYPE[feature.type]:
        raise ModelRefused(
            f"feature {feature.name!r} is {feature.type!r} in schema.json, "
            f"but its input holds {dtype.__name__}"
        )
    if feature.nullable and dtype not in FLOATS:
        raise ModelRefused(
            f"feature {feature.name!r} is nullable, but its input holds {dtype.__name__}, "
            "which has no missing value; only float inputs do (NaN)"
        )
    return Column(feature, dtype)
