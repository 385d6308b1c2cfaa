"""A job that cannot be done ends with 1, and its failure file says why."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from training.job import Stop, train
from training.places import FAILURE_CHARACTERS, UNTOLD, Places
from training_jobs import Job, lay_out, make_lines

LINES = make_lines(episodes=60)
LOG = "".join(LINES)
ROOM_KB = 40
"""Free on the small disk: enough for what a job begins with, not for a checkpoint."""


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """Training takes SIGTERM for itself."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_sigterm_asks_to_stop_and_ends_nothing():
    stop = Stop()

    os.kill(os.getpid(), signal.SIGTERM)

    assert stop.is_asked


WRONG: dict[str, tuple[dict[str, str] | None, dict[str, str], str]] = {
    "action that the simulator lacks": (
        {"a.jsonl": LOG},
        {"simulator": "incidents"},
        "SettingsRefused: hyperparameter simulator cannot be 'incidents' for this log: "
        "that simulator has no action 'APOLOGISE'",
    ),
    "blank lines only": ({"a.jsonl": "\n\n"}, {}, "not one line in them"),
    "broken line": (
        {"a.jsonl": LOG, "b.jsonl": LINES[0] + LINES[1][:40] + "\n"},
        {},
        "ChannelRefused: b.jsonl line 2: the line is not JSON",
    ),
    "empty channel": ({}, {}, "has no file that ends in one of"),
    "hyperparameter out of range": (
        {"a.jsonl": LOG},
        {"ppo_steps": "0"},
        "SettingsRefused: hyperparameter ppo_steps cannot be '0': expected `int` >= 1",
    ),
    "no channel": (None, {}, "ChannelRefused: the channel "),
    "other files only": ({"a.csv": LOG}, {}, "has no file that ends in one of"),
    "too few episodes": (
        {"a.jsonl": LOG},
        {"minimum_episodes": "64"},
        "ChannelRefused: the channel has 63 episodes, at least 64 are needed",
    ),
    "too rare actions": (
        {"a.jsonl": LOG},
        {"minimum_observations": "1000"},
        "no action was taken 1000 times",
    ),
    "unknown hyperparameter": (
        {"a.jsonl": LOG},
        {"gamma": "0.99"},
        "SettingsRefused: hyperparameter 'gamma' is unknown; known are seed, ",
    ),
    "wrong line": (
        {"a.jsonl": LOG + json.dumps({**json.loads(LINES[0]), "reward": 11}) + "\n"},
        {},
        f"ChannelRefused: a.jsonl line {len(LINES) + 1}: reward: expected ",
    ),
}


@pytest.mark.parametrize("named", sorted(WRONG))
def test_the_failure_file_has_the_cause(tmp_path, monkeypatch, named):
    files, hyperparameters, cause = WRONG[named]
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(lay_out(tmp_path, files, **hyperparameters)))

    code = train()

    reason = (tmp_path / "output" / "failure").read_text()
    assert code == 1
    assert cause in reason
    assert len(reason) <= FAILURE_CHARACTERS
    assert not (tmp_path / "model").exists()


def test_a_failure_file_that_cannot_be_written_leaves_the_exit_code(tmp_path, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(lay_out(tmp_path, None)))
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "failure").symlink_to("/dev/full")

    assert train() == 1


def test_the_room_of_a_failure_file_is_taken_before_anything_fails(tmp_path):
    places = Places(tmp_path)

    places.reserve_failure()

    assert (tmp_path / "output" / "failure").read_text() == UNTOLD


def test_an_import_that_fails_is_told(tmp_path):
    broken = tmp_path / "packages" / "jax"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libgomp.so.1: cannot open')")
    job = Job(lay_out(tmp_path / "ml", {"a.jsonl": LOG}), PYTHONPATH=str(broken.parent))

    code = job.end()

    assert code == 1
    assert job.failure.startswith("ImportError: libgomp.so.1: cannot open (at ")


def test_an_artifact_that_finds_no_room_is_told(tmp_path):
    base = lay_out(tmp_path / "ml", {"a.jsonl": LOG}, ppo_steps="1")
    (base / "model").mkdir()
    (base / "model" / "weights.safetensors").symlink_to("/dev/full")
    job = Job(base)

    code = job.end()

    assert code == 1
    assert "OSError: [Errno 28] No space left on device (at artifact.py:" in job.failure


def test_an_artifact_that_serving_would_refuse_is_told(tmp_path):
    lines = [json.loads(line) for line in LOG.splitlines()]
    for i, line in enumerate(lines):
        prose = {f"reason-{j}": f"{i} " + 190 * "重" for j in range(50)}
        line["proposedAction"] = {"type": "RESEND", "params": prose}
    text = "\n".join(json.dumps(line) for line in lines)
    job = Job(lay_out(tmp_path / "ml", {"a.jsonl": text}, ppo_steps="1"))

    code = job.end()

    assert code == 1, job.log
    assert job.failure.startswith("ArtifactRefused: manifest.json is larger than 1048576 bytes")


def _may_mount() -> bool:
    command = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    found = shutil.which("unshare") is not None
    return found and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _may_mount(), reason="a user may not mount a disk of its own here")
def test_a_full_disk_is_told_on_that_same_disk(tmp_path):
    base: Any = lay_out(tmp_path / "ml", {"a.jsonl": LOG}, ppo_steps="1")
    script = f"""
        cp -r {base} {base}.laid-out
        mount -t tmpfs -o size=1m tmpfs {base} && cp -r {base}.laid-out/. {base}
        free_kb=$(df -k --output=avail {base} | tail -1)
        dd if=/dev/zero of={base}/filler bs=1k count=$((free_kb - {ROOM_KB})) status=none
        "$@"; code=$?
        cp {base}/output/failure {base}.failure; exit $code"""
    job = Job(base, ("unshare", "-Urm", "sh", "-c", script, "sh"))

    code = job.end()

    assert code == 1, job.log
    assert "No space left on device (at checkpoints.py:" in (tmp_path / "ml.failure").read_text()
