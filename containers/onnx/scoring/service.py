"""Routes a complete request to the scorer: on the event loop, or in a thread where it is long.
No sockets, no parsing of HTTP."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scoring.logs import log
from scoring.media import choose_accepted, read_content_type
from scoring.problems import Busy, MethodNotAllowed, ModelFailed, NoSuchPath, Problem
from scoring.replies import MEDIA_BY_FORMAT, frame, frame_problem
from scoring.scorer import Format, Scorer

METHOD_BY_PATH = {"/ping": "GET", "/invocations": "POST"}
MAX_WAITING = 128
"""Long requests that may wait for a thread, 6 MiB each at most; above, the answer is 503."""


@dataclass(slots=True)
class Request:
    """A request whose body has arrived; keep: whether the connection takes another one."""

    method: str
    path: str
    content_type: str
    accept: str
    body: bytes
    keep: bool


class Service:
    """What all connections of a process share."""

    def __init__(self, scorer: Scorer, *, threads: int) -> None:
        self._scorer = scorer
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="scorer")
        self._waiting = 0
        self.is_draining = False

    def answer(self, request: Request, send_later: Callable[[bytes], None]) -> bytes | None:
        """Return the framed answer, or None and call send_later on the loop when it is ready."""
        try:
            read, write = self._negotiate(request)
            if read is None:
                return frame(200, b"", media=MEDIA_BY_FORMAT["json"], keep=self._keeps(request))
            if len(request.body) <= self._scorer.inline_bytes:
                return self._score(request, read, write)
            if self._waiting >= MAX_WAITING:
                raise Busy(f"{self._waiting} requests wait already")
        except Problem as problem:
            return self._refuse(request, problem)
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(
            self._executor, self._score, request, read, write
        )
        future.add_done_callback(lambda done: self._send(done, request, send_later))
        return None

    def _negotiate(self, request: Request) -> tuple[Format | None, Format]:
        """Return the formats to read and write; (None, ...) for /ping."""
        method = METHOD_BY_PATH.get(request.path)
        if method is None:
            raise NoSuchPath(f"{request.path!r} does not exist; /ping and /invocations do")
        if request.method != method:
            raise MethodNotAllowed(f"{request.path} takes {method} only", allowed=method)
        if request.path == "/ping":
            if self.is_draining:
                raise Busy("the scorer is draining")
            return None, "json"
        return read_content_type(request.content_type), choose_accepted(request.accept)

    def _score(self, request: Request, read: Format, write: Format) -> bytes:
        try:
            body = self._scorer.score(request.body, read=read, write=write)
        except Problem as problem:
            return self._refuse(request, problem)
        except Exception as error:  # the last line of defence: log the fault, keep serving
            log("ERROR", "scoring_failed", reason=repr(error)[:400])
            return self._refuse(request, ModelFailed("the scorer raised"))
        return frame(200, body, media=MEDIA_BY_FORMAT[write], keep=self._keeps(request))

    def _refuse(self, request: Request, problem: Problem) -> bytes:
        if isinstance(problem, ModelFailed):
            log("ERROR", "inference_failed", reason=problem.detail)
        with_body = request.method != "HEAD"
        return frame_problem(problem, keep=self._keeps(request), with_body=with_body)

    def _keeps(self, request: Request) -> bool:
        request.keep = request.keep and not self.is_draining
        return request.keep

    def _send(
        self,
        done: "asyncio.Future[bytes]",
        request: Request,
        send_later: Callable[[bytes], None],
    ) -> None:
        self._waiting -= 1
        if done.cancelled():
            return
        send_later(done.result())
