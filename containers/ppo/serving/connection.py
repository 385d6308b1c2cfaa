"""uvicorn's HTTP connection with what it lacks: limits of time and size, problems, a clean end,
and a short way for small questions. The parser is httptools; nothing here parses a byte."""

import asyncio
import fcntl
import math
import termios
from typing import Any

from serving.app import INLINE_BYTES, App, Heads, read_heads
from serving.media import OFFERED, Format
from serving.problems import HeadTooLarge, InvalidHttp, Problem, TooSlow
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

PROBLEM = b"application/problem+json"
ENDS = b"connection: close\r\n"
_ANSWER_HEADS: dict[Format, bytes] = {
    format_: b"%bcontent-type: %b\r\ncontent-length: " % (STATUS_LINE[200], media.encode())
    for format_, media in OFFERED.items()
}
MOST_HEAD_BYTES = 64 * 1024
HEAD_S = 10.0
"""From the first byte of a head to its last."""
IDLE_S = 75.0
"""How long a connection may say nothing at all; above the 70 s of SageMaker's own clients."""


class Connection(HttpToolsProtocol):
    """request_s: the longest that a body may take. deadline_s: on the loop's clock.

    A question small enough for the event loop is answered when its last byte is parsed, without
    the task, the event and the scope of an ASGI call, which cost as much as the answer.
    """

    def __init__(self, *arguments: Any, app: App, request_s: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._short = app
        self._request_s = request_s
        self._heads: Heads | None = None
        """Of a small question whose body arrives."""
        self._body = b""
        self._is_receiving = self._is_in_head = False
        self._head_bytes = 0
        self._now_s = 0.0
        """When the bytes arrived that are being parsed."""
        self.deadline_s = math.inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.deadline_s = self.loop.time() + IDLE_S

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self._is_receiving = self._is_in_head = True
        self._head_bytes = 0
        self.deadline_s = self._now_s + HEAD_S

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self.deadline_s = self._now_s + self._request_s
        self._heads = self._read_small()
        if self._heads is None:
            self._begin_call()

    def _begin_call(self) -> None:
        """Let uvicorn make of the head what it would have made as the head arrived."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        super().on_url(url)
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._heads is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        self._is_receiving = False
        if self._heads is None:
            super().on_message_complete()
            self.deadline_s = math.inf
            return
        heads, body, self._heads, self._body = self._heads, self._body, None, b""
        self.deadline_s = self._now_s + IDLE_S
        self.server_state.total_requests += 1
        ends = ENDS if self._short.is_draining else b""
        try:
            format_, answer = self._short.answer(heads, body)
            self.transport.write(
                b"%b%d\r\n%b\r\n%b" % (_ANSWER_HEADS[format_], len(answer), ends, answer)
            )
        except Problem as problem:
            self._refuse_with(problem, ends)
        if ends:
            self.transport.close()

    def _read_small(self) -> Heads | None:
        """Return None unless it is a small question that nothing stands in the way of."""
        parser = self.parser
        if (
            self.url != b"/invocations"
            or parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or parser.should_upgrade()
            or self.flow.write_paused
            or self._is_answering
        ):
            return None
        try:
            heads = read_heads(self.headers)
        except Problem:
            return None
        return heads if 0 < heads.length <= INLINE_BYTES and not heads.expects else None

    def _refuse_with(self, problem: Problem, ends: bytes) -> None:
        body = problem.body()
        more = b"".join([b"%b: %b\r\n" % header for header in problem.headers])
        self.transport.write(
            b"%bcontent-type: %b\r\ncontent-length: %d\r\n%b%b\r\n%b"
            % (STATUS_LINE[problem.status], PROBLEM, len(body), more, ends, body)
        )

    def data_received(self, data: bytes) -> None:
        self._now_s = self.loop.time()
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
        self._heads = None
        if self._is_answering and not cycle.more_body:
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        self._is_receiving = False
        if not (self._is_answering and cycle.response_started):
            self._refuse_with(problem, ENDS)
        self.transport.close()
