"""Measures how containers/ppo serves, beside Flask + gunicorn + gevent with the same predictor and
beside a bare asyncio reply that reads and computes nothing. Run as `python -m bench.ppo_serving`.
Judges only cost: the tests judge the answers."""

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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.onnx_scorer import Figures, Server, read_cpu_s

ROOT = Path(__file__).resolve().parents[1]
CONTAINER = ROOT / "containers/ppo"
SERVE = CONTAINER / "requirements-serve.txt"
OURS_VENV = ROOT / ".local/venv/ppo-serve"
PEERS_VENV = ROOT / ".local/venv/bench-ppo"
PEERS = [ROOT / "bench/requirements.txt", ROOT / "bench/requirements-ppo.txt", SERVE]
LEAST_CHEAPER = 5.0
"""CPU of a request of Flask + gunicorn + gevent, over ours."""
MOST_DEARER = 8.0
"""CPU of a request of ours, over the bare reply's."""
MOST_MB = 150.0
MOST_START_S = 1.5
ROUNDS = 3
STARTS = 5
QUESTION = (
    '{"state": {"incident": "Database latency spike", "severity": "sev-2",'
    ' "symptoms": ["db_latency"], "actions_taken": []},'
    ' "proposedAction": {"type": "SCALE_K8S", "params": {"replicas": 3}}}'
)

MAKE_ARTIFACT = """
import pathlib, sys
sys.path[:0] = sys.argv[1:3]
import builders
builders.write_artifact(pathlib.Path(sys.argv[3]))
"""
FLASK_APP = """
import os, pathlib, sys
sys.path.insert(0, os.environ["CONTAINER"])
import msgspec
from flask import Flask, Response, jsonify, request
from reward import artifact, questions
from reward.predictor import Predictor

predictor = Predictor(artifact.load(pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model"))
app = Flask(__name__)

@app.get("/ping")
def ping():
    return Response(status=200)

@app.post("/invocations")
def invocations():
    if request.content_type != "application/json":
        return Response("JSON only", status=415, mimetype="text/plain")
    answer = predictor.answer_one(questions.read_question(request.get_json()))
    return jsonify(msgspec.to_builtins(answer))
"""
BARE_REPLY = """
import asyncio, os, sys
import uvloop

ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: 700\\r\\n\\r\\n"
ANSWER += b" " * 700

class Reply(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(ANSWER)

async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Reply, "127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
    await server.serve_forever()

uvloop.run(main())
"""


@dataclass(frozen=True)
class Contender:
    """command: of a number of workers and a port."""

    name: str
    command: Callable[[int, int], list[str]]
    workers: tuple[int, ...] = (1, 2)


CONTENDERS = (
    Contender(
        "ours", lambda workers, port: [python_of(OURS_VENV), f"{CONTAINER}/main.py", "serve"]
    ),
    Contender(
        "flask+gunicorn gevent",
        lambda workers, port: [
            *(python_of(PEERS_VENV), "-m", "gunicorn", "-w", str(workers), "-k", "gevent"),
            *("-b", f"127.0.0.1:{port}", "--log-level", "error", "flask_app:app"),
        ],
    ),
    Contender("bare asyncio reply", lambda *_: [python_of(OURS_VENV), "bare_reply.py"], (1,)),
)
Case = tuple[str, int, int]
"""Contender, workers, connections."""


def python_of(venv: Path) -> str:
    return str(venv / "bin/python")


def prepare_venv(venv: Path, requirements: list[Path]) -> None:
    """Install once, and again from nothing when a pin changes."""
    wanted = "".join(path.read_text() for path in requirements)
    stamp = venv / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    files = [argument for path in requirements for argument in ("-r", str(path))]
    subprocess.run([python_of(venv), "-m", "pip", "install", "-q", *files], check=True)
    stamp.write_text(wanted)


def measure_installed_mb() -> float:
    """Of what requirements-serve.txt brings; pip itself never gets into the image."""
    (site,) = OURS_VENV.glob("lib/python*/site-packages")
    return (
        sum(
            path.stat().st_size
            for package in site.iterdir()
            if not package.name.startswith(("pip", "setuptools"))
            for path in (package, *package.rglob("*"))
            if path.is_file()
        )
        / 1e6
    )


