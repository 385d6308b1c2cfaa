"""Runs over one feedback file: told twice, cut off, and stopped by a queue that takes nothing.
Against the offline cloud's S3 and SQS."""

import gzip
import tracemalloc

import pytest

from chalicelib.experiments.feedback import files
from chalicelib.kit import aws
from chalicelib.kit.clock import Deadline
from chalicelib.kit.errors import Busy
from chalicelib.kit.settings import settings
from tests.builders.feedback import SATISFACTION, Sent, declare, own_queue
from tests.builders.feedback_files import csv_lines, json_lines, put, scores, stored_report, take


@pytest.fixture
def sent(tenant: str, monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What reached a queue of the test's own; the model knows `user_satisfaction`."""
    declare(tenant, SATISFACTION)
    return own_queue(tenant, monkeypatch)


def test_a_file_that_is_told_twice_is_read_once(tenant: str, sent: Sent):
    version = put("feedback/a.jsonl", json_lines(scores(tenant, 3)))

    first, second = (
        files.take(tenant, "feedback/a.jsonl", object_version=told, deadline=Deadline(60))
        for told in (version, None)
    )

    assert first == second
    assert len(sent()) == 3


def test_other_bytes_under_the_same_key_are_read_anew(tenant: str, sent: Sent):
    take(tenant, "feedback/a.jsonl", b"{}\n")

    report = take(tenant, "feedback/a.jsonl", json_lines(scores(tenant, 1)))

    assert (report.accepted, report.refused, report.lines) == (1, 0, 1)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_file_that_the_deadline_cuts_off_is_read_on_from_there(
    tenant: str, sent: Sent, ending: str
):
    items = [*scores(tenant, 2_100), {"request_id": "forged", "quality_score": 1}]
    key = f"feedback/{tenant}/long.{ending}"
    version = put(key, csv_lines(items) if ending == "csv" else json_lines(items))

    finished_by_run: list[bool] = []
    while not finished_by_run or not finished_by_run[-1]:
        try:
            files.take(tenant, key, object_version=version, deadline=Deadline(0))
        except Busy:
            assert stored_report(key)["lines"] == 1_000 * (len(finished_by_run) + 1)
        finished_by_run.append(stored_report(key)["finished"])

    found = sent()
    assert finished_by_run == [False, False, True]
    assert (stored_report(key)["accepted"], stored_report(key)["refused"]) == (2_100, 1)
    assert len(found) == len({event.id for event in found}) == 2_100


def test_nothing_is_reported_as_taken_that_the_queue_did_not_take(
    tenant: str, sent: Sent, monkeypatch: pytest.MonkeyPatch
):
    key = f"feedback/{tenant}/a.jsonl"
    version = put(key, json_lines(scores(tenant, 600)))
    with monkeypatch.context() as broken:
        broken.setenv("OUTCOMES_QUEUE_URL", settings().outcomes_queue_url + "-gone")
        settings.cache_clear()
        with pytest.raises(aws.queues().exceptions.QueueDoesNotExist):
            files.take(tenant, key, object_version=version, deadline=Deadline(60))
    settings.cache_clear()

    report = files.take(tenant, key, object_version=version, deadline=Deadline(60))

    assert report.accepted == len(sent()) == 600


@pytest.mark.parametrize(
    ("line", "code"), [(b"x" * 999 + b"\n", None), (b"x" * 1_000, "line-too-long")]
)
def test_a_file_is_never_held_in_memory(tenant: str, sent: Sent, line: bytes, code: str | None):
    size_bytes = 70_000_000 if code else 20_000_000
    key = f"feedback/{tenant}/large.jsonl.gz"
    put(key, gzip.compress(line * (size_bytes // len(line)), compresslevel=1))

    tracemalloc.start()
    try:
        report = files.take(tenant, key, object_version=None, deadline=Deadline(60))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (report.code, report.finished) == (code, True)
    assert peak_bytes < 10_000_000
