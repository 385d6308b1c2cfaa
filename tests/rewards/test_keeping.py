"""Answers that are kept: for how long, how many, and for whom."""

import pytest

from chalicelib.registry.model import Live
from chalicelib.rewards.keeping import Answers
from chalicelib.serving.model import Asking, Earlier, Output, Request

REQUEST = Request(b'{"a":1}', "application/json", "application/json")
LIVE = Live(version="1.0.0", endpoint="first", hosting="serverless")
ASKING = Asking("acme", "reward", LIVE, REQUEST)
ANSWER = Earlier(Output(b"{}", "application/json"), latency_ms=12.5)


class Clock:
    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


def _answers(clock: Clock | None = None, *, most: int = 10) -> Answers:
    return Answers(ttl_s=60.0, most=most, now=clock or Clock())


def _number(number: int) -> Asking:
    return ASKING._replace(request=REQUEST._replace(body=str(number).encode()))


def test_an_answer_says_how_old_it_is():
    clock = Clock()
    answers = _answers(clock)
    answers.put(ASKING, ANSWER)

    clock.at_s += 59.5

    assert answers.find(ASKING) == ANSWER._replace(age_s=59.5)


def test_an_answer_is_too_old_after_its_time_to_live():
    clock = Clock()
    answers = _answers(clock)
    answers.put(ASKING, ANSWER)

    clock.at_s += 60

    assert answers.find(ASKING) is None


def test_a_fresh_answer_takes_the_place_of_an_old_one():
    clock = Clock()
    answers = _answers(clock)
    answers.put(ASKING, ANSWER)
    clock.at_s += 60
    answers.put(ASKING, ANSWER)

    assert answers.find(ASKING) == ANSWER


OTHERS = {
    "tenant": ASKING._replace(tenant="other"),
    "model": ASKING._replace(model="other"),
    "version": ASKING._replace(live=LIVE.model_copy(update={"version": "1.0.1"})),
    "endpoint": ASKING._replace(live=LIVE.model_copy(update={"endpoint": "again"})),
    "body": ASKING._replace(request=REQUEST._replace(body=b'{"a":2}')),
    "accept": ASKING._replace(request=REQUEST._replace(accept="text/csv")),
}


@pytest.mark.parametrize("differs", sorted(OTHERS))
def test_an_answer_is_for_the_very_same_question_of_the_very_same_version(differs: str):
    answers = _answers()
    answers.put(ASKING, ANSWER)

    assert answers.find(OTHERS[differs]) is None


def test_the_oldest_answer_gives_way():
    answers = _answers(most=2)
    for number in (1, 2, 1, 3):
        answers.put(_number(number), ANSWER)

    assert [answers.find(_number(n)) is not None for n in (1, 2, 3)] == [True, False, True]


def test_a_ranking_of_200_actions_is_kept():
    """68 KB, as the container answers it for the actions of the shipped simulator."""
    answers, ranking = _answers(), ANSWER._replace(output=Output(bytes(68_000), "text/plain"))
    answers.put(ASKING, ranking)

    assert answers.find(ASKING) is not None


def test_a_large_answer_is_not_kept():
    answers = _answers()
    answers.put(ASKING, ANSWER._replace(output=Output(bytes(128 * 1024 + 1), "text/plain")))

    assert answers.find(ASKING) is None
