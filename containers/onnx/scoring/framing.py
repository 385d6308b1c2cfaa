"""Cuts a byte stream into HTTP/1.1 requests and holds them to limits of size.
No transport, no clock, no routing."""

import httptools
from scoring.problems import (
    BadRequest,
    ExpectationFailed,
    HeadersTooLarge,
    Problem,
    TooLarge,
    UriTooLong,
)
from scoring.service import Request

MAX_BODY_BYTES = 6 * 2**20
"""SageMaker's own limit of a real-time request: 6,291,456 bytes."""
MAX_HEAD_BYTES = 16 * 2**10
MAX_TARGET_BYTES = 2**11
WANTED_HEADERS = frozenset({b"content-type", b"accept", b"content-length", b"expect"})
PATHS = {b"/ping": "/ping", b"/invocations": "/invocations"}


class RequestReader:
    """Feeds httptools; complete requests come out of take(), in order of arrival."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._ready: list[Request] = []
        self._problem: Problem | None = None
        self._is_over = False
        self.begun = 0
        """How many requests have begun to arrive; tells one half-arrived request from the next."""
        self.is_receiving = False
        self.wants_continue = False
        self._reset()

    def feed(self, data: bytes) -> None:
        """Parse more bytes; raises Problem, after which nothing more may be fed.

        Requests that were complete before the problem are still in take().
        """
        if self._is_over:
            return
        was_in_head = self.is_receiving and not self.has_head
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # the offer is declined: this request, then the end
            self._is_over = True
            if self._ready:
                self._ready[-1].keep = False
        except httptools.HttpParserError as error:
            raise self._problem or BadRequest(f"the request does not parse: {error}") from error
        if self.is_receiving and not self.has_head:
            self._limit_head(len(data) if was_in_head or not self._ready else 0)

    def take(self) -> list[Request]:
        ready, self._ready = self._ready, []
        return ready

    # httptools calls these.

    def on_message_begin(self) -> None:
        self._reset()
        self.is_receiving = True
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > MAX_TARGET_BYTES:
            self._stop(UriTooLong(f"more than {MAX_TARGET_BYTES} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._counted += len(name) + len(value) + 4
        if self._counted > MAX_HEAD_BYTES:
            self._stop(HeadersTooLarge(f"more than {MAX_HEAD_BYTES} bytes of headers"))
        name = name.lower()
        if name in WANTED_HEADERS:
            known = self._headers.get(name)
            self._headers[name] = value if known is None else known + b"," + value

    def on_headers_complete(self) -> None:
        self.has_head = True
        length = self._headers.get(b"content-length", b"0")
        if len(length) > 18 or int(length) > MAX_BODY_BYTES:  # llhttp lets only digits through
            self._stop(TooLarge(f"the body is longer than {MAX_BODY_BYTES} bytes"))
        expected = self._headers.get(b"expect")
        if expected is not None and self._parser.get_http_version() == "1.1":
            if expected.lower() != b"100-continue":
                self._stop(ExpectationFailed("only 100-continue is understood"))
            self.wants_continue = True

    def on_body(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MAX_BODY_BYTES:
            self._stop(TooLarge(f"the body is longer than {MAX_BODY_BYTES} bytes"))
        self.wants_continue = False
        self._parts.append(part)

    def on_message_complete(self) -> None:
        self.is_receiving = self.wants_continue = False
        headers, parts, self._parts = self._headers, self._parts, []
        version_keeps = self._parser.get_http_version() == "1.1"  # 1.0 ends with its answer
        self._ready.append(
            Request(
                method=self._parser.get_method().decode("latin-1"),
                path=PATHS.get(self._target) or read_path(self._target),
                content_type=headers.get(b"content-type", b"").decode("latin-1"),
                accept=headers.get(b"accept", b"").decode("latin-1"),
                body=parts[0] if len(parts) == 1 else b"".join(parts),
                keep=version_keeps and self._parser.should_keep_alive(),
            )
        )

    # Private.

    def _limit_head(self, arrived_bytes: int) -> None:
        """Limit a head that is still open: a single endless header never reaches on_header."""
        self._head_bytes += arrived_bytes
        if self._head_bytes > MAX_HEAD_BYTES:
            raise HeadersTooLarge(f"more than {MAX_HEAD_BYTES} bytes of headers")

    def _reset(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._size = self._counted = self._head_bytes = 0
        self.has_head = False

    def _stop(self, problem: Problem) -> None:
        self._problem = problem
        raise problem


def read_path(target: bytes) -> str:
    """Return the path of a request target, without its query; percent codes stay as they are."""
    try:
        path = httptools.parse_url(target).path
    except httptools.HttpParserInvalidURLError:
        path = None
    return (path or target).decode("latin-1")
