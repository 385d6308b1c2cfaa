"""Jobs that are stopped, that run too long, and what they leave: the model so far, checkpoints.
What the server's own end does to a job is in test_training_jobs_restart.py."""

import json


def model_of(bench, described):
    return bench.read_archive(described["ModelArtifacts"]["S3ModelArtifacts"])


def facts_of(bench, described):
    return json.loads(model_of(bench, described)["facts.json"])


def output_of(described):
    return described["ModelArtifacts"]["S3ModelArtifacts"].replace("model.tar.gz", "")


def stages_of(described):
    return [stage["Status"] for stage in described["SecondaryStatusTransitions"]]


def test_a_stopped_job_keeps_the_model_so_far(bench):
    job = bench.begin_job(wishes={"sleep_s": "60"})
    bench.await_words(job, "all is written")

    bench.sagemaker.stop_training_job(TrainingJobName=job)
    described = bench.settle_job(job)

    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Stopped"
    assert stages_of(described)[2:] == ["Training", "Stopping", "Uploading", "Stopped"]
    assert model_of(bench, described)["ended-early"] == "by SIGTERM"
    assert "FailureReason" not in described


def test_a_process_that_will_not_stop_is_killed_after_its_grace(bench):
    job = bench.begin_job(wishes={"sleep_s": "60", "deaf": "yes"})
    bench.await_words(job, "all is written")

    bench.sagemaker.stop_training_job(TrainingJobName=job)
    bench.await_stage(job, "Stopping")
    bench.sagemaker.stop_training_job(TrainingJobName=job)

    described = bench.settle_job(job)
    assert stages_of(described).count("Stopping") == 1
    assert sorted(model_of(bench, described)) == ["facts.json"]


def test_a_job_that_is_stopped_before_it_trains_leaves_nothing(bench):
    bench.control.freeze()
    bench.control.set_delays(creating=60, updating=0, deleting=0)
    job = bench.begin_job()

    bench.sagemaker.stop_training_job(TrainingJobName=job)
    bench.control.advance(60)
    bench.control.set_delays(creating=0, updating=0, deleting=0)

    described = bench.settle_job(job)
    assert stages_of(described) == ["Starting", "Stopping", "Stopped"]
    assert bench.list_keys(output_of(described)) == []


def test_a_job_that_runs_too_long_is_stopped_with_its_model(bench):
    described = bench.run_job(
        wishes={"sleep_s": "60"}, StoppingCondition={"MaxRuntimeInSeconds": 1}
    )

    assert described["TrainingJobStatus"] == "Stopped"
    assert described["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert "ended-early" in model_of(bench, described)


def test_checkpoints_are_copied_while_the_job_trains_and_found_by_the_next(bench):
    uri = f"s3://models/{bench.name('checkpoints')}"
    config = {"CheckpointConfig": {"S3Uri": uri}}
    first = bench.begin_job(wishes={"checkpoints/step": "41", "sleep_s": "60"}, **config)

    bench.await_true(lambda: bench.list_keys(uri) == ["/step"], "the checkpoint")
    bench.sagemaker.stop_training_job(TrainingJobName=first)
    bench.settle_job(first)

    files = facts_of(bench, bench.run_job(**config))["files"]
    assert files["checkpoints/step"] == "41"


def test_a_checkpoint_that_the_job_deletes_goes_from_s3_too(bench):
    uri = bench.put_channel(draft="old", step="41")

    bench.run_job(CheckpointConfig={"S3Uri": uri})

    assert bench.list_keys(uri) == ["/step"]
