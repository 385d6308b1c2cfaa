"""The process: refused artifacts, settings, users, signals, drain, workers."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from builders import GUIDE, make_model, write_artifact

BODY = json.dumps(GUIDE).encode()
HEAD = b"POST /invocations HTTP/1.1\r\nHost: s\r\nContent-Length: %d\r\n\r\n" % len(BODY)


def ask_until_told_to_close(running, seen, enough):
    """Keep one connection busy until an answer says that it is the last one."""
    connection = running.connect()
    while True:
        connection.request("POST", "/invocations", BODY, {"Content-Type": "application/json"})
        response = connection.getresponse()
        seen.append((response.status, json.loads(response.read())["reward"]))
        if len(seen) >= 200:
            enough.set()
        if response.getheader("Connection") == "close":
            return


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_under_load_loses_no_request(make_base, launch, workers):
    running = launch(make_base(), SAGEMAKER_MODEL_SERVER_WORKERS=workers).wait_for(200)
    seen, enough = [], threading.Event()
    clients = [
        threading.Thread(target=ask_until_told_to_close, args=(running, seen, enough))
        for _ in range(8)
    ]
    for client in clients:
        client.start()
    assert enough.wait(30)

    code = running.stop()

    for client in clients:
        client.join(30)
    assert code == 0
    assert set(seen) == {seen[0]}
    assert seen[0][0] == 200
    assert running.facts("requests_abandoned") == []


def test_a_body_still_arriving_at_sigterm_is_awaited_and_answered(make_base, launch):
    running = launch(make_base()).wait_for(200)
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as raw:
        raw.sendall(HEAD + BODY[:4])
        time.sleep(0.1)
        running.process.send_signal(signal.SIGTERM)
        running.wait_for_facts("drain_started", 1)
        time.sleep(0.6)
        raw.sendall(BODY[4:])
        received = raw.recv(65536)

    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in received
    assert running.process.wait(30) == 0


def test_a_long_batch_at_sigterm_is_answered(make_base, launch):
    running, answers = launch(make_base()).wait_for(200), []
    client = threading.Thread(target=lambda: answers.append(running.ask_lines(*[BODY] * 5_000)))
    client.start()
    time.sleep(0.3)

    code = running.stop()

    client.join(30)
    assert code == 0
    assert len(answers[0].lines) == 5_000


def test_an_idle_process_stops_with_open_connections(make_base, launch):
    running = launch(make_base()).wait_for(200)
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as idle:
        assert running.stop() == 0
        assert idle.recv(1) == b""


def test_sigterm_while_loading_ends_the_process(make_base, launch):
    running = launch(make_base())
    time.sleep(0.2)

    assert running.stop() in (0, -signal.SIGTERM)


def test_ping_is_answered_while_a_long_batch_runs(served):
    answers = []
    client = threading.Thread(target=lambda: answers.append(served.ask_lines(*[BODY] * 5_000)))
    client.start()

    pings = [served.call("GET", "/ping").status for _ in range(20)]

    client.join(60)
    assert pings == [200] * 20
    assert answers[0].status == 200


def add_code(folder):
    (folder / "inference.py").write_text("print(1)")


def cut_weights(folder):
    os.truncate(folder / "weights.safetensors", 1000)


def remove_all(folder):
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def swap_for_a_pickle(folder):
    (folder / "manifest.json").write_bytes(b"\x80\x04\x95cposix\nsystem\n")


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (add_code, "'inference.py' does not belong to the artifact"),
        (cut_weights, "weights.safetensors has 1000 bytes"),
        (remove_all, "is no folder"),
        (swap_for_a_pickle, "manifest.json is invalid"),
    ],
)
def test_a_broken_artifact_never_passes_ping_and_says_why(
    make_base, launch, fault, sentence, workers
):
    running = launch(make_base(fault), SAGEMAKER_MODEL_SERVER_WORKERS=workers).wait_for(503)

    ping, invocation = running.call("GET", "/ping"), running.ask(GUIDE)

    assert (ping.code, invocation.status, invocation.code) == (
        "artifact-refused",
        503,
        "artifact-refused",
    )
    assert sentence in ping.json["detail"]
    assert sentence in running.facts("artifact_refused")[0]["reason"]
    assert sentence in running.facts("ping_refused")[0]["reason"]
    assert running.stop() == 0


def test_a_foreign_artifact_is_refused_by_the_pin(make_base, launch):
    base = make_base(lambda folder: write_artifact(folder, make_model(seed=1)))

    running = launch(base, SOMMELIER_MANIFEST_SHA256="0" * 64).wait_for(503)

    assert "pinned" in running.call("GET", "/ping").json["detail"]


def read_workers(running, count):
    return [line["worker"] for line in running.wait_for_facts("server_started", count)]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_alone_is_replaced(make_base, launch, end):
    running = launch(make_base(), SAGEMAKER_MODEL_SERVER_WORKERS="2").wait_for(200)
    first, _ = read_workers(running, 2)

    os.kill(first, end)
    *_, successor = read_workers(running, 3)

    assert successor != first
    assert [running.ask(GUIDE).status for _ in range(20)] == [200] * 20
    assert running.stop() == 0


def test_workers_that_die_again_and_again_end_the_process(make_base, launch):
    running = launch(make_base(), SAGEMAKER_MODEL_SERVER_WORKERS="2").wait_for(200)

    for count in range(2, 8):
        os.kill(read_workers(running, count)[-1], signal.SIGKILL)

    assert running.process.wait(30) == 1
    assert running.facts("workers_stopped")[0]["reason"] == "too many restarts"


def test_workers_do_not_outlive_their_parent(make_base, launch):
    running = launch(make_base(), SAGEMAKER_MODEL_SERVER_WORKERS="2").wait_for(200)
    read_workers(running, 2)

    running.process.kill()

    running.wait_for_facts("drain_ended", 2)
    with pytest.raises(ConnectionRefusedError):
        running.call("GET", "/ping")


def test_execution_parameters_follow_the_workers(make_base, launch):
    running = launch(make_base(), SAGEMAKER_MODEL_SERVER_WORKERS="2").wait_for(200)

    found = running.call("GET", "/execution-parameters").json

    assert found["MaxConcurrentTransforms"] == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "many"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "1.5"),
        ("SAGEMAKER_BIND_TO_PORT", "http"),
        ("SAGEMAKER_BIND_TO_PORT", "70000"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "soon"),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "LOUD"),
        ("SOMMELIER_MANIFEST_SHA256", "abc"),
    ],
)
def test_a_setting_that_cannot_be_meant_ends_the_process(make_base, launch, name, value):
    running = launch(make_base(), **{name: value})

    assert running.process.wait(30) == 2
    assert f"{name} is '{value}'" in running.facts("start_failed")[0]["reason"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_ends_the_process(served, make_base, launch, workers):
    running = launch(
        make_base(),
        SAGEMAKER_BIND_TO_PORT=str(served.port),
        SAGEMAKER_MODEL_SERVER_WORKERS=workers,
    )

    assert running.process.wait(30) == 2
    assert "Address already in use" in running.facts("start_failed")[0]["reason"]


def test_the_log_level_follows_the_setting(make_base, launch):
    running = launch(make_base(), SAGEMAKER_CONTAINER_LOG_LEVEL="30").wait_for(200)

    running.stop()

    assert running.log == ""


def test_it_serves_from_a_folder_that_nobody_may_write_without_a_home(make_base, launch):
    base = make_base()
    for path in (base / "model").iterdir():
        path.chmod(0o444)
    (base / "model").chmod(0o555)

    running = launch(base, is_nobody=True).wait_for(200)

    assert running.ask(GUIDE).status == 200
    assert os.stat(f"/proc/{running.process.pid}").st_uid != 0
    assert {path.name for path in (base / "model").iterdir()} == {
        "manifest.json",
        "sample.json",
        "weights.safetensors",
    }


def test_serving_imports_nothing_that_only_training_needs():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import serving.run, serving.scorer"
    code += ", serving.server; print(*sorted(sys.modules))"
    container = "containers/ppo"

    ran = subprocess.run(
        [sys.executable, "-c", code, container], capture_output=True, text=True, check=True
    )

    heavy = {"jax", "jaxlib", "optax", "scipy", "sklearn", "gymnasium", "matplotlib", "training"}
    assert not heavy & set(ran.stdout.split())
