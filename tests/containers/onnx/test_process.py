"""The process: signals, drain, workers, settings."""

import json
import os
import signal
import socket
import threading
import time

import pytest

HEAD = b"POST /invocations HTTP/1.1\r\nHost: s\r\nContent-Length: 9\r\n\r\n"
BODY = b"[[2,1,3]]"


@pytest.fixture
def start(serve, models):
    return lambda **environ: serve(models.linear, **environ)


def ask_until_told_to_close(running, seen, enough):
    """Keep one connection busy until an answer says that it is the last one."""
    connection = running.connect()
    while True:
        connection.request("POST", "/invocations", BODY, {"Content-Type": "application/json"})
        response = connection.getresponse()
        seen.append((response.status, response.read()))
        if len(seen) >= 200:
            enough.set()
        if response.getheader("Connection") == "close":
            return


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_under_load_loses_no_request(start, workers):
    running, seen, enough = start(SAGEMAKER_MODEL_SERVER_WORKERS=workers), [], threading.Event()
    clients = [
        threading.Thread(target=ask_until_told_to_close, args=(running, seen, enough))
        for _ in range(6)
    ]
    for client in clients:
        client.start()
    assert enough.wait(30)

    code = running.stop()

    for client in clients:
        client.join(30)
    assert code == 0
    assert set(seen) == {(200, b'{"predictions":[6.0]}')}


def test_a_body_still_arriving_at_sigterm_is_awaited_and_answered(start):
    running = start()
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as raw:
        raw.sendall(HEAD + BODY[:4])
        time.sleep(0.1)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.6)
        raw.sendall(BODY[4:])
        received = raw.recv(4096)

    assert b"Connection: close\r\n" in received
    assert received.endswith(b'{"predictions":[6.0]}')
    assert running.process.wait(30) == 0


def test_a_long_batch_at_sigterm_is_answered(start):
    running, answers = start(), []
    rows = [[2, 1, 3]] * 60_000
    client = threading.Thread(target=lambda: answers.append(running.score(rows)))
    client.start()
    time.sleep(0.1)

    code = running.stop()

    client.join(30)
    assert code == 0
    assert answers[0].predictions == [6.0] * 60_000


def test_an_idle_scorer_stops_with_open_connections(start):
    running = start()
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as idle:
        assert running.stop() == 0
        assert idle.recv(1) == b""


def test_ping_is_answered_while_a_long_batch_runs(start):
    running, answers = start(), []
    client = threading.Thread(target=lambda: answers.append(running.score([[2, 1, 3]] * 60_000)))
    client.start()

    pings = [running.call("GET", "/ping").status for _ in range(20)]

    client.join(30)
    assert pings == [200] * 20
    assert len(answers[0].predictions) == 60_000


def read_workers(running):
    lines = [json.loads(line) for line in running.log.splitlines()]
    return [line["worker"] for line in lines if line["message"] == "scorer_started"]


def wait_for_workers(running, count):
    for _ in range(1500):
        if len(workers := read_workers(running)) == count:
            return workers
        time.sleep(0.02)
    raise AssertionError(running.log)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_alone_is_replaced(start, end):
    running = start(SAGEMAKER_MODEL_SERVER_WORKERS="2")
    first, _ = wait_for_workers(running, 2)

    os.kill(first, end)
    *_, successor = wait_for_workers(running, 3)

    assert successor != first
    assert [running.score([[2, 1, 3]]).predictions for _ in range(20)] == [[6.0]] * 20
    assert running.stop() == 0


def test_a_worker_that_cannot_start_again_ends_them_all(start, make_archive, launch, models):
    base = make_archive(models.linear)
    running = launch(base, SAGEMAKER_MODEL_SERVER_WORKERS="2").wait_until_ready()
    first, _ = wait_for_workers(running, 2)
    (base / "model/model.onnx").write_bytes(b"rotten")

    os.kill(first, signal.SIGKILL)

    assert running.process.wait(30) == 1
    assert "a worker could not start" in running.log


def test_workers_do_not_outlive_their_parent(start):
    running = start(SAGEMAKER_MODEL_SERVER_WORKERS="2")
    wait_for_workers(running, 2)

    running.process.kill()
    running.process.wait(30)

    for _ in range(1500):
        if running.log.count("drain_ended") == 2:
            break
        time.sleep(0.02)
    with pytest.raises(ConnectionRefusedError):
        running.call("GET", "/ping")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_bad_models_end_the_process_whatever_the_workers(make_archive, launch, workers):
    running = launch(make_archive(b"rotten"), SAGEMAKER_MODEL_SERVER_WORKERS=workers)

    assert running.process.wait(30) == 1
    refusals = [line for line in running.log.splitlines() if "model_refused" in line]
    assert "model.onnx does not load" in refusals[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0"),
        ("SAGEMAKER_BIND_TO_PORT", "http"),
        ("SCORER_THREADS", "-1"),
    ],
)
def test_a_setting_that_cannot_be_meant_ends_the_process(launch, make_archive, name, value):
    running = launch(make_archive(None), **{name: value})

    assert running.process.wait(30) == 2
    assert f"{name} is '{value}'" in running.log


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_ends_the_process(eta, launch, make_archive, models, workers):
    running = launch(
        make_archive(models.linear),
        SAGEMAKER_BIND_TO_PORT=str(eta.port),
        SAGEMAKER_MODEL_SERVER_WORKERS=workers,
    )

    assert running.process.wait(30) == 2
    assert "Address already in use" in running.log
