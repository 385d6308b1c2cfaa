"""The routing table: fresh for a while, stale when nothing better is to be had."""

from chalicelib.registry.model import Live
from chalicelib.serving.routing import Question, RoutingTable

ONE = Live(version="1.0.0", endpoint="one", hosting="serverless")
TWO = Live(version="2.0.0", endpoint="two", hosting="realtime")
CHAMPION = Question("acme", "eta")


class Clock:
    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


def _table(clock: Clock) -> RoutingTable:
    return RoutingTable(ttl_s=2.0, now=clock)


def test_an_answer_is_good_for_its_time_to_live():
    clock = Clock()
    table = _table(clock)
    table.put(CHAMPION, ONE)

    clock.at_s += 1.9
    assert table.find(CHAMPION) == ONE

    clock.at_s += 0.2
    assert table.find(CHAMPION) is None


def test_a_stale_answer_is_kept_for_bad_times():
    clock = Clock()
    table = _table(clock)
    table.put(CHAMPION, ONE)

    clock.at_s += 1_000_000

    assert table.find_stale(CHAMPION) == ONE


def test_a_new_answer_replaces_the_old_one():
    table = _table(Clock())
    table.put(CHAMPION, ONE)
    table.put(CHAMPION, TWO)

    assert table.find(CHAMPION) == TWO


def test_champion_version_model_and_tenant_are_different_questions():
    table = _table(Clock())
    table.put(CHAMPION, ONE)

    others = [
        Question("acme", "eta", "1.0.0"),
        Question("acme", "other"),
        Question("other", "eta"),
    ]
    assert [table.find(question) for question in others] == [None] * 3


def test_what_is_forgotten_is_not_even_found_stale():
    table = _table(Clock())
    table.put(CHAMPION, ONE)

    table.forget(CHAMPION)
    table.forget(CHAMPION)

    assert table.find(CHAMPION) is None
    assert table.find_stale(CHAMPION) is None
