"""Bodies and requests that mean harm: each a clean refusal, and the next request answered."""

import json
import socket

import pytest
from builders import GUIDE

TEXT = json.dumps(GUIDE)
MOST_BYTES = 6 * 1024 * 1024


def swap(old, new):
    assert old in TEXT
    return TEXT.replace(old, new).encode()


BODIES = {
    "nothing": (b"", "invalid-json"),
    "white space": (b" \n", "invalid-json"),
    "no JSON": (b"hello", "invalid-json"),
    "half a document": (TEXT[:60].encode(), "invalid-json"),
    "two documents": (TEXT.encode() * 2, "invalid-json"),
    "a trailing comma": (swap('"replicas": 3}', '"replicas": 3,}'), "invalid-json"),
    "single quotes": (TEXT.replace('"', "'").encode(), "invalid-json"),
    "a comment": (b"/* */" + TEXT.encode(), "invalid-json"),
    "a byte order mark": (b"\xef\xbb\xbf" + TEXT.encode(), "invalid-json"),
    "UTF-16": (TEXT.encode("utf-16"), "invalid-json"),
    "a byte that is no UTF-8": (swap("sev-2", "sev-%").replace(b"%", b"\xff"), "invalid-utf8"),
    "NUL bytes": (b"\0" * 100, "invalid-json"),
    "a lone surrogate": (swap("sev-2", "\\ud800"), "invalid-json"),
    "a raw surrogate": (swap("sev-2", "%").replace(b"%", b"\xed\xa0\x80"), "invalid-utf8"),
    "a raw line break in a string": (swap("sev-2", "sev\n2"), "invalid-json"),
    "deep arrays": (b"[" * 100_000, "invalid-json"),
    "deep objects": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "invalid-json"),
    "deep details": (
        swap('"actions_taken": []', '"x": ' + "[" * 5_000 + "]" * 5_000),
        "invalid-json",
    ),
    "NaN": (swap("3}", "NaN}"), "invalid-json"),
    "Infinity": (swap("3}", "-Infinity}"), "invalid-json"),
    "a float that overflows": (swap("3}", "1e999}"), "invalid-json"),
    "an integer of 5,000 digits": (swap("3}", "1" * 5_000 + "}"), "invalid-json"),
    "an integer of 300 digits": (swap("3}", "1" * 300 + "}"), "invalid-question"),
    "a huge number": (swap("3}", "1e13}"), "invalid-question"),
    "a huge negative number": (swap("3}", "-1e300}"), "invalid-question"),
    "null": (b"null", "invalid-question"),
    "a number": (b"42", "invalid-question"),
    "a string": (b'"state"', "invalid-question"),
    "an array": (b"[]", "invalid-question"),
    "an empty object": (b"{}", "invalid-question"),
    "no state": (b'{"proposedAction": {"type": "SCALE_K8S"}}', "invalid-question"),
    "a state that is a list": (b'{"state": []}', "invalid-question"),
    "no incident": (b'{"state": {"severity": "sev-1"}}', "invalid-question"),
    "an incident of a megabyte": (swap("Database", "D" * 2**20), "invalid-question"),
    "a severity that is a number": (swap('"sev-2"', "2"), "invalid-question"),
    "taken actions that are one": (swap("[]", '"DIAGNOSE"'), "invalid-question"),
    "a thousand taken actions": (swap("[]", json.dumps(["A"] * 1000)), "invalid-question"),
    "a thousand symptoms": (
        swap('"actions_taken": []', '"symptoms": ' + json.dumps(["a"] * 1000)),
        "invalid-question",
    ),
    "a thousand details": (
        swap('"actions_taken": []', json.dumps({f"d{i}": i for i in range(1000)})[1:-1]),
        "invalid-question",
    ),
    "an object as a detail": (swap('"actions_taken": []', '"x": {"y": 1}'), "invalid-question"),
    "an action that is a string": (
        swap('{"type": "SCALE_K8S",', '"x", "y": {'),
        "invalid-question",
    ),
    "an unknown action": (swap("SCALE_K8S", "__import__('os')"), "unknown-action"),
    "parameters that are a list": (swap('{"replicas": 3}', "[3]"), "invalid-question"),
    "a parameter that is null": (swap("3}", "null}"), "invalid-question"),
    "an unknown member": (b'{"pickle": 1, ' + TEXT[1:].encode(), "invalid-question"),
    "both questions": (
        b'{"proposedActions": [{"type": "X"}], ' + TEXT[1:].encode(),
        "invalid-question",
    ),
    "no actions to rank": (
        swap('"proposedAction": {', '"proposedActions": [], "a": {'),
        "invalid-question",
    ),
    "201 actions": (
        json.dumps(
            {"state": GUIDE["state"], "proposedActions": [{"type": "ESCALATE"}] * 201}
        ).encode(),
        "invalid-question",
    ),
    "no instances": (b'{"instances": []}', "invalid-question"),
    "instances that are one": (b'{"instances": ' + TEXT.encode() + b"}", "invalid-question"),
    "instances and a state": (
        b'{"instances": [' + TEXT.encode() + b'], "state": {}}',
        "invalid-question",
    ),
    "instances within instances": (b'{"instances": [{"instances": [1]}]}', "invalid-question"),
    "10,001 instances": (
        b'{"instances": [' + b",".join([TEXT.encode()] * 10_001) + b"]}",
        "invalid-question",
    ),
    "300,200 actions": (
        b'{"instances": ['
        + b",".join(
            [
                b'{"state": {"incident": "database", "severity": "sev-1"}, "proposedActions": ['
                + b",".join([b'{"type":"ESCALATE"}'] * 200)
                + b"]}"
            ]
            * 1501
        )
        + b"]}",
        "too-large",
    ),
    "a key twice": (swap('"severity"', '"severity": "sev-1", "severity"'), "duplicate-key"),
    "an action twice": (
        TEXT[:-1].encode() + b', "proposedAction": {"type": "DIAGNOSE"}}',
        "duplicate-key",
    ),
    "a parameter twice": (swap("3}", '3, "replicas": 4}'), "duplicate-key"),
    "a key twice behind an escaped colon": (
        swap('Database latency spike", ', 'Database \\u003a spike", "severity": "sev-1", '),
        "duplicate-key",
    ),
    "a key twice by an escape": (
        swap('"severity"', '"sever\\u0069ty": "sev-1", "severity"'),
        "duplicate-key",
    ),
    "a key twice in a batch": (
        b'{"instances": [' + swap('"severity"', '"severity": "sev-1", "severity"') + b"]}",
        "duplicate-key",
    ),
    "a pickle": (b"\x80\x04\x95\x1a\x00\x00\x00cposix\nsystem\n", "invalid-json"),
}


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_hostile_body_is_refused_and_the_next_request_answered(served, name):
    body, code = BODIES[name]
    connection = served.connect()

    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    problem = json.loads(response.read())

    assert 400 <= response.status < 500
    assert response.getheader("content-type") == "application/problem+json"
    assert problem["type"] == f"/problems/{code}", problem
    assert len(json.dumps(problem)) < 5_000
    if code != "too-large":
        connection.request("POST", "/invocations", TEXT.encode())
        assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_hostile_line_is_refused_by_its_number(served, name):
    body, _ = BODIES[name]
    if b"\n" in body.strip() or not body.strip() or len(body) > 2_000_000:
        body = b"{"

    answer = served.ask_lines(GUIDE, body)

    assert answer.status == 422
    assert answer.json["errors"][0]["at"].startswith("line 2")


