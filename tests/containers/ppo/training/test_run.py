"""Training as a process: what it leaves, the same bytes for the same job, and what a stop leaves.
Policies are not judged here: jobs are as short as they can be."""

import gzip
import json
import math
import re
import shutil
import signal
from pathlib import Path
from xml.etree import ElementTree

import pytest
from reward.artifact import load
from reward.predictor import Predictor
from reward.questions import read_question
from safetensors import safe_open
from safetensors.numpy import load as load_arrays
from training import checkpoints
from training.places import UNTOLD
from training.policy.ppo import PpoSettings
from training_jobs import QUESTION, RARE, Job, lay_out, make_lines

LINES = make_lines()
FILES = {"a.jsonl": "".join(LINES)}
CHUNK = PpoSettings().environments * PpoSettings().rollout * PpoSettings().chunk
CHUNKS = 5
STEPS = {"ppo_steps": str(CHUNKS * CHUNK)}
ENDLESS = {"ppo_steps": "1000000000"}
README = Path(__file__).resolve().parents[4] / "containers/ppo/README.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Job:
    """A job that nobody stopped."""
    job = Job(lay_out(folder / "whole", FILES, **STEPS, sagemaker_job_name='"reward-7"'))
    assert job.end() == 0, job.log
    return job


@pytest.fixture(scope="module")
def stopped(folder: Path) -> Job:
    """A job that was asked to stop after its first chunk."""
    job = Job(lay_out(folder / "stopped", FILES, **ENDLESS)).wait_for(f"{CHUNK:,} steps, ")
    assert job.stop() == 0, job.log
    return job


@pytest.fixture(scope="module")
def resumed(folder: Path, whole: Job) -> Job:
    """A job that was killed after its first chunk, and started again with its checkpoint."""
    killed = Job(lay_out(folder / "killed", FILES, **STEPS)).wait_for(f"{CHUNK:,} steps, ")
    assert killed.stop(signal.SIGKILL) == -signal.SIGKILL
    assert not (killed.base / "model").exists()
    assert killed.failure == UNTOLD
    base = lay_out(folder / "resumed", FILES, **STEPS)
    shutil.copytree(killed.base / "checkpoints", base / "checkpoints")
    job = Job(base)
    assert job.end() == 0, job.log
    return job


def answer(job: Job) -> dict:
    return Predictor(load(job.base / "model")).answer_one(read_question(QUESTION))


def test_the_artifact_answers_in_the_words_of_its_own_log(whole):
    given = answer(whole)

    assert set(given["policy"]) == {"APOLOGISE", "REFUND", "RESEND"}
    assert given["outOfDistribution"] == []
    assert given["reward"] == pytest.approx(3.0 - 0.5 - 0.5, abs=0.5)


def test_nothing_of_the_simulator_is_in_the_artifact_of_another_log(whole):
    told = b"".join(whole.model().values())

    for word in (b"SCALE_K8S", b"DIAGNOSE", b"database", b"sev-"):
        assert word not in told


def test_rare_actions_are_left_out_and_listed(whole):
    assert whole.manifest["training"]["left_out_actions"] == {"DANCE": RARE}


def test_the_manifest_tells_how_the_model_came_about(whole):
    training = whole.manifest["training"]

    assert training["hyperparameters"] == {
        "guarded": True,
        "minimum_episodes": 50,
        "minimum_observations": 5,
        "pessimism": 1.0,
        "ppo_environments": 256,
        "ppo_learning_rate": 0.004,
        "ppo_steps": CHUNKS * CHUNK,
        "seed": 1,
        "simulated_episodes": 0,
        "simulator": "learned",
    }
    assert (training["episodes"], training["steps"]) == (120 + RARE, len(LINES))
    assert "stopped_after" not in training


def test_the_artifact_names_no_place_and_no_job(whole, folder):
    told = b"".join(whole.model().values())

    assert str(folder).encode() not in told
    assert b"reward-7" not in told


def test_every_metric_is_a_line_of_the_log_and_in_the_manifest(whole):
    printed = dict(re.findall(r"^metric (\w+)=(\S+)$", whole.log, re.MULTILINE))

    kept = whole.manifest["training"]["metrics"]
    assert {name: float(text) for name, text in printed.items()} == pytest.approx(kept, abs=1e-6)
    assert {"reward_r2", "coverage", "policy_simulated_return"} < set(printed)


def test_the_definitions_of_metrics_in_the_readme_find_their_numbers(whole):
    (block,) = re.findall(r'```json\n(\[\s*\{"Name": .*?)```', README.read_text(), re.DOTALL)

    found = {each["Name"]: re.findall(each["Regex"], whole.log) for each in json.loads(block)}

    known = {name for name, texts in found.items() if texts}
    assert known == {"mean_return", *whole.manifest["training"]["metrics"]}
    assert all(math.isfinite(float(text)) for texts in found.values() for text in texts)
    assert len(found["mean_return"]) == CHUNKS


