"""A container of the standard library that tells what reached it and obeys its body.
Not a scorer: it only stands at SageMaker's contract."""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOCK = threading.Lock()
IN_FLIGHT = {"now": 0, "most": 0}


class Contract(BaseHTTPRequestHandler):
    """GET /ping and POST /invocations."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one packet, or each answer waits 40 ms for an ACK

    def do_GET(self) -> None:
        self.answer(200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        wish: dict[str, Any] = json.loads(body) if body.startswith(b"{") else {}
        with LOCK:
            IN_FLIGHT["now"] += 1
            IN_FLIGHT["most"] = max(IN_FLIGHT.values())
        time.sleep(wish.get("sleep_s", 0))
        with LOCK:
            IN_FLIGHT["now"] -= 1
        if wish.get("die"):
            os._exit(3)
        text = wish.get("say") or json.dumps(self.facts(len(body)))
        self.answer(wish.get("status", 200), text.encode())

    def facts(self, body_bytes: int) -> dict[str, Any]:
        model = Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model"
        return {
            "pid": os.getpid(),
            "body_bytes": body_bytes,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "environment": dict(os.environ),
            "model": {path.name: path.read_text() for path in model.iterdir()},
            "model_mode": oct(model.stat().st_mode & 0o777),
            "most_in_flight": IN_FLIGHT["most"],
        }

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", self.headers.get("Accept", "application/json"))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "from-container")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    assert sys.argv[1:] == ["serve"]
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    address = (os.environ["SCORER_BIND_HOST"], int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
    server = ThreadingHTTPServer(address, Contract)
    server.request_queue_size = 128
    server.serve_forever()
