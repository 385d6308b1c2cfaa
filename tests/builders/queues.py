"""An SQS that takes what a test lets it take, over real HTTP, and keeps what was sent.
For queues that are slow, refuse or die; ordinary ones are the offline cloud's."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chalicelib.experiments.events import Batch, Event


@dataclass
class Queue:
    """The calls that came, and what becomes of the next: an HTTP status, or 0 for no answer."""

    url: str = ""
    calls: list[list[str]] = field(default_factory=list[list[str]])
    """The message bodies of each call that was answered with 200."""
    take: Callable[[], int] = lambda: 200

    @property
    def events(self) -> list[Event]:
        return [event for call in self.calls for body in call for event in _events(body)]

    def of_kind(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]

    @property
    def copies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for call in self.calls for body in call if '"reply"' in body]


def _events(body: str) -> list[Event]:
    return [] if '"reply"' in body else Batch.model_validate_json(body).events


@contextmanager
def serving() -> Iterator[Queue]:
    queue = Queue()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            entries = asked.get("Entries", [{**asked, "Id": "0"}])
            status = queue.take()
            if status == 0:
                self.close_connection = True
                return
            if status == 200:
                queue.calls.append([entry["MessageBody"] for entry in entries])
            taken = [{"Id": entry["Id"], "MessageId": "m"} for entry in entries]
            answer = {"Successful": taken, "MessageId": "m"} if status == 200 else {}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    queue.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield queue
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sqs_event(*bodies: str) -> dict[str, Any]:
    """As Lambda is given it (Lambda developer guide, "Using Lambda with Amazon SQS"); the ids of
    the messages are m0, m1 and so on."""
    records = [
        {
            "messageId": f"m{number}",
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183"},
            "messageAttributes": {},
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:shadows",
            "awsRegion": "us-east-1",
        }
        for number, body in enumerate(bodies)
    ]
    return {"Records": records}


def failed_ids(answer: Any) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
