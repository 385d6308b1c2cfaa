"""Episodes that lie in S3 are counted once, whoever tells of them, how often and in which order."""

from typing import Any

import pytest

from chalicelib.kit import aws
from chalicelib.kit.clock import Deadline
from chalicelib.kit.errors import Busy
from chalicelib.kit.settings import settings
from chalicelib.ledger import service as ledger
from chalicelib.training import counting, triggers
from tests.builders import events
from tests.builders.crashes import die_at, moments, mutating_calls, together
from tests.builders.episodes import episode_lines
from tests.training.conftest import School

LONG = Deadline(3_600)


def sums(school: School) -> tuple[int, int, int, int]:
    found = school.episodes()
    return found.objects, found.episodes, found.received, found.refused


def tell(event: dict[str, Any]) -> dict[str, Any]:
    return triggers.on_episode_file(event, None)


def test_a_file_counts_once_however_often_it_is_told(school: School):
    event = school.put("a.jsonl", episode_lines(3))

    answers = [tell(event) for _ in range(3)]

    assert answers == [{"state": "counted", "episodes": 3}] * 3
    assert sums(school) == (1, 3, 3, 0)


def test_files_add_up(school: School):
    for number in range(3):
        school.log(number + 1, name=f"2026/11/{number}.jsonl")

    assert sums(school) == (3, 6, 6, 0)


def test_a_file_that_grows_brings_only_what_was_added(school: School):
    first = school.put("a.jsonl", episode_lines(3))
    tell(first)
    second = school.put("a.jsonl", episode_lines(5))

    for event in (second, first, second):
        tell(event)

    assert sums(school) == (1, 5, 5, 0)


def test_the_same_bytes_uploaded_again_are_nothing_new(school: School):
    tell(school.put("a.jsonl", episode_lines(3)))
    tell(school.put("a.jsonl", episode_lines(3)))

    assert sums(school) == (1, 3, 3, 0)


def test_an_early_event_that_comes_late_counts_what_lies_there_now(school: School):
    early = school.put("a.jsonl", episode_lines(3))
    late = school.put("a.jsonl", episode_lines(2))

    tell(late)
    tell(early)

    assert sums(school) == (1, 2, 2, 0)


def test_a_file_that_is_none_is_refused_once_and_the_ledger_says_why(school: School):
    event = school.put("a.jsonl", b'{"reward": 1}\n')

    answers = [tell(event) for _ in range(2)]

    (entry,) = ledger.entries(school.tenant, "episodes/refused", limit=9, cursor=None).items
    assert [answer["state"] for answer in answers] == ["refused", "refused"]
    assert sums(school) == (0, 0, 0, 1)
    assert entry.facts["code"] == "not-an-episode"
    assert "line 1" in str(entry.facts["detail"])


def test_a_refused_file_that_is_mended_counts(school: School):
    tell(school.put("a.jsonl", b"none"))
    tell(school.put("a.jsonl", episode_lines(2)))

    assert sums(school) == (1, 2, 2, 0)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl.gz", "readme"])
def test_a_file_of_another_type_is_refused(school: School, name: str):
    answer = tell(school.put(name, episode_lines(2)))

    assert answer["state"] == "refused"


def test_keys_without_a_tenant_or_of_another_are_none_of_ours(school: School):
    bucket = settings().bucket

    keys = ["episodes/a.jsonl", "episodes//a.jsonl", "episodes/other/a.jsonl"]
    answers = [tell(events.object_created(bucket, key)) for key in keys]

    assert answers == [{"state": "none-of-ours"}] * 3


def test_a_file_that_was_deleted_counts_no_more_and_brings_nothing_new_when_it_is_back(
    school: School,
):
    event = school.put("a.jsonl", episode_lines(3))
    tell(event)
    aws.s3().delete_object(Bucket=settings().bucket, Key=f"episodes/{school.tenant}/a.jsonl")

    counting.recount(school.tenant, deadline=LONG)
    gone = sums(school)
    tell(school.put("a.jsonl", episode_lines(3)))

    assert gone == (0, 0, 3, 0)
    assert sums(school) == (1, 3, 3, 0)


def test_an_object_that_went_before_its_event_came_is_nothing(school: School):
    event = school.put("a.jsonl", episode_lines(3))
    aws.s3().delete_object(Bucket=settings().bucket, Key=f"episodes/{school.tenant}/a.jsonl")

    assert tell(event) == {"state": "none-of-ours"}
    assert sums(school) == (0, 0, 0, 0)


def test_what_no_event_told_of_is_found(school: School):
    school.log(2, name="told.jsonl")
    school.put("lost.jsonl", episode_lines(3))
    school.put("bad.jsonl", b"none")

    files = counting.recount(school.tenant, deadline=LONG)

    assert [(file.key.split("/")[-1], file.episodes) for file in files] == [
        ("lost.jsonl", 3),
        ("told.jsonl", 2),
    ]
    assert sums(school) == (2, 5, 5, 1)


def test_a_count_that_is_cut_off_goes_on_where_it_was(school: School):
    school.log(1, name="a.jsonl")
    school.put("b.jsonl", episode_lines(1))

    with pytest.raises(Busy):
        counting.recount(school.tenant, deadline=Deadline(-1))

    assert sums(school) == (1, 1, 1, 0)
    counting.recount(school.tenant, deadline=LONG)
    assert sums(school) == (2, 2, 2, 0)


def test_files_counted_at_once_are_each_counted_once(school: School):
    told = [school.put(f"{n}.jsonl", episode_lines(n + 1)) for n in range(3)] * 2

    together([lambda event=event: tell(event) for event in told])

    assert sums(school) == (3, 6, 6, 0)


def test_a_crash_at_any_call_counts_once(school: School):
    whole = school.put("whole.jsonl", episode_lines(1))
    calls = mutating_calls(lambda: tell(whole))

    for number, moment in enumerate(moments(calls)):
        event = school.put(f"{number}.jsonl", episode_lines(1))
        die_at(moment, lambda event=event: tell(event))
        tell(event)

    assert len(calls) >= 1
    assert sums(school)[1] == 1 + len(moments(calls))


@pytest.mark.parametrize("between", [b"none", episode_lines(1), b""], ids=["bad", "cut", "empty"])
def test_a_file_that_was_broken_for_a_while_brings_nothing_twice(school: School, between: bytes):
    whole = episode_lines(3)

    for content in (whole, between, whole, between, episode_lines(4)):
        tell(school.put("a.jsonl", content))

    assert sums(school) == (1, 4, 4, 0)
