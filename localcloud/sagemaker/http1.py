"""HTTP/1.1 by hand, both sides: a thread per connection, keep-alive, one write per message.
The standard library's server and client cost several times more per request. No routing here."""

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from io import BufferedReader
from typing import NamedTuple

from localcloud.sagemaker.wire import DropConnection, Request, Response

MAX_BODY_BYTES = 6_291_456
MAX_HEAD_LINES = 100
MAX_LINE_BYTES = 65_536
CHUNK_BYTES = 65_536


class ProtocolError(Exception):
    """The peer does not speak HTTP/1.1, or closed the connection inside a message."""


class Head(NamedTuple):
    """The first line and the headers of a message, names in lower case."""

    line: str
    headers: dict[str, str]


class Body(NamedTuple):
    """The bytes of a message; empty and too large when the limit was passed."""

    data: bytes
    is_too_large: bool


class Listener:
    """Accepts connections and answers requests until it is closed."""

    def __init__(self, host: str, port: int, answer: Callable[[Request], Response]) -> None:
        self._answer = answer
        self._socket = socket.create_server((host, port), backlog=512)
        self.port: int = self._socket.getsockname()[1]

    def serve(self) -> None:
        """Accept until close() is called from another thread."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def close(self) -> None:
        # accept() wakes up on shutdown, not on close
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _converse(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader: BufferedReader = connection.makefile("rb")
        with connection, reader, contextlib.suppress(OSError, ProtocolError, DropConnection):
            while self._answer_one(connection, reader):
                pass

    def _answer_one(self, connection: socket.socket, reader: BufferedReader) -> bool:
        """Answer one request; false when the connection ends with it."""
        head = read_head(reader)
        if head is None:
            return False
        method, target, version = _split_request_line(head.line)
        if head.headers.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = read_body(reader, head.headers)
        path, _, query = target.partition("?")
        request = Request(method, path, query, head.headers, body.data, body.is_too_large)
        connection.sendall(_encode_response(self._answer(request)))
        is_closing = head.headers.get("connection", "").lower() == "close"
        return version == "HTTP/1.1" and not is_closing


def read_head(reader: BufferedReader) -> Head | None:
    """The next message's first line and headers; None when the peer closed before it."""
    line = reader.readline(MAX_LINE_BYTES)
    if not line:
        return None
    headers: dict[str, str] = {}
    for _ in range(MAX_HEAD_LINES):
        field = reader.readline(MAX_LINE_BYTES)
        if field in (b"\r\n", b"\n"):
            return Head(line.decode("latin-1").rstrip(), headers)
        name, colon, value = field.decode("latin-1").partition(":")
        if not colon:
            raise ProtocolError(f"a header line without a colon: {field!r}")
        headers[name.strip().lower()] = value.strip()
    raise ProtocolError("too many headers")


def read_body(
    reader: BufferedReader, headers: Mapping[str, str], *, limit_bytes: int = MAX_BODY_BYTES
) -> Body:
    """The body of a request; what passes the limit is read away so that the peer can listen."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _read_chunks(reader, limit_bytes=limit_bytes)
    size_bytes = _content_length(headers)
    if size_bytes > limit_bytes:
        _discard(reader, size_bytes)
        return Body(b"", True)
    return Body(_read_exactly(reader, size_bytes), False)


def exchange(
    connection: socket.socket, reader: BufferedReader, message: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Send one request and read its answer: status, headers, body."""
    connection.sendall(message)
    head = read_head(reader)
    if head is None:
        raise ProtocolError("the peer closed the connection without an answer")
    parts = head.line.split(" ", 2)
    if len(parts) < 2 or not parts[1].isdigit():
        raise ProtocolError(f"not a status line: {head.line!r}")
    if "content-length" not in head.headers and "transfer-encoding" not in head.headers:
        head.headers["connection"] = "close"
        return int(parts[1]), head.headers, reader.read()
    if parts[0] == "HTTP/1.0":
        head.headers["connection"] = "close"
    body = read_body(reader, head.headers, limit_bytes=1 << 30)
    return int(parts[1]), head.headers, body.data


def encode_request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    fields = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers}
    return _encode(f"{method} {path} HTTP/1.1", fields, body)


def _encode_response(response: Response) -> bytes:
    reason = HTTPStatus(response.status).phrase if response.status in _KNOWN_STATUSES else "Status"
    fields = {"Content-Length": str(len(response.body)), **response.headers}
    return _encode(f"HTTP/1.1 {response.status} {reason}", fields, response.body)


def _encode(first_line: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [first_line, *(f"{name}: {value}" for name, value in headers.items()), "\r\n"]
    return "\r\n".join(lines).encode("latin-1", "replace") + body


def _split_request_line(line: str) -> tuple[str, str, str]:
    parts = line.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise ProtocolError(f"not a request line: {line!r}")
    return parts[0], parts[1], parts[2]


def _content_length(headers: Mapping[str, str]) -> int:
    value = headers.get("content-length", "0")
    if not value.isdigit():
        raise ProtocolError(f"not a content length: {value!r}")
    return int(value)


def _read_exactly(reader: BufferedReader, size_bytes: int) -> bytes:
    data = reader.read(size_bytes)
    if len(data) < size_bytes:
        raise ProtocolError("the peer closed the connection inside a body")
    return data


def _read_chunks(reader: BufferedReader, *, limit_bytes: int) -> Body:
    parts: list[bytes] = []
    total_bytes = 0
    while size_bytes := int(reader.readline(MAX_LINE_BYTES).split(b";")[0].strip() or b"0", 16):
        part = _read_exactly(reader, size_bytes)
        reader.readline(MAX_LINE_BYTES)
        total_bytes += size_bytes
        if total_bytes <= limit_bytes:
            parts.append(part)
    while reader.readline(MAX_LINE_BYTES).strip():
        pass
    is_too_large = total_bytes > limit_bytes
    return Body(b"" if is_too_large else b"".join(parts), is_too_large)


def _discard(reader: BufferedReader, size_bytes: int) -> None:
    while size_bytes > 0:
        part = reader.read(min(size_bytes, CHUNK_BYTES))
        if not part:
            raise ProtocolError("the peer closed the connection inside a body")
        size_bytes -= len(part)


_KNOWN_STATUSES = frozenset(int(status) for status in HTTPStatus)
