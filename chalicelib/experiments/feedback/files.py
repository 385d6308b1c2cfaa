"""Feedback that comes as files in S3: a line for a prediction, judged as HTTP's is, and a report.
Holds no file in memory, and knows nothing of what may be said: that is the service's part."""

import hashlib
import io
import itertools
import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from chalicelib.experiments import queue
from chalicelib.experiments.events import Event
from chalicelib.experiments.feedback import service as feedback
from chalicelib.experiments.feedback.lines import Line, NotReadable, items_of
from chalicelib.experiments.feedback.service import Became
from chalicelib.kit import aws
from chalicelib.kit.clock import Deadline, utc_now
from chalicelib.kit.errors import Busy
from chalicelib.kit.settings import settings
from chalicelib.kit.telemetry import logger
from chalicelib.kit.values import Value

_MOST_REFUSALS_TOLD = 100
_LINES_BETWEEN_LOOKS = 1_000
"""At the clock. So many are read in any case: each run gets on, however little time it has."""
_EVENTS_AT_ONCE = 500
_SENDERS = 8
_BUFFER_BYTES = 256 * 1024
_MOST_KEY_BYTES = 1_024
_ENDING = re.compile(r"\.(jsonl|csv)(\.gz)?\Z")


class Refusal(Value):
    line: int
    """The first line is 1."""
    code: str
    detail: str


class Report(Value):
    """What became of one file; lies in S3 as `feedback-reports/<key>.json`."""

    key: str
    version: str | None
    """The object's version in S3, or its etag: other bytes get a report of their own."""
    lines: int = 0
    """Read so far, with the header and empty ones."""
    accepted: int = 0
    not_counted: int = 0
    refused: int = 0
    refusals: list[Refusal] = Field(default_factory=list[Refusal])
    """The first hundred."""
    code: str | None = None
    """Why the file, or what follows `lines`, was not read at all."""
    detail: str | None = None
    finished: bool = False
    finished_at: datetime | None = None


class _Upload(NamedTuple):
    version: str
    stream: io.BufferedIOBase


class _Tally:
    """A report in the making."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._count = {
            "accepted": report.accepted,
            "not_counted": report.not_counted,
            "refused": report.refused,
        }
        self._refusals = list(report.refusals)
        self.lines = report.lines

    def add(self, became: Became) -> None:
        self._count[became.status] += 1
        if became.status == "refused" and len(self._refusals) < _MOST_REFUSALS_TOLD:
            code, detail = became.code or "", became.detail or ""
            self._refusals.append(Refusal(line=self.lines, code=code, detail=detail))

    def report(self, **more: object) -> Report:
        counted = {"lines": self.lines, "refusals": self._refusals, **self._count}
        return self._report.model_copy(update={**counted, **more})


class _Sender:
    """Sends in the background, a few calls at a time; `finish` returns once all is sent."""

    def __init__(self, tenant: str, pool: ThreadPoolExecutor) -> None:
        self._tenant, self._pool = tenant, pool
        self._waiting: list[Event] = []
        self._sending: deque[Future[None]] = deque()

    def add(self, events: Sequence[Event]) -> None:
        self._waiting += events
        if len(self._waiting) >= _EVENTS_AT_ONCE:
            self._start()

    def finish(self) -> None:
        if self._waiting:
            self._start()
        while self._sending:
            self._sending.popleft().result()

    def _start(self) -> None:
        if len(self._sending) >= _SENDERS:
            self._sending.popleft().result()
        self._sending.append(self._pool.submit(queue.send, self._tenant, self._waiting))
        self._waiting = []


def take(tenant: str, key: str, *, object_version: str | None, deadline: Deadline) -> Report:
    """Take in one uploaded file; a bad one raises nothing, its report says what is wrong.

    Told again, a finished file is not read again. One that the deadline cuts off raises Busy, and
    is read on from there when it is told again. Killed, it is read again from where the last
    report says; no outcome counts twice. Leave some seconds after the deadline for what is on its
    way to the queue.
    """
    form = _ENDING.search(key.lower())
    if form is None:
        why = NotReadable(
            "unknown-file-type", "a file ends in .jsonl or .csv, or in .gz after that"
        )
        return _told(_ended(_Tally(Report(key=key, version=object_version)), why))
    upload = _open(key, object_version)
    if upload is None:
        why = NotReadable("file-gone", "the object is not there any more")
        return _told(_ended(_Tally(Report(key=key, version=object_version)), why))
    report = _earlier_report(key, upload.version) or Report(key=key, version=upload.version)
    if report.finished:
        return report
    items = items_of(upload.stream, is_csv=form[1] == "csv", is_gzip=form[2] is not None)
    report = _told(_read(tenant, items, _Tally(report), deadline=deadline))
    if not report.finished:
        raise Busy(f"the file {key[:200]!r} is read up to line {report.lines}, and is not finished")
    return report


def report_key(key: str) -> str:
    found = f"feedback-reports/{key}.json"
    if len(found.encode()) <= _MOST_KEY_BYTES:
        return found
    return f"feedback-reports/{hashlib.sha256(key.encode()).hexdigest()}.json"


def _read(tenant: str, items: Iterator[Line], tally: _Tally, *, deadline: Deadline) -> Report:
    """Go on where the tally stands; only what the queue has is in the report."""
    after = tally.lines
    aws.queues()  # made here: to make a client is not safe in threads
    with ThreadPoolExecutor(_SENDERS) as pool:
        sender = _Sender(tenant, pool)
        try:
            for line in itertools.islice(items, after, None):
                tally.lines = line.number
                if not line.is_empty:
                    _take_line(tenant, line, tally, sender)
                if (line.number - after) % _LINES_BETWEEN_LOOKS == 0 and deadline.passed():
                    sender.finish()
                    return tally.report()
        except NotReadable as why:
            sender.finish()
            return _ended(tally, why)
        sender.finish()
    return _ended(tally)


def _take_line(tenant: str, line: Line, tally: _Tally, sender: _Sender) -> None:
    if isinstance(line.item, Became):
        tally.add(line.item)
        return
    judged = feedback.judge(tenant, line.item)
    tally.add(judged.became)
    sender.add(judged.events)


class _Body(io.RawIOBase):
    """The body of S3's answer, for what reads files."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        content: bytes = self._body.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


def _open(key: str, object_version: str | None) -> _Upload | None:
    answer = aws.find_object(settings().bucket, key, version=object_version)
    if answer is None:
        return None
    stream = io.BufferedReader(_Body(answer["Body"]), _BUFFER_BYTES)
    return _Upload(answer.get("VersionId") or answer["ETag"], stream)


def _earlier_report(key: str, version: str) -> Report | None:
    answer = aws.find_object(settings().bucket, report_key(key))
    if answer is None:
        return None
    try:
        report = Report.model_validate_json(answer["Body"].read())
    except ValidationError:
        return None
    return report if (report.key, report.version) == (key, version) else None


def _ended(tally: _Tally, why: NotReadable | None = None) -> Report:
    code, detail = (why.code, str(why)) if why else (None, None)
    return tally.report(code=code, detail=detail, finished=True, finished_at=utc_now())


def _told(report: Report) -> Report:
    aws.s3().put_object(
        Bucket=settings().bucket,
        Key=report_key(report.key),
        Body=report.model_dump_json(indent=2).encode(),
        ContentType="application/json",
    )
    state = "finished" if report.finished else "unfinished"
    logger.info(
        "feedback_file_read",
        key=report.key[:200],
        version=report.version,
        state=state,
        reason=report.code,
    )
    return report
