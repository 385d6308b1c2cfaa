"""`make train-reward` with what a person may type: nothing is lost, and what is wrong is said."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.train_reward import ROOT


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.train_reward", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_what_lies_in_the_folder_it_writes_to_stays(tmp_path: Path):
    episodes = tmp_path / "episodes.jsonl"
    episodes.write_text("not json\n")
    old = tmp_path / "model.tar.gz"
    old.write_bytes(b"of the run before")

    done = run("--episodes", episodes, "--out", tmp_path)

    assert done.returncode == 1
    assert "training failed: " in done.stderr
    assert "episodes.jsonl line 1" in done.stderr
    assert episodes.read_text() == "not json\n"
    assert not old.exists()


@pytest.mark.parametrize("place", [".", "ml/input"])
def test_episodes_are_not_looked_for_where_the_trainer_works(tmp_path: Path, place: str):
    episodes = tmp_path / place / "episodes.jsonl"
    episodes.parent.mkdir(parents=True, exist_ok=True)
    episodes.write_text("not json\n")

    done = run("--episodes", episodes.parent, "--out", tmp_path)

    assert "cannot lie in" in done.stderr
    assert episodes.exists()


def test_episodes_that_are_not_there_are_named(tmp_path: Path):
    done = run("--episodes", tmp_path / "none.jsonl", "--out", tmp_path / "out")

    assert done.stderr == f"training failed: there are no episodes at {tmp_path}/none.jsonl\n"


def test_a_hyperparameter_without_a_value_is_named(tmp_path: Path):
    done = run("--hyperparameter", "ppo_steps", "--out", tmp_path)

    assert done.returncode == 2
    assert "--hyperparameter 'ppo_steps' is not NAME=VALUE" in done.stderr
