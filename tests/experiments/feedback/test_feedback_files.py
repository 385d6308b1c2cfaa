"""Feedback that comes as files: formats, bad lines, reports, and runs that are cut off.
Against the offline cloud's S3 and SQS; no file of the disk."""

import gzip
import json
from typing import Any

import pytest

from chalicelib.experiments.feedback import files
from chalicelib.experiments.feedback import service as feedback
from chalicelib.experiments.feedback.lines import MOST_LINE_BYTES
from chalicelib.kit.clock import Deadline
from tests.builders.feedback import SATISFACTION, Sent, declare, make_receipt, own_queue
from tests.builders.feedback_files import csv_lines, json_lines, scores, stored_report, take


@pytest.fixture
def sent(tenant: str, monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What reached a queue of the test's own; the model knows `user_satisfaction`."""
    declare(tenant, SATISFACTION)
    return own_queue(tenant, monkeypatch)


def _everything_said(tenant: str) -> dict[str, Any]:
    return {
        "request_id": make_receipt(tenant, nonce="n1"),
        "metric_name": "user_satisfaction",
        "metric_value": 4.25,
        "quality_score": 4,
        "is_correct": False,
        "outcome_id": 'a "b", c',
        "context": {"größe": [1, "zwei"]},
    }


# ---- formats --------------------------------------------------------------------------------


def test_a_line_of_json_is_counted_as_http_counts_it(tenant: str, sent: Sent):
    said = _everything_said(tenant)
    feedback.take(tenant, feedback.Feedback.model_validate(said))
    by_http = sent()

    report = take(tenant, "feedback/a.jsonl", json_lines([said]))

    assert sent() == by_http
    assert (report.accepted, report.refused, report.finished) == (1, 0, True)


def test_a_line_of_csv_is_counted_as_http_counts_it(tenant: str, sent: Sent):
    said = _everything_said(tenant)
    feedback.take(tenant, feedback.Feedback.model_validate(said))
    by_http = sent()

    row = {**said, "is_correct": "false", "context": json.dumps(said["context"])}
    take(tenant, "feedback/a.csv", csv_lines([row]))

    assert sent() == by_http


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl", "jsonl.gz", "JSONL"])
def test_lines_may_end_as_on_windows_begin_with_a_mark_and_be_packed(
    tenant: str, sent: Sent, ending: str
):
    items = scores(tenant, 3)
    plain = csv_lines(items) if "csv" in ending else json_lines(items).replace(b"\n", b"\r\n")
    content = b"\xef\xbb\xbf" + plain.rstrip(b"\r\n")

    report = take(
        tenant, f"feedback/a.{ending}", gzip.compress(content) if "gz" in ending else content
    )

    assert (report.accepted, report.refused, len(sent())) == (3, 0, 3)


def test_gzip_of_several_members_is_read_to_its_end(tenant: str, sent: Sent):
    parts = [gzip.compress(json_lines(scores(tenant, 2))) for _ in range(3)]

    report = take(tenant, "feedback/a.jsonl.gz", b"".join(parts))

    assert report.accepted == len(sent()) == 6


@pytest.mark.parametrize(
    ("cell", "ticks"),
    [("0", 0), ("1", 10**9), ("False", 0), ("TRUE", 10**9), ("false", 0), ("true", 10**9)],
)
def test_a_cell_says_a_truth_in_words_or_digits(tenant: str, sent: Sent, cell: str, ticks: int):
    take(
        tenant,
        "feedback/a.csv",
        csv_lines([{"request_id": make_receipt(tenant), "is_correct": cell}]),
    )

    assert [event.ticks for event in sent()] == [{"is_correct": ticks}]


@pytest.mark.parametrize(
    "cell", ["nan", "NaN", "inf", "-Infinity", "1e999", "1e308", "0x4", "4,0", "1_0", " 4", "true"]
)
def test_a_cell_that_is_no_number_in_range_is_refused(tenant: str, sent: Sent, cell: str):
    row = {"request_id": make_receipt(tenant), "quality_score": cell}

    report = take(tenant, "feedback/a.csv", csv_lines([row]))

    assert (report.refused, report.refusals[0].line) == (1, 2)
    assert report.refusals[0].code in ("invalid-request", "value-refused")
    assert sent() == []


@pytest.mark.parametrize("key", ["feedback/ä b/50%25+c#?.jsonl", "feedback/2026/11/a=b&c.jsonl"])
def test_keys_are_taken_as_they_are(tenant: str, sent: Sent, key: str):
    report = take(tenant, key, json_lines(scores(tenant, 1)))

    assert report.accepted == 1
    assert stored_report(key)["key"] == key


def test_a_key_that_leaves_no_room_gets_a_report_too(tenant: str, sent: Sent):
    key = "feedback/" + "k" * (1_024 - len("feedback/.jsonl")) + ".jsonl"

    take(tenant, key, json_lines(scores(tenant, 1)))

    assert stored_report(key)["accepted"] == 1


# ---- bad lines, bad files -------------------------------------------------------------------

BAD_LINES = {
    10: (b"{", "malformed-line"),
    20: (b"NaN", "malformed-line"),
    30: (b'{"request_id": "x", "quality_score": NaN}', "malformed-line"),
    40: (b'{"request_id": "forged", "quality_score": 1}', "receipt-refused"),
    50: (b"null", "invalid-request"),
    60: (b'[{"request_id": "x"}]', "invalid-request"),
    70: (b'{"request_id": "x", "request_id": "y", "quality_score": 1}', "malformed-line"),
    80: (b"\xff\xfe", "malformed-line"),
    90: (b'{"context": {"a": "' + b"x" * 3 * MOST_LINE_BYTES + b'"}}', "line-too-long"),
    100: (b'{"a":' * 300 + b"1" + b"}" * 300, "malformed-line"),
}


def test_good_lines_are_taken_whatever_the_others_are(tenant: str, sent: Sent):
    items = scores(tenant, 1_000)
    lines = json_lines(items).splitlines()
    for number, (line, _) in BAD_LINES.items():
        lines[number - 1] = line

    report = take(tenant, "feedback/a.jsonl", b"\n".join(lines))

    assert (report.lines, report.accepted, report.refused) == (1_000, 990, len(BAD_LINES))
    assert {one.line: one.code for one in report.refusals} == {
        number: code for number, (_, code) in BAD_LINES.items()
    }
    assert len({event.id for event in sent()}) == 990


def test_bad_lines_of_csv_are_told_by_their_number(tenant: str, sent: Sent):
    good = make_receipt(tenant)
    lines = [
        b"request_id,quality_score,context",
        f"{good},4,".encode(),
        b"too,few",
        b'"never closed,4,',
        b"",
        b"forged,4,",
        f"{good},\xe4,".encode("latin-1"),
        f'{good},4,"{{""a"": }}"'.encode(),
        f'{good},4,"[1]"'.encode(),
        f"{make_receipt(tenant)},5,".encode(),
    ]

    report = take(tenant, "feedback/a.csv", b"\n".join(lines))

    assert (report.accepted, len(sent())) == (2, 2)
    assert [(one.line, one.code) for one in report.refusals] == [
        (3, "malformed-line"),
        (4, "malformed-line"),
        (6, "receipt-refused"),
        (7, "malformed-line"),
        (8, "malformed-line"),
        (9, "invalid-request"),
    ]


def test_a_report_counts_all_refusals_and_tells_the_first_hundred(tenant: str, sent: Sent):
    report = take(tenant, "feedback/a.jsonl", b"{}\n" * 250)

    assert (report.refused, len(report.refusals)) == (250, 100)


PACKED = gzip.compress(b'{"request_id": "forged", "quality_score": 1}\n' * 5)
BAD_FILES = {
    "a.parquet": (b"PAR1", "unknown-file-type"),
    "a.jsonl.zip": (b"PK", "unknown-file-type"),
    "wide.csv": ("request_id,is_correct".encode("utf-16"), "unsupported-encoding"),
    "wide.jsonl": ("{}".encode("utf-16-le"), "unsupported-encoding"),
    "packed.jsonl": (PACKED, "unsupported-encoding"),
    "plain.jsonl.gz": (b"{}", "bad-gzip"),
    "cut.jsonl.gz": (PACKED[:-9], "bad-gzip"),
    "broken.jsonl.gz": (PACKED[:12] + b"\xff\xff\xff" + PACKED[15:], "bad-gzip"),
    "semicolons.csv": (b"request_id;quality_score\nx;1\n", "bad-header"),
    "unknown.csv": (b"request_id,score\nx,1\n", "bad-header"),
    "twice.csv": (b"request_id,is_correct,is_correct\nx,1,1\n", "bad-header"),
    "headless.csv": (b"forged,1\n", "bad-header"),
    "long.csv": (b"request_id," * 20_000, "bad-header"),
}


@pytest.mark.parametrize("name", sorted(BAD_FILES))
def test_a_file_that_cannot_be_read_gets_a_report_that_says_why(tenant: str, sent: Sent, name: str):
    content, code = BAD_FILES[name]

    take(tenant, f"feedback/{name}", content)

    stored = stored_report(f"feedback/{name}")
    assert (stored["code"], stored["finished"], stored["accepted"]) == (code, True, 0)
    assert stored["detail"]
    assert sent() == []


def test_what_stood_before_the_damage_is_taken(tenant: str, sent: Sent):
    whole = gzip.compress(json_lines(scores(tenant, 2))) + gzip.compress(b"{}")

    report = take(tenant, "feedback/a.jsonl.gz", whole[:-4])

    assert (report.code, report.accepted, len(sent())) == ("bad-gzip", 2, 2)


@pytest.mark.parametrize("name", ["empty.csv", "empty.jsonl"])
def test_an_empty_file_is_no_fault(tenant: str, sent: Sent, name: str):
    report = take(tenant, f"feedback/{name}", b"")

    assert (report.lines, report.code, report.finished) == (0, None, True)


def test_a_file_that_is_gone_is_told(tenant: str, sent: Sent):
    key = f"feedback/{tenant}/gone.csv"

    report = files.take(tenant, key, object_version=None, deadline=Deadline(60))

    assert report.code == "file-gone"
