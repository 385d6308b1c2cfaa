"""Jobs through stops and SIGKILLs of the server: none forgotten, none for ever under way.
Each server here is the test's own."""

import json
from pathlib import Path

import pytest

GRACE = ("--stop-grace-s", "0.2", "--training-stop-grace-s", "0.5")


@pytest.fixture
def home(tmp_path, start_server, make_bench):
    """A state folder on which servers are started one after another; the last is stopped."""
    benches = []

    def start_on_it():
        benches.append(make_bench(start_server(tmp_path, *GRACE)))
        return benches[-1]

    yield start_on_it
    benches[-1].server.stop()


def end(bench, how):
    getattr(bench.server, how)()


def stages_of(described):
    return [stage["Status"] for stage in described["SecondaryStatusTransitions"]]


def processes_in(folder):
    """The living processes whose environment names the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
            is_zombie = ") Z " in (entry / "stat").read_text()
        except OSError:
            continue
        if str(folder).encode() in environment and not is_zombie:
            found.append(entry.name)
    return found


def test_an_ended_job_is_described_as_before(home):
    bench = home()
    before = bench.run_job(wishes={"exit_code": "1"}, Tags=[{"Key": "team", "Value": "a"}])
    bench.server.stop()

    after = home()

    described = after.describe_job(before["TrainingJobName"])
    assert described | {"ResponseMetadata": 0} == before | {"ResponseMetadata": 0}
    tags = after.sagemaker.list_tags(ResourceArn=before["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "a"}]


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("deaf", [{}, {"deaf": "yes"}])
def test_no_process_of_a_job_outlives_the_server(home, tmp_path, how, deaf):
    bench = home()
    job = bench.begin_job(wishes={"sleep_s": "60"} | deaf)
    bench.await_words(job, "all is written")
    assert processes_in(tmp_path / "training")

    end(bench, how)

    bench.await_true(lambda: not processes_in(tmp_path / "training"), "the end of the process")


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_job_under_way_runs_again_with_its_checkpoints(home, how):
    bench = home()
    uri = f"s3://models/{bench.name('checkpoints')}"
    wishes = {"checkpoints/step": "41", "sleep_s": "3"}
    job = bench.begin_job(wishes=wishes, CheckpointConfig={"S3Uri": uri})
    bench.await_true(lambda: bench.list_keys(uri) == ["/step"], "the checkpoint")
    end(bench, how)

    after = home()
    described = after.settle_job(job)

    assert described["TrainingJobStatus"] == "Completed"
    again = ["Restarting", "Downloading", "Training", "Uploading", "Completed"]
    assert stages_of(described) == ["Starting", "Downloading", "Training", *again]
    model = after.read_archive(described["ModelArtifacts"]["S3ModelArtifacts"])
    assert json.loads(model["facts.json"])["files"]["checkpoints/step"] == "41"


def test_a_job_that_had_not_started_starts_after_a_kill(home):
    bench = home()
    bench.control.freeze()
    bench.control.set_delays(creating=60, updating=0, deleting=0)
    job = bench.begin_job()
    bench.server.kill()

    after = home()
    kept = after.describe_job(job)["SecondaryStatus"]
    after.control.advance(60)

    assert kept == "Starting"
    assert stages_of(after.settle_job(job))[:2] == ["Starting", "Downloading"]


def test_a_job_that_was_being_stopped_is_stopped_with_its_model_after_a_kill(home):
    bench = home()
    job = bench.begin_job(wishes={"sleep_s": "60", "deaf": "yes"})
    bench.await_words(job, "all is written")
    bench.sagemaker.stop_training_job(TrainingJobName=job)
    bench.server.kill()

    after = home()
    described = after.settle_job(job)

    assert described["TrainingJobStatus"] == "Stopped"
    assert after.read_archive(described["ModelArtifacts"]["S3ModelArtifacts"]).keys() == {
        "facts.json"
    }
