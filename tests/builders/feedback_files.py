"""Feedback files in S3, what they hold, and the reports that are written about them.
Judges nothing."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from chalicelib.experiments.feedback import files
from chalicelib.experiments.feedback.files import Report
from chalicelib.kit import aws
from chalicelib.kit.clock import Deadline
from chalicelib.kit.settings import settings
from tests.builders.feedback import make_receipt

COLUMNS = [
    "request_id",
    "metric_name",
    "metric_value",
    "quality_score",
    "is_correct",
    "outcome_id",
    "context",
]


def put(key: str, content: bytes) -> str:
    """The object's version."""
    return aws.s3().put_object(Bucket=settings().bucket, Key=key, Body=content)["VersionId"]


def take(tenant: str, key: str, content: bytes, *, left_s: float = 60) -> Report:
    version = put(key, content)
    return files.take(tenant, key, object_version=version, deadline=Deadline(left_s))


def stored_report(key: str) -> dict[str, Any]:
    answer = aws.s3().get_object(Bucket=settings().bucket, Key=files.report_key(key))
    return json.loads(answer["Body"].read())


def json_lines(items: Sequence[object]) -> bytes:
    return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in items)


def csv_lines(rows: Sequence[dict[str, Any]], columns: Sequence[str] = COLUMNS) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def scores(tenant: str, count: int) -> list[dict[str, Any]]:
    return [{"request_id": make_receipt(tenant), "quality_score": 4} for _ in range(count)]
