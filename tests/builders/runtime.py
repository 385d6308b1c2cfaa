"""A SageMaker runtime that answers what a test tells it to, over real HTTP.
For answers that no container of ours gives; the endpoints behind it do not exist."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    endpoint: str
    content_type: str
    accept: str
    body: bytes


@dataclass(frozen=True)
class Told:
    """The answer to one invocation; `drop` ends the connection without one."""

    body: bytes = b"{}"
    status: int = 200
    content_type: str = "application/json"
    error: str | None = None
    drop: bool = False


@dataclass
class Runtime:
    """The requests that came, and how the next are answered."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list[Asked])
    answer: Callable[[Asked], Told] = lambda _: Told()

    def fail(self, status: int, error: str, **members: Any) -> None:
        """Answer an error of the service, as botocore reads it."""
        told = Told(json.dumps(members).encode(), status, error=error)
        self.answer = lambda _: told

    def model_error(self, status: int, message: str) -> None:
        """Answer as SageMaker does when the container answered no 2xx."""
        self.fail(
            424,
            "ModelError",
            Message=f"Received server error ({status}) from primary with message {message}",
            OriginalStatusCode=status,
            OriginalMessage=message,
            LogStreamArn="arn:aws:logs:us-east-1:123456789012:log-group:canary",
        )


@contextmanager
def serving() -> Iterator[Runtime]:
    runtime = Runtime()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            content_type, accept = self.headers["Content-Type"], self.headers["Accept"]
            asked = Asked(self.path.split("/")[2], content_type, accept, body)
            runtime.asked.append(asked)
            told = runtime.answer(asked)
            if told.drop:
                self.close_connection = True
                return
            self.send_response(told.status)
            if told.error:
                self.send_header("x-amzn-ErrorType", told.error)
            self.send_header("Content-Type", told.content_type)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    runtime.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield runtime
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
