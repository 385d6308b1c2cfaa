"""API Gateway's address for people: http://localhost:8000/api/... is the stack's REST API.
It forwards bytes as they are; the emulator's API Gateway makes the Lambda event."""

import argparse
import http.client
import json
import socket
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from localcloud.places import HOST

BODY_LIMIT_BYTES = 10 * 1024 * 1024
"""API Gateway's own limit."""
DISCARD_LIMIT_BYTES = 64 * 1024 * 1024
TIMEOUT_S = 29.0
"""API Gateway's own limit for an integration."""

_HOP_BY_HOP = {
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


class _TooLarge(Exception):
    """The body passes BODY_LIMIT_BYTES."""


class Server(ThreadingHTTPServer):
    """One thread a connection, as the offline cloud has few clients."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, *, aws_port: int, api_id: str, stage: str = "v1") -> None:
        self.aws_port = aws_port
        self.api_host = f"{api_id}.execute-api.localhost:{aws_port}"
        self.stage = stage
        super().__init__((HOST, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    """Forward one connection's requests over one connection to the emulator."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body leave in two writes: 40 ms with Nagle
    _upstream: http.client.HTTPConnection | None = None

    def _forward(self) -> None:
        try:
            body = self._body()
        except _TooLarge:
            self._answer(413, [], json.dumps({"message": "Request Too Long"}).encode())
            self.close_connection = True
            return
        try:
            status, headers, answer = self._asked(body)
        except TimeoutError:
            self._hang_up()
            status, headers = 504, []
            answer = json.dumps({"message": "Endpoint request timed out"}).encode()
        except (http.client.HTTPException, OSError):
            self._hang_up()
            status, headers = 502, []
            answer = json.dumps({"message": "The offline cloud does not answer"}).encode()
        self._answer(status, headers, answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _forward

    def _asked(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Ask the emulator; a reused connection it has closed meanwhile is opened once more."""
        headers = {**self._kept(self.headers.items()), "Host": self.server.api_host}
        headers["X-Forwarded-For"] = self.client_address[0]
        path = f"/{self.server.stage}{self.path}"
        if self._upstream is not None:
            try:
                return self._exchanged(self._upstream, path, body, headers)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self._hang_up()
        self._upstream = http.client.HTTPConnection(HOST, self.server.aws_port, timeout=TIMEOUT_S)
        self._upstream.connect()
        self._upstream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._exchanged(self._upstream, path, body, headers)

    def _exchanged(
        self,
        upstream: http.client.HTTPConnection,
        path: str,
        body: bytes,
        headers: dict[str, str],
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream.request(self.command, path, body, headers)
        response = upstream.getresponse()
        return response.status, response.getheaders(), response.read()

    def _hang_up(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
            self._upstream = None

    def finish(self) -> None:
        """Close both connections together."""
        super().finish()
        self._hang_up()

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(self._chunks())
        size = int(self.headers.get("Content-Length") or 0)
        if size > BODY_LIMIT_BYTES:
            self._discard(min(size, DISCARD_LIMIT_BYTES))
            raise _TooLarge
        return self.rfile.read(size)

    def _discard(self, size: int) -> None:
        """Read a refused body to its end, or the client would see a reset, not the answer."""
        while size > 0 and (read := self.rfile.read(min(size, 1 << 16))):
            size -= len(read)

    def _chunks(self) -> Iterable[bytes]:
        total = 0
        while size := int(self.rfile.readline(1024).partition(b";")[0], 16):
            total += size
            if total > BODY_LIMIT_BYTES:
                raise _TooLarge
            yield self.rfile.read(size)
            self.rfile.readline(2)
        while self.rfile.readline(1024).strip():
            pass

    def _kept(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        return {name: value for name, value in headers if name.lower() not in _HOP_BY_HOP}

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def main() -> None:
    """Serve until a signal ends the process; nothing is kept."""
    parser = argparse.ArgumentParser(prog="python -m localcloud.gateway", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--aws-port", type=int, required=True)
    parser.add_argument("--api-id", required=True)
    options = parser.parse_args()
    Server(options.port, aws_port=options.aws_port, api_id=options.api_id).serve_forever()


if __name__ == "__main__":
    main()
