"""uvicorn's HTTP connection with what it lacks: limits of time and size, problems, a clean end.
The parser is httptools; nothing here reads a byte of a message."""

import asyncio
import fcntl
import math
import termios
from typing import Any

from serving.problems import HeadTooLarge, InvalidHttp, Problem, TooSlow
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MOST_HEAD_BYTES = 64 * 1024
HEAD_S = 10.0
"""From the first byte of a head to its last."""
IDLE_S = 75.0
"""How long a connection may say nothing at all; above the 70 s of SageMaker's own clients."""


class Connection(HttpToolsProtocol):
    """request_s: the longest that a body may take. deadline_s: on the loop's clock."""

    def __init__(self, *arguments: Any, request_s: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._request_s = request_s
        self._is_receiving = self._is_in_head = False
        self._head_bytes = 0
        self.deadline_s = math.inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.deadline_s = self.loop.time() + IDLE_S

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_receiving = self._is_in_head = True
        self._head_bytes = 0
        self.deadline_s = self.loop.time() + HEAD_S

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._is_in_head = False
        self.deadline_s = self.loop.time() + self._request_s

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_receiving = False
        self.deadline_s = math.inf

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(HeadTooLarge(f"the head has more than {MOST_HEAD_BYTES} bytes"))

    def expire(self) -> None:
        """End a connection whose deadline has passed."""
        if self._is_receiving:
            self._refuse(
                TooSlow(f"{'head' if self._is_in_head else 'body'} did not arrive in time")
            )
        elif not self._is_answering:
            self.transport.close()

    def end_if_idle(self) -> None:
        """Close unless a request is on its way, even in the kernel's buffer, or being answered."""
        if not (self._is_receiving or self._is_answering or self._has_unread()):
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidHttp(msg))

    @property
    def _is_answering(self) -> bool:
        return bool(self.pipeline) or not (self.cycle is None or self.cycle.response_complete)

    def _has_unread(self) -> bool:
        connected = self.transport.get_extra_info("socket")
        if connected is None or connected.fileno() < 0:
            return False
        return any(fcntl.ioctl(connected.fileno(), termios.FIONREAD, bytes(4)))

    def _refuse(self, problem: Problem) -> None:
        """Answer what is being received, and end; complete requests before it are answered."""
        cycle = self.cycle
        self.deadline_s = math.inf
        if self._is_answering and not cycle.more_body:
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        self._is_receiving = False
        if not (self._is_answering and cycle.response_started):
            body = problem.body()
            self.transport.write(
                STATUS_LINE[problem.status]
                + b"content-type: application/problem+json\r\nconnection: close\r\n"
                + b"content-length: %d\r\n\r\n%b" % (len(body), body)
            )
        self.transport.close()