def start(contender: Contender, workers: int, base: Path) -> Server:
    """Start and wait until /ping answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {
        **os.environ,
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_MODEL_SERVER_WORKERS": str(workers),
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "ERROR",
        "CONTAINER": str(CONTAINER),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = contender.command(workers, port)
    process = subprocess.Popen(command, env=environ, cwd=base, stderr=subprocess.DEVNULL)
    give_up_at_s = time.monotonic() + 30
    while time.monotonic() < give_up_at_s:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping"):
                return Server(process, port)
        except OSError:
            time.sleep(0.01)
    process.kill()
    raise SystemExit(f"{contender.name} did not start")


def stop(servers: list[Server]) -> None:
    for server in servers:
        server.process.send_signal(signal.SIGTERM)
    for server in servers:
        server.process.wait(40)


def measure_start_s(base: Path) -> float:
    """Best of several, from the fork to the first 200 on /ping."""
    found = []
    for _ in range(STARTS):
        began_s = time.monotonic()
        server = start(CONTENDERS[0], 1, base)
        found.append(time.monotonic() - began_s)
        stop([server])
    return min(found)


def measure(server: Server, connections: int, seconds: float) -> Figures:
    load = [python_of(OURS_VENV), str(ROOT / "bench/http_load.py"), str(server.port)]
    before_s = read_cpu_s(server.process.pid)
    done = subprocess.run(
        [*load, str(connections), str(seconds)],
        input=QUESTION.encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)
    cpu_us = (read_cpu_s(server.process.pid) - before_s) / found["requests"] * 1e6
    if found["errors"]:
        raise SystemExit(f"{found['errors']:.0f} answers were no 200")
    return Figures(found["requests_s"], found["p50_ms"], found["p99_ms"], cpu_us, 0)


def compare(seconds: float, base: Path) -> dict[Case, Figures]:
    """Alternate the servers in short rounds and keep each one's cheapest, so that a busy moment of
    the machine does not fall on one of them alone."""
    rounds_by_case: dict[Case, list[Figures]] = {}
    for workers in (1, 2):
        taking_part = [one for one in CONTENDERS if workers in one.workers]
        servers = {one.name: start(one, workers, base) for one in taking_part}
        time.sleep(0.5)  # the other workers start meanwhile
        try:
            for connections, _, name in itertools.product((1, 16), range(ROUNDS), servers):
                figures = measure(servers[name], connections, seconds)
                rounds_by_case.setdefault((name, workers, connections), []).append(figures)
        finally:
            stop(list(servers.values()))
    return {
        case: min(rounds, key=lambda figures: figures.cpu_us)
        for case, rounds in rounds_by_case.items()
    }


def print_table(found: dict[Case, Figures]) -> None:
    columns = f"{'workers':>7} {'conns':>5} {'CPU us':>7} {'req/s':>7} {'p50 ms':>7} {'p99 ms':>7}"
    print(f"{'server':<22} {columns} {'theirs/ours CPU':>16}")
    for (name, workers, connections), own in found.items():
        ratio = own.cpu_us / found["ours", workers, connections].cpu_us
        print(
            f"{name:<22} {workers:>7} {connections:>5} {own.cpu_us:>7.1f} {own.requests_s:>7.0f} "
            f"{own.p50_ms:>7.2f} {own.p99_ms:>7.2f} {ratio:>15.2f}x"
        )


def judge(found: dict[Case, Figures], *, installed_mb: float, start_s: float) -> int:
    """Return the number of floors that are missed."""
    flask, ours, bare = (found[one.name, 1, 16].cpu_us for one in (CONTENDERS[1], *CONTENDERS[::2]))
    figures = (
        ("CPU of Flask's stack over ours, at least", flask / ours, LEAST_CHEAPER, "x"),
        ("CPU of ours over the bare reply's, at most", ours / bare, MOST_DEARER, "x"),
        ("serving's packages, at most", installed_mb, MOST_MB, " MB"),
        ("start to the first 200 on /ping, at most", start_s, MOST_START_S, " s"),
    )
    missed = 0
    print()
    for what, value, bound, unit in figures:
        holds = value >= bound if what.endswith("least") else value <= bound
        missed += not holds
        verdict = "holds" if holds else "IS MISSED"
        print(f"{what} {bound:g}{unit}: {value:.2f}{unit}, {verdict}")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.6, help="of each of 30 short rounds")
    seconds = parser.parse_args().seconds
    prepare_venv(OURS_VENV, [SERVE])
    prepare_venv(PEERS_VENV, PEERS)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "flask_app.py").write_text(FLASK_APP)
        (base / "bare_reply.py").write_text(BARE_REPLY)
        paths = [str(CONTAINER), str(ROOT / "tests/containers/ppo"), str(base / "model")]
        subprocess.run([python_of(OURS_VENV), "-c", MAKE_ARTIFACT, *paths], check=True)
        print(f"one question ({len(QUESTION)} B) to a model of 60 features, 8 actions, 800 pairs;")
        print(f"{os.cpu_count()} CPUs shared with the load client; cheapest of {ROUNDS} rounds\n")
        start_s = measure_start_s(base)
        found = compare(seconds, base)
    print_table(found)
    return int(judge(found, installed_mb=measure_installed_mb(), start_s=start_s) > 0)


if __name__ == "__main__":
    sys.exit(main())