REQUESTS = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "HTTP/9.9": (b"GET /ping HTTP/9.9\r\n\r\n", 400),
    "a negative length": (b"POST /invocations HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
    "a length that is no number": (b"POST /invocations HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
    "two lengths": (
        b"POST /invocations HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        400,
    ),
    "a length and chunks": (
        b"POST /invocations HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0",
        400,
    ),
    "a bad chunk": (
        b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        400,
    ),
    "an endless head": (b"GET /ping HTTP/1.1\r\n" + b"A: b\r\n" * 20_000, 431),
    "an endless path": (b"GET /" + b"a" * 100_000, 431),
    "a length that overflows": (
        b"POST /invocations HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        400,
    ),
}


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_a_request_that_is_no_http_is_refused_as_a_problem(served, name):
    data, status = REQUESTS[name]

    received = served.exchange(data)

    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == status
    assert served.call("GET", "/ping").status == 200


def test_a_body_of_exactly_the_limit_is_read(served):
    body = TEXT.encode().ljust(MOST_BYTES)

    assert served.ask(body).status == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit_is_413(served, chunked):
    body = TEXT.encode().ljust(MOST_BYTES + 1)
    headers = {"Transfer_Encoding": "chunked"} if chunked else {}

    answer = served.call("POST", "/invocations", iter([body]) if chunked else body, **headers)

    assert (answer.status, answer.code) == (413, "too-large")
    assert served.ask(GUIDE).status == 200


@pytest.mark.parametrize(
    "head", [b"Content-Length: 9000000000", b"Content-Length: 7000000\r\nExpect: 100-continue"]
)
def test_a_length_above_the_limit_is_refused_before_the_body_comes(served, head):
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as raw:
        raw.sendall(b"POST /invocations HTTP/1.1\r\n" + head + b"\r\n\r\n")

        assert raw.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_chunks_above_the_limit_are_refused_while_they_still_come(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as raw:
        raw.sendall(b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n%b\r\n" % (MOST_BYTES + 1, bytes(MOST_BYTES + 1))
        raw.sendall(chunk)

        assert raw.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_body_longer_than_its_length_ends_the_connection_after_its_answer(served):
    body = TEXT.encode()
    head = b"POST /invocations HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)

    received = served.exchange(head + body + b"and more\r\n\r\n")

    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"HTTP/1.1 4") <= 1


def test_a_body_shorter_than_its_length_is_408_in_time(make_base, launch):
    running = launch(make_base(), SAGEMAKER_MODEL_SERVER_TIMEOUT="1").wait_for(200)

    received = running.exchange(b"POST /invocations HTTP/1.1\r\nContent-Length: 99\r\n\r\n{")

    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"/problems/request-timeout" in received


def test_a_client_that_leaves_in_the_middle_harms_nobody(served):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", served.port), timeout=30) as raw:
            raw.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 500\r\n\r\n{")

    assert served.ask(GUIDE).status == 200


def test_pipelined_requests_are_answered_in_order(served):
    body = TEXT.encode()
    ask = b"POST /invocations HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    received = served.exchange(
        ask + b"GET /nope HTTP/1.1\r\n\r\n" + b"GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n"
    )

    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200"]


def test_an_upgrade_is_not_followed(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as raw:
        raw.sendall(b"GET /ping HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")

        assert raw.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_the_payload_limit_follows_the_setting(make_base, launch):
    running = launch(make_base(), SAGEMAKER_MAX_PAYLOAD_IN_MB="1").wait_for(200)

    assert running.ask(TEXT.encode().ljust(2**20)).status == 200
    assert running.ask(TEXT.encode().ljust(2**20 + 1)).status == 413
    assert running.call("GET", "/execution-parameters").json["MaxPayloadInMB"] == 1


def test_no_hostile_request_left_a_line_of_failure(served):
    assert served.facts("scoring_failed") == []
    assert "Traceback" not in served.log
