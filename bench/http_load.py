"""A closed-loop HTTP load client on raw sockets, run as a process of its own by the benchmarks.
Prints one JSON object: requests, errors, requests_s, p50_ms, p99_ms. Starts no server."""

import asyncio
import json
import sys
import time

import uvloop


class Client(asyncio.Protocol):
    """Sends the next request when the answer is complete; connects anew where it was closed."""

    def __init__(self, load: "Load") -> None:
        self.load, self.received, self.wanted = load, b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent_s = time.perf_counter()
        self.transport.write(self.load.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.wanted:
            head, found, _ = self.received.partition(b"\r\n\r\n")
            if not found:
                return
            lowered = head.lower()
            length = lowered.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self.wanted = len(head) + 4 + int(length)
            self.closes = b"connection: close" in lowered
        if len(self.received) < self.wanted:
            return
        self.load.note(self.received, time.perf_counter() - self.sent_s)
        self.received, self.wanted = b"", 0
        if time.perf_counter() > self.load.end_s:
            self.transport.close()
        elif not self.closes:
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self.load.end_s:
            self.load.connect()
        else:
            self.load.open_count -= 1
            if not self.load.open_count:
                self.load.done.set()


class Load:
    """What all connections of one measurement share."""

    def __init__(self, port: int, seconds: float, request: bytes) -> None:
        self.port, self.request = port, request
        self.end_s = time.perf_counter() + seconds
        self.latencies_s: list[float] = []
        self.errors = self.open_count = 0
        self.done = asyncio.Event()
        self.tasks: set[asyncio.Task] = set()

    def note(self, answer: bytes, latency_s: float) -> None:
        self.latencies_s.append(latency_s)
        self.errors += not answer.startswith(b"HTTP/1.1 200")

    def connect(self) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(
            loop.create_connection(lambda: Client(self), "127.0.0.1", self.port)
        )
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


async def drive(port: int, connections: int, seconds: float, body: bytes) -> dict[str, float]:
    head = b"POST /invocations HTTP/1.1\r\nHost: scorer\r\nContent-Type: application/json\r\n"
    load = Load(port, seconds, head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    load.open_count = connections
    started_s = time.perf_counter()
    for _ in range(connections):
        load.connect()
    await load.done.wait()
    taken_s = time.perf_counter() - started_s
    ordered = sorted(load.latencies_s)
    return {
        "requests": len(ordered),
        "errors": load.errors,
        "requests_s": len(ordered) / taken_s,
        "p50_ms": ordered[len(ordered) // 2] * 1e3,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1e3,
    }


def main(arguments: list[str]) -> None:
    """Arguments: port, connections, seconds; the body to post is read from stdin."""
    port, connections, seconds = int(arguments[0]), int(arguments[1]), float(arguments[2])
    body = sys.stdin.buffer.read()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(drive(port, connections, seconds, body))))


if __name__ == "__main__":
    main(sys.argv[1:])
