"""Builds small ONNX archives and runs the scorer on them as a real process, over real HTTP.
Asserts nothing."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[3]
PYTHON = Path(os.environ.get("SCORER_PYTHON", ROOT / ".local/venv/onnx/bin/python"))
MAIN = ROOT / "containers/onnx/main.py"
WEIGHTS = np.array([[0.5], [-2.0], [1.0]], dtype=np.float32)
BIAS = np.array([4.0], dtype=np.float32)
ETA_SCHEMA = json.loads("""{
  "features": [{"name": "distance_km", "type": "float"}, {"name": "stops", "type": "int"},
               {"name": "load_kg", "type": "float", "nullable": true}],
  "output": {"kind": "regression", "name": "eta_minutes"}}""")
CITY_SCHEMA = json.loads("""{
  "features": [{"name": "distance_km", "type": "float"}, {"name": "city", "type": "string"}],
  "output": {"kind": "classification", "labels": ["negative", "positive"]}}""")
LOAD_ARCHIVES = """
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
from scoring.problems import ModelRefused
from scoring.scorer import load_scorer
for line in sys.stdin:
    try:
        load_scorer(pathlib.Path(line.strip()) / "model", threads=1)
        outcome = {"served": True}
    except ModelRefused as refused:
        outcome = {"refused": str(refused)}
    print(json.dumps(outcome), flush=True)
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def predictions(self) -> list[Any]:
        assert self.status == 200, self.body
        return self.json["predictions"]

    @property
    def code(self) -> str:
        assert self.headers["content-type"] == "application/problem+json", self.body
        assert self.json["status"] == self.status
        return self.json["type"].removeprefix("/problems/")

    @property
    def flaws(self) -> dict[str, str]:
        return {flaw["at"]: flaw["because"] for flaw in self.json["errors"]}


class Running:
    """A scorer process; call() opens a connection of its own for each request."""

    def __init__(self, base: Path, log_path: Path, environ: dict[str, str]) -> None:
        self.port = find_free_port()
        self.log_path = log_path
        with log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [PYTHON, MAIN, "serve"],
                stderr=log,
                env={
                    **os.environ,
                    "SAGEMAKER_BASE_DIR": str(base),
                    "SAGEMAKER_BIND_TO_PORT": str(self.port),
                    "SCORER_BIND_HOST": "127.0.0.1",
                    **environ,
                },
            )

    def wait_until_ready(self) -> "Running":
        for _ in range(1500):
            assert self.process.poll() is None, self.log
            try:
                if self.call("GET", "/ping").status == 200:
                    return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError(self.log)

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = self.connect()
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers=names)
            response = connection.getresponse()
            content = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, content)
        finally:
            connection.close()

    def score(self, instances: Any, **headers: str) -> Answer:
        body = json.dumps({"instances": instances}).encode()
        return self.call("POST", "/invocations", body, **headers)

    def score_bytes(self, body: bytes, content_type: str = "application/json") -> Answer:
        return self.call("POST", "/invocations", body, Content_Type=content_type)

    def exchange(self, data: bytes, *, close: bool = True) -> bytes:
        """Send raw bytes on one connection, return all that comes back until it closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as raw:
            raw.sendall(data)
            if close:
                raw.shutdown(socket.SHUT_WR)
            received = b""
            while part := raw.recv(65536):
                received += part
            return received

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        finally:
            self.process.kill()


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def make_archive(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Lay out an extracted archive; returns the base directory that holds model/."""

    def make(model: onnx.ModelProto | bytes | None, schema: Any = None, sample: Any = None) -> Path:
        base = tmp_path_factory.mktemp("archive")
        (base / "model").mkdir()
        if model is not None:
            content = model if isinstance(model, bytes) else model.SerializeToString()
            (base / "model/model.onnx").write_bytes(content)
        for name, document in (("schema.json", schema), ("sample.json", sample)):
            if document is not None:
                text = document if isinstance(document, str) else json.dumps(document)
                (base / "model" / name).write_text(text)
        return base

    return make


