"""Measures containers/onnx beside Flask + gunicorn on the same onnxruntime session, in one run.
Run as `python -m bench.onnx_scorer`. Judges only speed; the tests judge the answers."""

import argparse
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".local/venv/bench"
PYTHON = VENV / "bin/python"
REQUIREMENTS = (ROOT / "bench/requirements.txt", ROOT / "containers/onnx/requirements.txt")
FEATURES, HIDDEN = 20, 64
FLOOR = 3.0
"""Least ratio of requests a second to each peer, on one worker and 16 connections."""
NAMES = ("ours", "flask+gunicorn gevent", "flask+gunicorn sync")
ROUNDS = 4
CLOCK_HZ = os.sysconf("SC_CLK_TCK")

PEER_APP = """
import os

import numpy as np
import onnxruntime
from flask import Flask, Response, jsonify, request

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL_PATH"], options)
app = Flask(__name__)


@app.get("/ping")
def ping():
    return Response(status=200)


@app.post("/invocations")
def invocations():
    if request.content_type != "application/json":
        return Response("JSON only", status=415, mimetype="text/plain")
    rows = np.array(request.get_json()["instances"], dtype=np.float32)
    outputs = session.run(None, {"x": rows})[0]
    return jsonify(predictions=outputs.ravel().tolist())
"""


@dataclass(frozen=True)
class Figures:
    """One measurement; latencies are seen by the client, CPU is that of the server's processes."""

    requests_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    errors: int


# The servers.


@dataclass(frozen=True)
class Server:
    """A running server; several idle ones side by side cost each other nothing."""

    process: subprocess.Popen[bytes]
    port: int


def build_command(name: str, port: int, workers: int) -> list[str]:
    if name == "ours":
        return [str(PYTHON), str(ROOT / "containers/onnx/main.py"), "serve"]
    kind = name.rpartition(" ")[2]
    flags = f"-w {workers} -k {kind} -b 127.0.0.1:{port} --timeout 60 --log-level error"
    return [str(PYTHON), "-m", "gunicorn", *flags.split(), "peer:app"]


def start_server(name: str, workers: int, base: Path) -> Server:
    """Start and wait until /ping answers; all of them with one onnxruntime thread a worker."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {
        **os.environ,
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_MODEL_SERVER_WORKERS": str(workers),
        "SCORER_THREADS": "1",
        "MODEL_PATH": str(base / "model/model.onnx"),
    }
    command = build_command(name, port, workers)
    process = subprocess.Popen(command, env=environ, cwd=base, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping"):
                time.sleep(0.5)  # the other workers load meanwhile
                return Server(process, port)
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise SystemExit(f"{name} did not start")


def read_cpu_s(root_pid: int) -> float:
    """Sum user and system time of a process and its descendants, from /proc."""
    parent_by_pid, ticks_by_pid = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        pid = int(path.parent.name)
        parent_by_pid[pid], ticks_by_pid[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
    tree = {root_pid}
    while grown := {pid for pid, parent in parent_by_pid.items() if parent in tree} - tree:
        tree |= grown
    return sum(ticks_by_pid.get(pid, 0) for pid in tree) / CLOCK_HZ


def measure(server: Server, connections: int, seconds: float, body: bytes) -> Figures:
    command = [PYTHON, ROOT / "bench/http_load.py", str(server.port), str(connections)]
    before_s = read_cpu_s(server.process.pid)
    done = subprocess.run([*command, str(seconds)], input=body, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    cpu_us = (read_cpu_s(server.process.pid) - before_s) / found["requests"] * 1e6
    return Figures(
        found["requests_s"], found["p50_ms"], found["p99_ms"], cpu_us, int(found["errors"])
    )


# The run.


def prepare_venv() -> None:
    """Install peers and the scorer's requirements once, and again when a pin changes."""
    wanted = "".join(path.read_text() for path in REQUIREMENTS)
    stamp = VENV / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    files = [argument for path in REQUIREMENTS for argument in ("-r", str(path))]
    subprocess.run([str(PYTHON), "-m", "pip", "install", "-q", *files], check=True)
    stamp.write_text(wanted)


def write_archive(base: Path) -> bytes:
    """Write a small network of random weights and the peer's program; returns a request body."""
    import numpy as np  # noqa: PLC0415 - the load client has no need of these
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    random = np.random.default_rng(0)
    shapes = {"w1": (FEATURES, HIDDEN), "b1": (HIDDEN,), "w2": (HIDDEN, 1), "b2": (1,)}
    tensors = [
        numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["hidden"]),
        helper.make_node("Tanh", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "w2", "b2"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, FEATURES])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "network", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (base / "model").mkdir()
    (base / "model/model.onnx").write_bytes(model.SerializeToString())
    (base / "peer.py").write_text(PEER_APP)
    rows = random.normal(size=(1, FEATURES)).round(6).tolist()
    return json.dumps({"instances": rows}).encode()


def compare(seconds: float, body: bytes, base: Path) -> dict[tuple[str, int, int], Figures]:
    """Alternate the servers in short rounds and keep each one's best, so that a busy moment of
    the machine does not fall on one of them alone."""
    rounds_by_case: dict[tuple[str, int, int], list[Figures]] = {}
    for workers in (1, 2):
        servers = {name: start_server(name, workers, base) for name in NAMES}
        try:
            for connections, _, name in itertools.product((1, 16), range(ROUNDS), NAMES):
                figures = measure(servers[name], connections, seconds, body)
                rounds_by_case.setdefault((name, workers, connections), []).append(figures)
        finally:
            for server in servers.values():
                server.process.send_signal(signal.SIGTERM)
            for server in servers.values():
                server.process.wait(40)
    return {
        case: max(rounds, key=lambda figures: figures.requests_s)
        for case, rounds in rounds_by_case.items()
    }


def report(found: dict[tuple[str, int, int], Figures]) -> float:
    """Print the table; returns the least ratio that the floor is about."""
    columns = f"{'workers':>7} {'conns':>5} {'req/s':>8} {'p50 ms':>7} {'p99 ms':>7} {'CPU us':>7}"
    print(f"{'server':<22} {columns} {'ours/theirs req/s':>18} {'theirs/ours CPU':>16} errors")
    ratios = []
    for (name, workers, connections), own in found.items():
        us = found["ours", workers, connections]
        faster, cheaper = us.requests_s / own.requests_s, own.cpu_us / us.cpu_us
        if name != "ours" and (workers, connections) == (1, 16):
            ratios.append(faster)
        print(
            f"{name:<22} {workers:>7} {connections:>5} {own.requests_s:>8.0f} {own.p50_ms:>7.2f} "
            f"{own.p99_ms:>7.2f} {own.cpu_us:>7.1f} {faster:>17.1f}x {cheaper:>15.1f}x "
            f"{own.errors:>6}"
        )
    return min(ratios)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.7, help="of each of 48 short rounds")
    seconds = parser.parse_args().seconds
    prepare_venv()
    with tempfile.TemporaryDirectory() as folder:
        body = write_archive(Path(folder))
        print(
            f"one row of {FEATURES} numbers ({len(body)} B), {os.cpu_count()} CPUs shared with the"
        )
        print(f"load client, which caps what two workers show; best of {ROUNDS} rounds; no nginx\n")
        least = report(compare(seconds, body, Path(folder)))
    verdict = "holds" if least >= FLOOR else "IS MISSED"
    print(f"\nfloor: {FLOOR}x requests/s on 1 worker, 16 connections: {least:.1f}x, {verdict}")
    return 0 if least >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
