"""The server's own HTTP at its edges, over a plain socket.
What boto3 sends is covered elsewhere."""

import socket
from urllib.parse import urlsplit

import pytest

HEAD = b"POST /_control/clock HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def talk(shared_bench):
    address = urlsplit(shared_bench.server.url)

    def send(message):
        with socket.create_connection((address.hostname, address.port), timeout=10) as peer:
            peer.sendall(message)
            peer.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: peer.recv(65536), b""))

    return send


def test_a_chunked_body_is_read(talk):
    chunks = b'5\r\n{"adv\r\na\r\nance_s":0}\r\n0\r\n\r\n'

    answer = talk(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)

    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_expects_it_is_told_to_continue(talk):
    answer = talk(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}")

    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_two_requests_share_a_connection(talk):
    request = b"GET /_control/health HTTP/1.1\r\nHost: x\r\n\r\n"

    assert talk(request + request).count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    "message", [b"hello\r\n\r\n", HEAD + b"no colon\r\n\r\n", HEAD + b"Content-Length: -1\r\n\r\n"]
)
def test_what_is_not_http_gets_no_answer(talk, message):
    assert talk(message) == b""


def test_an_unknown_path_is_not_found(talk):
    assert talk(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 404")
