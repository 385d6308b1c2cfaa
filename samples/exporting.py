"""Export a fitted estimator to ONNX with schema and sample, the same bytes at each build.
Nothing here knows a particular model."""

import json

import onnx
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.base import is_classifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline

from samples.task import Estimator, Task

OPSET = {"": 17, "ai.onnx.ml": 3}
ROWS_IN_SAMPLE = 3
PLAIN_LOCALE = "C"
"""The one locale that every machine has; it lowers A to Z, and words are made of nothing else."""


def export_onnx(task: Task, estimator: Estimator) -> bytes:
    """One float input [rows, features] in feature order, or one string input [rows, 1]."""
    if task.features[0].type == "string":
        inputs = [(task.features[0].name, StringTensorType([None, 1]))]
    else:
        inputs = [("features", FloatTensorType([None, len(task.features)]))]
    first = estimator.steps[0][1] if isinstance(estimator, Pipeline) else estimator
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    options = {id(last): {"zipmap": False}} if is_classifier(last) else {}
    if isinstance(first, TfidfVectorizer):
        options[id(first)] = {"locale": PLAIN_LOCALE}
    model = to_onnx(
        estimator, initial_types=inputs, options=options, target_opset=OPSET, name=task.model
    )
    in_order = sorted(model.opset_import, key=lambda opset: opset.domain)  # else by memory address
    del model.opset_import[:]
    model.opset_import.extend(in_order)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def make_schema(task: Task) -> bytes:
    features = [{"name": f.name, "type": f.type, "nullable": False} for f in task.features]
    if task.labels is None:
        output: dict[str, object] = {"kind": "regression", "name": task.output_name}
    else:
        output = {"kind": "classification", "labels": list(task.labels)}
    return to_json({"features": features, "output": output})


def make_sample(task: Task) -> bytes:
    """A request body that the scorer answers."""
    return to_json({"instances": [dict(row) for row in task.rows[:ROWS_IN_SAMPLE]]})


def to_json(document: object) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"