@pytest.fixture(scope="session")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Start a scorer without waiting for it; all are stopped at the end."""
    if not PYTHON.exists():
        pytest.fail(f"{PYTHON} is missing: install containers/onnx/requirements.txt there")
    started: list[Running] = []

    def start(base: Path, **environ: str) -> Running:
        log_path = tmp_path_factory.mktemp("log") / "stderr"
        started.append(Running(base, log_path, environ))
        return started[-1]

    yield start
    for running in started:
        running.process.terminate()
    for running in started:
        running.stop()


@pytest.fixture(scope="session")
def serve(
    make_archive: Callable[..., Path], launch: Callable[..., Running]
) -> Callable[..., Running]:
    def start(model: Any, schema: Any = None, sample: Any = None, **environ: str) -> Running:
        return launch(make_archive(model, schema, sample), **environ).wait_until_ready()

    return start


@pytest.fixture(scope="session")
def refusal(make_archive: Callable[..., Path]) -> Iterator[Callable[..., str]]:
    """Load a bad archive in the scorer's own interpreter; returns the reason of the refusal.

    One process for all of them: the imports take longer than a load.
    """
    command = [PYTHON, "-c", LOAD_ARCHIVES, MAIN.parent]
    loader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def refuse(model: Any, schema: Any = None, sample: Any = None) -> str:
        loader.stdin.write(f"{make_archive(model, schema, sample)}\n")
        loader.stdin.flush()
        outcome = json.loads(loader.stdout.readline())
        assert "\n" not in outcome["refused"]
        return outcome["refused"]

    yield refuse
    loader.communicate(timeout=30)


def make_graph(nodes: list[Any], inputs: list[Any], outputs: list[Any], tensors: Any = ()) -> Any:
    """Wrap nodes into a model; inputs and outputs are (name, element type, shape)."""
    graph = helper.make_graph(
        [helper.make_node(*node[:3], **(node[3] if len(node) > 3 else {})) for node in nodes],
        "graph",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        [numpy_helper.from_array(array, name) for name, array in tensors],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def make_linear(width: int | None = 3) -> Any:
    return make_graph(
        [("MatMul", ["x", "w"], ["product"]), ("Add", ["product", "b"], ["y"])],
        [("x", TensorProto.FLOAT, [None, width])],
        [("y", TensorProto.FLOAT, [None, 1])],
        [("w", WEIGHTS), ("b", BIAS)],
    )


@pytest.fixture(scope="session")
def models() -> SimpleNamespace:
    """y = 0.5 distance_km - 2 stops + load_kg + 4, and what else a test wants to build."""
    return SimpleNamespace(
        linear=make_linear(),
        open_width=make_linear(width=None),
        graph=make_graph,
        weights=WEIGHTS,
        bias=BIAS,
        eta_schema=ETA_SCHEMA,
        city_schema=CITY_SCHEMA,
        float=TensorProto.FLOAT,
        int64=TensorProto.INT64,
        string=TensorProto.STRING,
    )


@pytest.fixture(scope="session")
def trained() -> SimpleNamespace:
    """Models of scikit-learn, each beside its ONNX form; skl2onnx warns about its own imports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tests.containers.onnx.training import train_models  # noqa: PLC0415 - warns

        return train_models()


@pytest.fixture(scope="session")
def eta(serve: Callable[..., Running], models: SimpleNamespace) -> Running:
    """The linear model with a schema; shared by all tests that leave it alive."""
    return serve(models.linear, ETA_SCHEMA, {"instances": [[2.0, 1, 3.0]]})


@pytest.fixture(scope="session")
def city(serve: Callable[..., Running], trained: SimpleNamespace) -> Running:
    """The classifier of a number and a string; shared as eta is."""
    return serve(trained.mixed.onnx, CITY_SCHEMA, [{"distance_km": 1.0, "city": "Bern"}])
