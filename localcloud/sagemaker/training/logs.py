"""A job's words in CloudWatch Logs, where SageMaker's users and its SDK look for them.
Best effort: a job never fails for its log, and the file that it is read from stays."""

import sys
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sagemaker.settings import Settings

GROUP = "/aws/sagemaker/TrainingJobs"
MOST_LINES = 1_000
MOST_LINE_CHARS = 8_192
MOST_BYTES = 1_000_000
"""Read at once; a line that is not complete waits for the next time."""


class LogStream:
    """Sends what a log file grew by, line by line."""

    def __init__(self, path: Path, stream: str, settings: Settings) -> None:
        self._path = path
        self._stream = stream
        self._settings = settings
        self._offset = 0
        self._logs: Any = None

    def send(self, *, is_last: bool = False) -> None:
        """Send the complete lines since the last time, and at last the rest."""
        try:
            while lines := self._take_lines(is_last=is_last):
                self._put(lines)
        except (ClientError, BotoCoreError) as error:
            print(f"lines of {self._stream} were lost: {error}", file=sys.stderr, flush=True)

    def _take_lines(self, *, is_last: bool) -> list[str]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            new = file.read(MOST_BYTES)
        is_full = len(new) == MOST_BYTES
        end = len(new) if is_last or (is_full and b"\n" not in new) else new.rfind(b"\n") + 1
        lines = new[:end].splitlines(keepends=True)[:MOST_LINES]
        self._offset += sum(map(len, lines))
        return [line.decode(errors="replace").rstrip()[:MOST_LINE_CHARS] for line in lines]

    def _put(self, lines: list[str]) -> None:
        # CloudWatch refuses an empty message
        now_ms = int(time.time() * 1000)  # it refuses times of a clock that a test has turned
        events = [{"timestamp": now_ms, "message": line or " "} for line in lines]
        if self._logs is None:
            self._logs = _client(self._settings)
            _create(self._logs.create_log_group, logGroupName=GROUP)
            _create(self._logs.create_log_stream, logGroupName=GROUP, logStreamName=self._stream)
        self._logs.put_log_events(logGroupName=GROUP, logStreamName=self._stream, logEvents=events)


def _create(create: Any, **names: str) -> None:
    try:
        create(**names)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ResourceAlreadyExistsException":
            raise


def _client(settings: Settings) -> Any:
    return boto3.client(
        "logs",
        endpoint_url=settings.aws_endpoint,
        region_name=settings.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 -- the emulator's
        config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2}),
    )
