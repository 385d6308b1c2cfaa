"""What a job's process finds and leaves: channels, model, output, metrics, failures, words.
Stops and checkpoints are in test_training_jobs_stops.py."""

import hashlib
import json
import os
import signal

import pytest
from botocore.exceptions import ConnectionClosedError


def channels(**source_by_name):
    return {
        "InputDataConfig": [
            {"ChannelName": name, "DataSource": {"S3DataSource": source}}
            for name, source in source_by_name.items()
        ]
    }


def prefix(uri):
    return {"S3DataType": "S3Prefix", "S3Uri": uri}


def with_metrics(**regex_by_name):
    definitions = [{"Name": name, "Regex": regex} for name, regex in regex_by_name.items()]
    usual = {"TrainingImage": "sommelier-trainee:1", "TrainingInputMode": "File"}
    return {"AlgorithmSpecification": usual | {"MetricDefinitions": definitions}}


def model_of(bench, described):
    return bench.read_archive(described["ModelArtifacts"]["S3ModelArtifacts"])


def facts_of(bench, described):
    return json.loads(model_of(bench, described)["facts.json"])


def output_of(described):
    return described["ModelArtifacts"]["S3ModelArtifacts"].replace("model.tar.gz", "")


def stages_of(described):
    return [stage["Status"] for stage in described["SecondaryStatusTransitions"]]


def test_the_process_finds_the_layout_that_sagemaker_documents(bench):
    # https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
    source = prefix(bench.put_channel(log="1"))
    files = facts_of(bench, bench.run_job(wishes={"lr": "0.001"}, **channels(episodes=source)))[
        "files"
    ]

    assert json.loads(files["input/config/hyperparameters.json"]) == {"lr": "0.001"}
    assert json.loads(files["input/config/inputdataconfig.json"]) == {
        "episodes": {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    }
    resources = json.loads(files["input/config/resourceconfig.json"])
    assert (resources["current_host"], resources["hosts"]) == ("algo-1", ["algo-1"])
    assert resources["current_instance_type"] == "ml.m5.large"


def test_the_process_is_told_its_job_and_the_variables_of_the_request(bench):
    described = bench.run_job(Environment={"LEVEL": "debug"})

    environment = facts_of(bench, described)["environment"]

    assert environment["TRAINING_JOB_NAME"] == described["TrainingJobName"]
    assert environment["TRAINING_JOB_ARN"] == described["TrainingJobArn"]
    assert environment["LEVEL"] == "debug"
    assert "AWS_ACCESS_KEY_ID" not in environment


@pytest.mark.parametrize(
    ("tail", "found"),
    [
        ("", {"a": "1", "deep/b": "2"}),
        ("/", {"a": "1", "deep/b": "2"}),
        ("/deep/b", {"b": "2"}),
        ("/de", {"deep/b": "2"}),
    ],
)
def test_objects_lie_in_the_channel_by_what_follows_the_prefix(bench, tail, found):
    uri = bench.put_channel(**{"a": "1", "deep/b": "2"})

    files = facts_of(bench, bench.run_job(**channels(episodes=prefix(uri + tail))))["files"]

    start = "input/data/episodes/"
    assert {name[len(start) :]: text for name, text in files.items() if start in name} == found


def test_a_manifest_names_the_objects_of_a_channel(bench):
    data = bench.put_channel(**{"a": "1", "deep/b": "2", "c": "3"})
    manifest = bench.put_channel(list=json.dumps([{"prefix": f"{data}/"}, "deep/b", "c"]))
    source = {"S3DataType": "ManifestFile", "S3Uri": f"{manifest}/list"}

    files = facts_of(bench, bench.run_job(**channels(one=prefix(data), two=source)))["files"]

    assert sorted(name for name in files if name.startswith("input/data/two")) == [
        "input/data/two/c",
        "input/data/two/deep/b",
    ]
    assert files["input/data/one/a"] == "1"


@pytest.mark.parametrize("names", [["missing"], ["../../../../escaped"]])
def test_a_manifest_that_leads_nowhere_fails_the_job(bench, names):
    data = bench.put_channel()
    manifest = bench.put_channel(list=json.dumps([{"prefix": f"{data}/"}, *names]))
    source = {"S3DataType": "ManifestFile", "S3Uri": f"{manifest}/list"}

    described = bench.run_job(**channels(episodes=source))

    assert described["FailureReason"].startswith("ClientError: Data download failed:")
    assert stages_of(described) == ["Starting", "Downloading", "Failed"]


@pytest.mark.parametrize("names", [("a", "a/b"), ("../../../../escaped",)])
def test_keys_that_cannot_be_files_fail_the_job(bench, names):
    uri = bench.put_channel(**dict.fromkeys(names, "1"))

    described = bench.run_job(**channels(episodes=prefix(uri)))

    assert described["FailureReason"].startswith("ClientError: Data download failed:")


def test_data_that_goes_before_the_job_starts_fails_it(bench):
    uri = bench.put_channel(data="1")
    bench.control.freeze()
    bench.control.set_delays(creating=60, updating=0, deleting=0)
    job = bench.begin_job(**channels(episodes=prefix(uri)))
    bench.s3.delete_object(Bucket="models", Key=uri.removeprefix("s3://models/") + "/data")

    bench.control.advance(60)
    bench.control.set_delays(creating=0, updating=0, deleting=0)

    assert "NoSuchKey (404)" in bench.settle_job(job)["FailureReason"]


def test_the_same_model_gives_the_same_archive(bench):
    wishes = {"output/data/report.txt": "fine"}
    hashes = [
        hashlib.sha256(bench.read_object(f"{output_of(described)}output.tar.gz")).hexdigest()
        for described in (bench.run_job(wishes=wishes), bench.run_job(wishes=wishes))
    ]

    assert hashes[0] == hashes[1]


def test_output_is_put_beside_the_model_and_only_when_there_is_some(bench):
    described = bench.run_job(wishes={"output/data/report.txt": "fine"})
    silent = bench.run_job()

    archive = bench.read_archive(f"{output_of(described)}output.tar.gz")

    assert archive == {"report.txt": "fine"}
    assert bench.list_keys(output_of(silent)) == ["model.tar.gz"]


def test_the_last_number_of_each_metric_is_kept(bench):
    metrics = with_metrics(loss=r"loss=([0-9.]+)", silent=r"accuracy=([0-9.]+)", odd=r"(epoch)")

    (metric,) = bench.run_job(**metrics)["FinalMetricDataList"]

    assert (metric["MetricName"], metric["Value"]) == ("loss", pytest.approx(0.333))


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({"exit_code": "3"}, "AlgorithmError: , exit code: 3"),
        (
            {"exit_code": "1", "output/failure": "no episodes"},
            "AlgorithmError: no episodes, exit code: 1",
        ),
    ],
)
def test_a_failed_process_fails_the_job_with_its_own_words(bench, wishes, reason):
    described = bench.run_job(wishes=wishes | {"output/data/report.txt": "half"})

    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Failed"
    assert described["FailureReason"] == reason
    assert bench.list_keys(output_of(described)) == ["output.tar.gz"]


