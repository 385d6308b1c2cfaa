"""One client connection: order of answers, back-pressure, deadlines, orderly ends.
Parses nothing and knows no path."""

import asyncio
import math
from collections import deque
from typing import cast

from scoring.framing import RequestReader
from scoring.problems import Problem, RequestTimeout
from scoring.replies import CONTINUE, frame_problem
from scoring.service import Request, Service

IDLE_S, HEAD_S, BODY_S, WRITE_S, LINGER_S = 300.0, 10.0, 60.0, 60.0, 2.0
"""Idle between requests; from first byte to end of head, and to end of body; a stalled reader of
our answer; after a refusal."""


class Connection(asyncio.Protocol):
    """Answers leave in the order of the requests; while one is owed, no more is read.

    After a refusal the rest of the request is read and dropped for a moment (lingering): closing
    at once would reset the connection and could destroy the answer on its way.
    """

    def __init__(self, service: Service, connections: "set[Connection]") -> None:
        self._service = service
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader()
        self._queue: deque[Request | Problem] = deque()
        self._is_busy = False
        self._is_write_stalled = False
        self._is_paused = False
        self._is_half_closed = False
        self._takes_requests = True
        self._timed = 0
        self._since_s = 0.0
        self.deadline_s = math.inf

    # The transport calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        self.deadline_s = self._loop.time() + IDLE_S

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._takes_requests = False
        self._queue.clear()

    def data_received(self, data: bytes) -> None:
        if not self._takes_requests:
            return
        try:
            self._reader.feed(data)
            self._queue.extend(self._reader.take())
        except Problem as problem:
            self._queue.extend((*self._reader.take(), problem))
            self._takes_requests = False
        self._advance()
        if self._reader.wants_continue and not self._is_busy and self._takes_requests:
            self._reader.wants_continue = False
            self._transport.write(CONTINUE)

    def eof_received(self) -> bool:
        """Keep the way out open while an answer is owed."""
        self._is_half_closed = True
        return self._is_busy or bool(self._queue)

    def pause_writing(self) -> None:
        self._is_write_stalled = True

    def resume_writing(self) -> None:
        self._is_write_stalled = False
        self._advance()

    # The server calls these.

    @property
    def is_idle(self) -> bool:
        """No request is here, not even in part."""
        owed = self._is_busy or self._queue or self._is_write_stalled
        return not (owed or (self._reader.is_receiving and self._takes_requests))

    def expire(self) -> None:
        """The deadline has passed: say so where a request is half here, else just end."""
        if self._takes_requests and self._reader.is_receiving and not self._is_write_stalled:
            self._takes_requests = False
            self._queue.append(RequestTimeout("the request did not arrive in time"))
            self._advance()
        else:
            self._transport.abort()

    def end(self) -> None:
        """Send what is buffered and close."""
        self._takes_requests = False
        self._queue.clear()
        self._transport.close()

    # Private.

    def _advance(self) -> None:
        """Answer what can be answered now, then set deadline and back-pressure."""
        while self._queue and not self._is_busy and not self._is_write_stalled:
            item = self._queue.popleft()
            if isinstance(item, Problem):
                self._linger(item)
                return
            self._is_busy = True
            answer = self._service.answer(item, lambda late, item=item: self._finish(item, late))
            if answer is not None:
                self._send(item, answer)
        if self._transport.is_closing():
            return
        self._set_deadline()
        self._set_reading(not (self._is_busy or self._queue or self._is_write_stalled))

    def _finish(self, request: Request, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._send(request, answer)
            self._advance()

    def _send(self, request: Request, answer: bytes) -> None:
        self._is_busy = False
        self._transport.write(answer)
        if not request.keep or (self._is_half_closed and not self._queue):
            self.end()

    def _linger(self, problem: Problem) -> None:
        self._transport.write(frame_problem(problem, keep=False))
        self._queue.clear()
        if self._is_half_closed or not self._transport.can_write_eof():
            self.end()
            return
        self._transport.write_eof()
        self._set_reading(True)
        self.deadline_s = self._loop.time() + LINGER_S

    def _set_deadline(self) -> None:
        now_s = self._loop.time()
        if self._is_busy:
            self.deadline_s = math.inf
        elif self._is_write_stalled:
            self.deadline_s = now_s + WRITE_S
        elif self._reader.is_receiving:
            if self._timed != self._reader.begun:
                self._timed, self._since_s = self._reader.begun, now_s
            self.deadline_s = self._since_s + (BODY_S if self._reader.has_head else HEAD_S)
        else:
            self.deadline_s = now_s + IDLE_S

    def _set_reading(self, wanted: bool) -> None:
        if wanted == self._is_paused:
            self._is_paused = not wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()
