"""Files of episodes: what is counted, and what is refused with its place."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.training import lines
from chalicelib.training.lines import Count, NotEpisodes
from tests.builders.episodes import episode_lines, lines_of, make_step

STATE = make_step()["state"]


class Dripping:
    """A body that comes in pieces of any size."""

    def __init__(self, content: bytes, size: int) -> None:
        self._stream, self._size = io.BytesIO(content), size

    def read(self, _: int, /) -> bytes:
        return self._stream.read(self._size)


def refusal(content: bytes) -> NotEpisodes:
    with pytest.raises(NotEpisodes) as caught:
        lines.count(io.BytesIO(content))
    return caught.value


@given(episodes=st.integers(1, 20), size=st.integers(1, 700))
def test_finished_episodes_are_counted_however_the_bytes_arrive(episodes: int, size: int):
    counted = lines.count(Dripping(episode_lines(episodes), size))

    assert counted == Count(lines=2 * episodes, episodes=episodes)


def test_an_episode_that_is_not_finished_is_not_counted():
    counted = lines.count(io.BytesIO(lines_of(make_step(done=False), make_step(done=True))))

    assert counted.episodes == 1


def test_the_last_line_needs_no_end_and_empty_lines_say_nothing():
    content = lines_of(make_step()) + b"\n\r\n" + lines_of(make_step()).rstrip(b"\n")

    assert lines.count(io.BytesIO(content)).episodes == 2


def test_members_of_a_state_that_only_this_log_has_are_taken():
    state = {
        "incident": "x",
        "severity": "sev-1",
        "region": "eu-1",
        "hosts": ["a", "b"],
        "load": 0.5,
        "actions_taken": ["A", {"type": "B", "params": {}, "result": "failed"}],
    }

    content = lines_of(make_step(state=state, propensity=0.4))

    assert lines.count(io.BytesIO(content)).episodes == 1


@pytest.mark.parametrize(
    ("step", "at"),
    [
        ({**make_step(), "reward": 2.0}, "sum of the factors"),
        ({**make_step(), "reward": 1000.0, "factors": {"time": 1000.0}}, "reward"),
        ({**make_step(), "reward": "1.25"}, "reward"),
        ({**make_step(), "done": 1}, "done"),
        ({**make_step(), "step": -1}, "step"),
        ({**make_step(), "propensity": 0.0}, "propensity"),
        ({**make_step(), "state": {"severity": "sev-1"}}, "incident"),
        ({**make_step(), "proposedAction": {"params": {}}}, "type"),
        ({**make_step(), "factors": {}}, "factors"),
        ({**make_step(), "reward": 1.0, "factors": {"luck": 1.0}}, "factors"),
        ({**make_step(), "note": "mine"}, "note"),
        ({**make_step(), "episode_id": "e" * 101}, "episode_id"),
        ({**make_step(), "proposedAction": {"type": "A" * 101}}, "type"),
        ({**make_step(), "proposedAction": {"type": "A", "params": {"n": 1e13}}}, "params"),
        ({**make_step(), "state": {**STATE, "region": None}}, "region"),
        ({**make_step(), "state": {**STATE, "region": {"name": "eu-1"}}}, "region"),
        ({**make_step(), "state": {**STATE, "symptoms": [""]}}, "symptoms"),
        ({**make_step(), "state": {**STATE, "actions_taken": [1]}}, "actions_taken"),
        ({**make_step(), "state": {**STATE, **{f"d{n}": 1 for n in range(51)}}}, "state"),
        ({key: value for key, value in make_step().items() if key != "done"}, "done"),
        ([make_step()], "line 2"),
        ("text", "line 2"),
    ],
)
def test_a_line_that_is_no_step_is_refused_with_its_place(step: object, at: str):
    why = refusal(lines_of(make_step(), step))

    assert why.code == "not-an-episode"
    assert "line 2" in str(why)
    assert at in str(why)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-file"),
        (b"not json\n", "not-an-episode"),
        (b"\x1f\x8b\x08\x00", "not-an-episode"),
        (b"\xff\xfe{\x00}\x00", "not-an-episode"),
        (json.dumps([make_step()], indent=1).encode(), "not-an-episode"),
        (b'{"reward": NaN}\n', "not-an-episode"),
        (b"[" * 50_000, "not-an-episode"),
        (b"x" * (lines.MOST_LINE_BYTES + 1), "line-too-long"),
    ],
)
def test_a_file_that_is_none_is_refused(content: bytes, code: str):
    assert refusal(content).code == code


@pytest.mark.parametrize("before", [1, 5_000])
def test_a_line_that_is_too_long_is_named(before: int):
    content = b"\n" * before + lines_of(make_step(note="x" * lines.MOST_LINE_BYTES))
    content = lines_of(*[make_step()] * 1_000) + content

    assert str(refusal(content)).startswith(f"line {1_000 + before + 1}: ")


def test_a_file_that_is_too_large_is_not_read_to_its_end():
    class Endless:
        read_bytes = 0

        def read(self, amount: int, /) -> bytes:
            self.read_bytes += amount
            return (b" " * 1_023 + b"\n") * (amount // 1_024)

    endless = Endless()
    with pytest.raises(NotEpisodes) as caught:
        lines.count(endless)

    assert caught.value.code == "file-too-large"
    assert endless.read_bytes < lines.MOST_FILE_BYTES * 1.1
