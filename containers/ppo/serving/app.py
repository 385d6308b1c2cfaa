"""The three paths that SageMaker calls, as one ASGI application.
No sockets, no parsing of HTTP or of bodies."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import msgspec
from serving.logs import log
from serving.media import OFFERED, Format, choose_accepted, read_content_type
from serving.problems import (
    Busy,
    GetOnly,
    NoSuchPath,
    NotReady,
    PostOnly,
    Problem,
    TooLarge,
    UnsupportedMedia,
)
from serving.scorer import Scorer

INLINE_BYTES = 2048
"""A body up to this size is answered on the event loop: a hundred actions, 2 ms, at most."""
MOST_WAITING = 32
"""Longer requests that may wait for the thread; above, the answer is 503."""
LINGER_S = 5.0
"""How long the rest of a refused body is read and thrown away, so that its sender, who is still
busy sending, reads the refusal instead of a reset."""
CLOSE = (b"connection", b"close")

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Heads(NamedTuple):
    """The header fields that matter here."""

    content_type: bytes
    accept: bytes
    length: int
    expects: bool


class _Gone(Exception):
    """The client left before its request was complete."""


class App:
    """What all connections of a process share; scorer is None where the artifact was refused."""

    def __init__(
        self, scorer: Scorer | None, *, refusal: str, payload_bytes: int, workers: int
    ) -> None:
        self._scorer = scorer
        self._refusal = refusal
        self._payload_bytes = payload_bytes
        self._parameters = msgspec.json.encode(
            {
                "MaxConcurrentTransforms": workers,
                "BatchStrategy": "MULTI_RECORD",
                "MaxPayloadInMB": payload_bytes // (1024 * 1024),
            }
        )
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scorer")
        self._waiting = 0
        self.is_draining = False

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        try:
            if scope["path"] == "/invocations" and scope["method"] == "POST":
                media, body = await self._invoke(scope["headers"], receive)
            else:
                media, body = "application/json", self._answer_get(scope["path"], scope["method"])
        except TooLarge as problem:
            await self._refuse_large(problem, scope, receive, send)
        except Problem as problem:
            await self._send(
                send, problem.status, "application/problem+json", problem.body(), *problem.headers
            )
        except _Gone:
            return
        else:
            await self._send(send, 200, media, body)

    def close(self) -> None:
        """Drop what still waits for the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def answer(self, heads: Heads, body: bytes) -> tuple[Format, bytes]:
        """Answer a whole body. Raises Problem."""
        read = read_content_type(heads.content_type)
        write = choose_accepted(heads.accept, read)
        if self._scorer is None:
            raise NotReady(self._refusal)
        return write, self._scorer.score(body, read=read, write=write)

    async def _invoke(
        self, headers: list[tuple[bytes, bytes]], receive: Receive
    ) -> tuple[str, bytes]:
        heads = read_heads(headers)
        body = await self._receive(heads, receive)
        if len(body) <= INLINE_BYTES:
            write, answer = self.answer(heads, body)
            return OFFERED[write], answer
        if self._waiting >= MOST_WAITING:
            raise Busy(f"{self._waiting} requests wait already")
        self._waiting += 1
        try:
            write, answer = await asyncio.get_running_loop().run_in_executor(
                self._thread, self.answer, heads, body
            )
        finally:
            self._waiting -= 1
        return OFFERED[write], answer

    async def _receive(self, heads: Heads, receive: Receive) -> bytes:
        """Raises TooLarge as soon as the body is known to be."""
        most = self._payload_bytes
        if heads.length > most:
            raise TooLarge(f"the body has {heads.length} bytes; at most {most} are taken")
        message = await receive()
        if not message.get("more_body") and message["type"] == "http.request":
            return _checked(message["body"], most)
        parts: list[bytes] = []
        size = 0
        while message["type"] == "http.request":
            parts.append(message["body"])
            size += len(message["body"])
            if size > most:
                raise TooLarge(f"the body has more than {most} bytes")
            if not message["more_body"]:
                return b"".join(parts)
            message = await receive()
        raise _Gone

    def _answer_get(self, path: str, method: str) -> bytes:
        if path == "/invocations":
            raise PostOnly(f"{path} takes POST only")
        if path not in ("/ping", "/execution-parameters"):
            known = "/ping, /invocations and /execution-parameters do"
            raise NoSuchPath(f"{path[:100]!r} does not exist; {known}")
        if method != "GET":
            raise GetOnly(f"{path} takes GET only")
        if path == "/execution-parameters":
            return self._parameters
        self._ping()
        return b""

    def _ping(self) -> None:
        """Raises Problem unless the model answers its sample as it did at load."""
        if self.is_draining:
            raise Busy("the container is draining")
        if self._scorer is None:
            log("WARNING", "ping_refused", reason=self._refusal)
            raise NotReady(self._refusal)
        if not self._scorer.proves():
            log("ERROR", "ping_refused", reason="the sample is answered otherwise than at load")
            raise NotReady("the sample is answered otherwise than at load")

    async def _send(
        self, send: Send, status: int, media: str, body: bytes, *headers: tuple[bytes, bytes]
    ) -> None:
        fields = [
            (b"content-type", media.encode()),
            (b"content-length", b"%d" % len(body)),
            *headers,
        ]
        if self.is_draining:
            fields.append(CLOSE)
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    async def _refuse_large(
        self, problem: Problem, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        """Answer while the body still arrives, and close the connection after it."""
        body = problem.body()
        fields = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            CLOSE,
        ]
        await send({"type": "http.response.start", "status": problem.status, "headers": fields})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        if not read_heads(scope["headers"]).expects:
            try:
                async with asyncio.timeout(LINGER_S):
                    while (await receive()).get("more_body"):
                        pass
            except TimeoutError:
                log("WARNING", "body_abandoned", reason=problem.detail)
        await send({"type": "http.response.body", "body": b""})


def read_heads(headers: list[tuple[bytes, bytes]]) -> Heads:
    """Names are in lower case. Raises UnsupportedMedia where the body is compressed."""
    content_type = accept = b""
    length, expects = 0, False
    for name, value in headers:
        if name == b"content-type":
            content_type = value
        elif name == b"accept":
            accept = accept + b"," + value if accept else value
        elif name == b"content-length":
            length = int(value)
        elif name == b"expect":
            expects = True
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise UnsupportedMedia(f"Content-Encoding is {value[:100]!r}; send it as it is")
    return Heads(content_type, accept, length, expects)


def _checked(body: bytes, most: int) -> bytes:
    if len(body) > most:
        raise TooLarge(f"the body has {len(body)} bytes; at most {most} are taken")
    return body
