"""Small ONNX archives, made in memory: y = weight * x, so that an answer tells which bytes gave it.
No file is read; the same arguments give the same bytes."""

import json
from functools import cache

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.builders.archives import make_archive

SAMPLE = {"instances": [[1.0], [2.0]]}


@cache
def linear_archive(weight: float = 2.0, *, sample: str | None = json.dumps(SAMPLE)) -> bytes:
    files = {"model.onnx": linear_onnx(weight)}
    if sample is not None:
        files["sample.json"] = sample.encode()
    return make_archive(files)


def linear_onnx(weight: float) -> bytes:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weight"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(np.array([[weight]], dtype=np.float32), "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()