def test_long_last_words_are_cut_but_the_exit_code_stays(bench):
    reason = bench.run_job(wishes={"exit_code": "1", "output/failure": "x" * 2500})["FailureReason"]

    assert len(reason) == 1024
    assert reason.endswith("x, exit code: 1")


def test_a_process_that_is_killed_fails_the_job(bench):
    job = bench.begin_job(wishes={"sleep_s": "60"})
    bench.await_words(job, "all is written")
    (pid,) = [one["pid"] for one in bench.control.jobs() if one["job"] == job]

    os.kill(pid, signal.SIGKILL)

    assert bench.settle_job(job)["FailureReason"] == "AlgorithmError: , exit code: 137"


def test_an_unknown_image_fails_the_job(bench):
    algorithm = {"TrainingImage": "sommelier-nobody:1", "TrainingInputMode": "File"}

    reason = bench.run_job(AlgorithmSpecification=algorithm)["FailureReason"]

    assert reason.startswith("ClientError: Cannot pull algorithm container.")


def test_a_bucket_that_is_not_there_fails_the_job_at_its_end(bench):
    described = bench.run_job(OutputDataConfig={"S3OutputPath": "s3://nobodys-bucket/jobs"})

    assert described["FailureReason"].startswith("ClientError: Artifact upload failed:")
    assert stages_of(described)[-2:] == ["Uploading", "Failed"]


def test_an_injected_failure_fails_a_job_before_it_starts(bench):
    reason = "CapacityError: Unable to provision requested ML compute capacity."
    bench.control.add_faults(
        {"kind": "fail_creation", "operation": "CreateTrainingJob", "reason": reason}
    )

    described = bench.run_job()

    assert described["FailureReason"] == reason
    assert stages_of(described) == ["Starting", "Failed"]


def test_a_job_whose_answer_was_lost_is_under_way(bench, raises_code):
    asked = bench.job_request()
    rule = {"operation": "CreateTrainingJob", "resource_prefix": asked["TrainingJobName"]}
    bench.control.add_faults(rule | {"kind": "drop_after", "times": 1})

    with pytest.raises(ConnectionClosedError):
        bench.sagemaker.create_training_job(**asked)
    with raises_code("ResourceInUse"):
        bench.sagemaker.create_training_job(**asked)

    assert bench.settle_job(asked["TrainingJobName"])["TrainingJobStatus"] == "Completed"


def test_the_words_of_a_job_are_in_cloudwatch_logs(bench, make_emulator_client):
    logs = make_emulator_client("logs")
    group = {"logGroupName": "/aws/sagemaker/TrainingJobs"}
    job = bench.run_job()["TrainingJobName"]

    (stream,) = logs.describe_log_streams(**group, logStreamNamePrefix=f"{job}/")["logStreams"]
    name = stream["logStreamName"]
    events = logs.get_log_events(**group, logStreamName=name, startFromHead=True)["events"]

    assert name.startswith(f"{job}/algo-1-")
    assert [event["message"] for event in events] == [
        "epoch 0: loss=1.000",
        "epoch 1: loss=0.500",
        "epoch 2: loss=0.333",
        "all is written",
    ]