def test_the_report_has_every_point_of_the_learning_curve(whole):
    steps = [point["steps"] for point in whole.report["learning"]]

    assert steps == [CHUNK * (i + 1) for i in range(CHUNKS)]


def test_a_job_that_went_well_leaves_no_failure_file(whole):
    assert not (whole.base / "output" / "failure").exists()


@pytest.mark.parametrize("name", ["calibration.svg", "learning.svg"])
def test_pictures_are_svg(whole, name):
    assert ElementTree.fromstring(whole.output(name)).tag == "{http://www.w3.org/2000/svg}svg"


def test_the_same_log_in_other_files_and_order_gives_the_same_bytes(whole, folder):
    base = lay_out(folder / "again", {"z.jsonl": "".join(reversed(LINES[::2]))}, **STEPS)
    (base / "input" / "data" / "episodes" / "b.jsonl.gz").write_bytes(
        gzip.compress("".join(LINES[1::2]).encode())
    )
    again = Job(base)

    assert again.end() == 0, again.log
    assert again.model() == whole.model()
    for name in ("calibration.svg", "evaluation.json", "learning.svg"):
        assert again.output(name) == whole.output(name)


def test_a_killed_job_goes_on_and_gives_the_bytes_of_one_that_ran_through(resumed, whole):
    (after,) = re.findall(r"^goes on after ([\d,]+) steps$", resumed.log, re.MULTILINE)

    assert "begins anew" not in resumed.log
    assert CHUNK <= int(after.replace(",", "")) < CHUNKS * CHUNK
    assert resumed.model() == whole.model()


def test_the_learning_curve_survives_a_kill_whole(resumed, whole):
    assert resumed.report == whole.report
    assert resumed.output("learning.svg") == whole.output("learning.svg")


def test_a_checkpoint_of_another_version_of_the_program_is_passed_over(whole, folder):
    content = (whole.base / "checkpoints" / checkpoints.FILE).read_bytes()
    with safe_open(whole.base / "checkpoints" / checkpoints.FILE, framework="numpy") as file:
        about = file.metadata()
    arrays = {name.replace("hidden1", "layer1"): a for name, a in load_arrays(content).items()}
    base = lay_out(folder / "version", FILES, **STEPS)
    kept = checkpoints.Checkpoint(arrays, json.loads(about["curve"]))
    checkpoints.keep(base / "checkpoints", about["fingerprint"], kept)
    job = Job(base)

    assert job.end() == 0, job.log
    assert "begins anew: " in job.log
    assert job.model() == whole.model()


def test_another_seed_gives_other_weights_and_passes_over_a_foreign_checkpoint(whole, folder):
    base = lay_out(folder / "other", FILES, seed="2", ppo_steps="1")
    shutil.copytree(whole.base / "checkpoints", base / "checkpoints")
    other = Job(base)

    assert other.end() == 0, other.log
    assert "goes on" not in other.log
    assert other.manifest["weights_sha256"] != whole.manifest["weights_sha256"]


def test_a_stopped_job_leaves_an_artifact_that_answers(stopped):
    assert set(answer(stopped)["policy"]) == {"APOLOGISE", "REFUND", "RESEND"}


def test_a_stopped_job_says_so_in_the_manifest(stopped):
    training = stopped.manifest["training"]

    assert training["stopped_after"] == stopped.report["learning"][-1]["steps"]
    assert CHUNK <= training["stopped_after"] < int(ENDLESS["ppo_steps"])


def test_a_stopped_job_reports_and_fails_nothing(stopped):
    assert "metric coverage=" in stopped.log
    assert stopped.output("learning.svg").endswith(b"</svg>\n")
    assert not (stopped.base / "output" / "failure").exists()


def test_a_stop_before_ppo_leaves_the_policy_of_the_first_chunk(folder):
    job = Job(lay_out(folder / "early", FILES, **ENDLESS)).wait_for("hyperparameters ")

    assert job.stop() == 0, job.log

    assert job.manifest["training"]["stopped_after"] == CHUNK
    assert set(answer(job)["policy"]) == {"APOLOGISE", "REFUND", "RESEND"}


def test_a_first_model_needs_no_channel(folder):
    wanted = {"simulator": "incidents", "simulated_episodes": "60", "ppo_steps": "1"}
    job = Job(lay_out(folder / "first", None, **wanted))

    assert job.end() == 0, job.log

    sample = json.loads(job.model()["sample.json"])
    assert sample["proposedAction"] == {"type": "SCALE_K8S", "params": {"replicas": 3}}
    assert "metric policy_percent=" in job.log
    assert job.report["policy"]["exact"]["policies"]["optimal"]["percent"] == 100
