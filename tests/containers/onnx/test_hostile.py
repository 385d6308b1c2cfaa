"""Bytes that mean harm: each gets a clear 4xx, and the next caller gets an answer."""

import socket

import pytest

POST = b"POST /invocations HTTP/1.1\r\nHost: scorer\r\n"
MIB = 2**20


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid-json"),
        (b"{", 400, "invalid-json"),
        (b"[[1,2,3]] x", 400, "invalid-json"),
        (b"[[NaN,1,2]]", 400, "invalid-json"),
        (b"[[-Infinity,1,2]]", 400, "invalid-json"),
        (b"[[1,2,3],]", 400, "invalid-json"),
        (b"[[01,2,3]]", 400, "invalid-json"),
        (b"\xef\xbb\xbf[[1,2,3]]", 400, "invalid-json"),
        (b"\x80\x04\x95.", 400, "invalid-utf8"),
        (b'[["\xff",2,3]]', 400, "invalid-utf8"),
        (b"[" * 200_000, 400, "invalid-json"),
        (b'{"instances":' * 100_000, 400, "invalid-json"),
        (b"[[" + b"9" * 100_000 + b",1,2]]", 400, "invalid-json"),
        (b"null", 422, "invalid-instances"),
        (b'"instances"', 422, "invalid-instances"),
        (b'{"instances":{"0":[1,2,3]}}', 422, "invalid-instances"),
        (b'{"\\ud800":[[1,2,3]]}', 422, "invalid-instances"),
        (b'{"' + b"k" * MIB + b'":1}', 422, "invalid-instances"),
        (b"[[" + b"1," * MIB + b"1]]", 422, "invalid-instances"),
        (b'[{"__proto__":1,"__class__":2}]', 422, "invalid-instances"),
    ],
)
def test_a_hostile_json_body_is_refused(eta, body, status, code):
    answer = eta.score_bytes(body)

    assert (answer.status, answer.code) == (status, code)
    assert len(answer.body) < 8192


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'"1,2,3', "invalid-csv"),
        (b"1,2,\xff", "invalid-utf8"),
        (b"1,2,\x003", "invalid-instances"),
        (b"=cmd(),2,3", "invalid-instances"),
        (b"1" * 200_000 + b",2,3", "invalid-csv"),
    ],
)
def test_a_hostile_csv_body_is_refused(eta, body, code):
    assert eta.score_bytes(body, "text/csv").code == code


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /ping HTTP/9.9\r\n\r\n", 400),
        (b"GET ping HTTP/1.1\r\nHost: s\r\n\r\n", 400),
        (b"GET /ping\x00 HTTP/1.1\r\nHost: s\r\n\r\n", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n[[1]]x", 400),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (POST + b"Bad Header: x\r\n\r\n", 400),
        (POST + b"Expect: a-miracle\r\nContent-Length: 1\r\n\r\n1", 417),
        (POST + b"Content-Length: 6291457\r\n\r\n", 413),
        (POST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
        (POST + b"X: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (POST + b"X: 1\r\n" * 5000 + b"\r\n", 431),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
    ],
)
def test_a_request_that_breaks_http_or_its_limits_is_refused(eta, request_bytes, status):
    received = eta.exchange(request_bytes, close=False)

    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/problem+json" in received
    assert b"Connection: close" in received
    assert eta.call("GET", "/ping").status == 200


def test_a_header_that_never_ends_is_cut_off(eta):
    with socket.create_connection(("127.0.0.1", eta.port), timeout=30) as raw:
        raw.sendall(b"GET /ping HTTP/1.1\r\nX: ")
        for _ in range(20):
            raw.sendall(b"a" * 1024)
        assert raw.recv(1024).startswith(b"HTTP/1.1 431 ")


def test_a_chunked_body_cannot_grow_beyond_the_limit(eta):
    chunk = b"100000\r\n" + b" " * MIB + b"\r\n"

    received = eta.exchange(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 7, close=False)

    assert received.startswith(b"HTTP/1.1 413 ")


def test_the_largest_body_sagemaker_sends_is_taken(eta):
    body = b"[[2, 1, 3]]".ljust(6 * MIB)

    assert eta.score_bytes(body).predictions == [6.0]


def test_a_refused_body_does_not_spoil_the_connection(eta):
    bad = POST + b"Content-Length: 1\r\n\r\n{"
    good = POST + b"Content-Length: 9\r\n\r\n[[2,1,3]]"

    received = eta.exchange(bad + good)

    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.endswith(b'{"predictions":[6.0]}')


def test_a_client_that_leaves_in_the_middle_harms_nobody(eta):
    for part in (b"", b"POST", POST, POST + b"Content-Length: 99\r\n\r\n[["):
        with socket.create_connection(("127.0.0.1", eta.port), timeout=30) as raw:
            raw.sendall(part)

    assert eta.score([[2, 1, 3]]).predictions == [6.0]
