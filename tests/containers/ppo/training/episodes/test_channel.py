"""What the trainer reads, and which logs it refuses with a sentence."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from training.episodes.channel import ChannelRefused, read_episodes

FACTORS = {"resolution": 3.0, "time": -1.0, "risk": -0.5, "cost": -0.25}


def make_line(**changes: Any) -> dict[str, Any]:
    return {
        "episode_id": "ep-000001",
        "step": 0,
        "state": {"incident": "Database latency spike", "severity": "sev-2"},
        "proposedAction": {"type": "SCALE_K8S", "params": {"replicas": 3}},
        "reward": 1.25,
        "factors": FACTORS,
        "propensity": 0.4,
        "done": True,
    } | changes


def write(folder: Path, *lines: dict[str, Any], name: str = "a.jsonl") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_step_is_read_as_it_was_written(tmp_path):
    write(tmp_path, make_line())

    ((step,),) = [episode.steps for episode in read_episodes(tmp_path)]

    assert step.state.incident == "Database latency spike"
    assert step.action.params == {"replicas": 3}
    assert step.factors == (3.0, -1.0, -0.5, -0.25)
    assert (step.reward, step.propensity, step.done) == (1.25, 0.4, True)


def test_files_are_found_in_all_folders_and_compressed(tmp_path):
    write(tmp_path, make_line(episode_id="c"), name="2026/11/part.jsonl")
    write(tmp_path, make_line(episode_id="b"), name="part.json")
    (tmp_path / "z.jsonl.gz").write_bytes(
        gzip.compress(json.dumps(make_line(episode_id="a")).encode())
    )
    write(tmp_path, make_line(episode_id="d"), name="notes.txt")

    episodes = read_episodes(tmp_path)

    assert [episode.id for episode in episodes] == ["a", "b", "c"]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    text = json.dumps(make_line())
    (tmp_path / "a.jsonl").write_text(text + "\n", encoding="utf-8-sig")

    assert [episode.id for episode in read_episodes(tmp_path)] == ["ep-000001"]


def test_steps_may_stand_in_any_order_and_file(tmp_path):
    write(tmp_path, make_line(step=2), make_line(step=0, done=False), name="b.jsonl")
    write(tmp_path, make_line(step=1, done=False, propensity=None), name="a.jsonl")

    (episode,) = read_episodes(tmp_path)

    assert [step.propensity for step in episode.steps] == [0.4, None, 0.4]


def test_neither_files_nor_the_order_of_lines_matter(tmp_path):
    lines = [make_line(episode_id=id_, step=i, done=i == 2) for id_ in "cab" for i in range(3)]
    write(tmp_path / "one", *lines)
    write(tmp_path / "two", *lines[::-2], name="b.jsonl")
    write(tmp_path / "two", *lines[-2::-2], name="a.jsonl")

    assert read_episodes(tmp_path / "one") == read_episodes(tmp_path / "two")


def test_a_repeated_line_counts_once(tmp_path):
    write(tmp_path, make_line(), make_line(), name="a.jsonl")
    write(tmp_path, make_line(), name="b.jsonl")

    (episode,) = read_episodes(tmp_path)

    assert len(episode.steps) == 1


def test_an_episode_that_was_cut_off_is_kept(tmp_path):
    write(tmp_path, make_line(done=False), make_line(step=1, done=False))

    (episode,) = read_episodes(tmp_path)

    assert [step.done for step in episode.steps] == [False, False]


WRONG_LINES = {
    "another member": (make_line(mood="good"), "mood"),
    "factor above 10": (make_line(factors=FACTORS | {"cost": 10.5}), "factors.cost"),
    "factor missing": (make_line(factors={"resolution": 1.25}), "`time`"),
    "member missing": ({k: v for k, v in make_line().items() if k != "done"}, "`done`"),
    "negative step": (make_line(step=-1), "step"),
    "propensity of 0": (make_line(propensity=0), "propensity"),
    "reward is not the sum": (make_line(reward=1.5), "1.5 is not the sum"),
    "reward not finite": (make_line(reward=float("nan")), "not JSON"),
    "severity missing": (make_line(state={"incident": "Slow"}), "severity"),
    "step is text": (make_line(step="0"), "step: expected `int`, got `str`"),
    "wrong symptom": (
        make_line(state=make_line()["state"] | {"symptoms": [7]}),
        "state.symptoms[0]",
    ),
}


@pytest.mark.parametrize("named", sorted(WRONG_LINES))
def test_a_wrong_line_is_refused_with_its_place(tmp_path, named):
    line, because = WRONG_LINES[named]
    write(tmp_path, make_line(episode_id="ep-000000"), line, name="log.jsonl")

    with pytest.raises(ChannelRefused) as refused:
        read_episodes(tmp_path)

    assert str(refused.value).startswith("log.jsonl line 2: ")
    assert because in str(refused.value)


def test_one_step_told_in_two_ways_is_refused(tmp_path):
    write(tmp_path, make_line(), make_line(propensity=0.5))

    with pytest.raises(ChannelRefused, match="differs from the one in"):
        read_episodes(tmp_path)


GAPS = {
    "gap": [make_line(done=False), make_line(step=2)],
    "no beginning": [make_line(step=1)],
    "step after done": [make_line(), make_line(step=1)],
}


@pytest.mark.parametrize("named", sorted(GAPS))
def test_an_episode_that_lacks_steps_keeps_the_others(tmp_path, named):
    write(tmp_path, *GAPS[named])

    (episode,) = read_episodes(tmp_path)

    assert not episode.is_whole
    assert [number for number, _ in episode.numbered()] == [one["step"] for one in GAPS[named]]


def test_an_episode_without_gaps_is_whole(tmp_path):
    write(tmp_path, make_line(done=False), make_line(step=1))

    (episode,) = read_episodes(tmp_path)

    assert episode.is_whole


WRONG_BYTES = {
    "broken JSON": ("a.jsonl", b'{"episode_id": \n'),
    "deep JSON": ("a.jsonl", b'{"state": {"a": ' + b"[" * 100_000),
    "no gzip": ("a.jsonl.gz", b"{}\n"),
    "not UTF-8": ("a.jsonl", json.dumps(make_line()).encode().replace(b"spike", b"sp\xefke")),
    "truncated gzip": ("a.jsonl.gz", gzip.compress(b"{}\n" * 1_000)[:-12]),
    "very long line": ("a.jsonl", b" " * 1_100_000),
}


@pytest.mark.parametrize("named", sorted(WRONG_BYTES))
def test_bytes_that_are_no_log_are_refused(tmp_path, named):
    name, content = WRONG_BYTES[named]
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ChannelRefused, match=f"{name} line 1: ") as refused:
        read_episodes(tmp_path)

    assert len(str(refused.value)) < 500


def test_a_missing_channel_is_told_from_an_empty_one(tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "blank", name="a.jsonl")

    for folder, because in (("none", "missing"), ("empty", "no file"), ("blank", "not one line")):
        with pytest.raises(ChannelRefused, match=because):
            read_episodes(tmp_path / folder)
