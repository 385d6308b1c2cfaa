"""The operations on training jobs through boto3: what is accepted, described, listed, refused.
What their processes do is in test_training_jobs_runs.py."""

from datetime import datetime

import pytest

IN_S3 = {"S3DataType": "S3Prefix", "S3Uri": "s3://models/nothing-here/"}


def channel(name="episodes", *, source=None, **changes):
    return {"ChannelName": name, "DataSource": {"S3DataSource": source or IN_S3}, **changes}


def algorithm(**changes):
    usual = {"TrainingImage": "sommelier-trainee:1", "TrainingInputMode": "File"}
    return {"AlgorithmSpecification": usual | changes}


def resources(**changes):
    usual = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
    return {"ResourceConfig": usual | changes}


def test_a_job_is_described_as_it_was_asked_for_and_as_it_ended(bench):
    asked = bench.job_request(HyperParameters={"seed": "7"}, Environment={"LEVEL": "debug"})

    arn = bench.sagemaker.create_training_job(**asked)["TrainingJobArn"]
    described = bench.settle_job(asked["TrainingJobName"])

    assert {name: described[name] for name in asked.keys() - {"OutputDataConfig"}} == {
        name: asked[name] for name in asked.keys() - {"OutputDataConfig"}
    }
    assert described["TrainingJobArn"] == arn
    assert arn.endswith(f":training-job/{asked['TrainingJobName']}")
    assert described["TrainingJobStatus"] == described["SecondaryStatus"] == "Completed"
    assert described["BillableTimeInSeconds"] == described["TrainingTimeInSeconds"] >= 1
    times = ("CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime")
    assert sorted(described[name] for name in times) == [described[name] for name in times]


def test_a_job_without_a_limit_has_that_of_a_day(bench):
    asked = bench.job_request()
    del asked["StoppingCondition"]

    bench.sagemaker.create_training_job(**asked)
    described = bench.settle_job(asked["TrainingJobName"])

    assert described["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}


def test_the_stages_follow_each_other_without_a_gap(bench):
    stages = bench.run_job()["SecondaryStatusTransitions"]

    names = [stage["Status"] for stage in stages]
    assert names == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert [one["EndTime"] for one in stages[:-1]] == [one["StartTime"] for one in stages[1:]]


def test_a_name_is_taken_for_ever_whatever_its_case(bench, raises_code):
    job = bench.run_job()["TrainingJobName"]

    with raises_code("ResourceInUse", f"already exists .*training-job/{job}"):
        bench.begin_job(TrainingJobName=job.upper())


@pytest.mark.parametrize("operation", ["describe_training_job", "stop_training_job"])
def test_an_unknown_job_is_refused_in_the_words_of_aws(bench, raises_code, operation):
    with raises_code("ValidationException", "Requested resource not found"):
        getattr(bench.sagemaker, operation)(TrainingJobName="nobody")


def test_an_ended_job_cannot_be_stopped(bench, raises_code):
    job = bench.run_job()["TrainingJobName"]

    with raises_code("ValidationException", "the training job is in status Completed"):
        bench.sagemaker.stop_training_job(TrainingJobName=job)


def test_a_channel_without_objects_is_refused_and_leaves_no_job(bench, raises_code):
    asked = bench.job_request(InputDataConfig=[channel()])

    with raises_code("ValidationException", 'No S3 objects found under S3 URL "s3://models/noth'):
        bench.sagemaker.create_training_job(**asked)

    listed = bench.sagemaker.list_training_jobs(NameContains=asked["TrainingJobName"])
    assert listed["TrainingJobSummaries"] == []


REFUSED = {
    "a mode": (algorithm(TrainingInputMode="Pipe"), "Input mode Pipe"),
    "an algorithm's name": (algorithm(AlgorithmName="xgboost"), "AlgorithmName"),
    "an entry point": (algorithm(ContainerEntrypoint=["/bin/bash"]), "ContainerEntrypoint"),
    "no image": ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "TrainingImage is"),
    "a broken regex": (
        algorithm(MetricDefinitions=[{"Name": "loss", "Regex": "("}]),
        "regex of the metric 'loss'",
    ),
    "two instances": (resources(InstanceCount=2), "more than one instance"),
    "no instance type": ({"ResourceConfig": {"InstanceCount": 1}}, "InstanceType is required"),
    "spot": ({"EnableManagedSpotTraining": True}, "EnableManagedSpotTraining"),
    "retries": ({"RetryStrategy": {"MaximumRetryAttempts": 2}}, "RetryStrategy"),
    "loose output": (
        {"OutputDataConfig": {"S3OutputPath": "s3://models/x", "CompressionType": "NONE"}},
        "Uncompressed output",
    ),
    "output elsewhere": ({"OutputDataConfig": {"S3OutputPath": "https://a/b"}}, "Only s3://"),
    "checkpoints elsewhere": (
        {"CheckpointConfig": {"S3Uri": "s3://models/c", "LocalPath": "/tmp"}},
        "Checkpoints elsewhere",
    ),
    "a channel's mode": ({"InputDataConfig": [channel(InputMode="FastFile")]}, "Input mode Fast"),
    "a packed channel": ({"InputDataConfig": [channel(CompressionType="Gzip")]}, "Gzip does not"),
    "a twin channel": ({"InputDataConfig": [channel(), channel()]}, "must be unique"),
    "an augmented manifest": (
        {"InputDataConfig": [channel(source=IN_S3 | {"S3DataType": "AugmentedManifestFile"})]},
        "AugmentedManifestFile channels",
    ),
    "a number": ({"HyperParameters": {"seed": 7}}, "Member must be of type string"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_cannot_run_offline_is_refused_plainly(bench, raises_code, case):
    changes, words = REFUSED[case]

    with raises_code("ValidationException", words):
        bench.sagemaker.create_training_job(**bench.job_request(**changes))


def test_a_job_takes_tags_at_its_creation_and_later(bench):
    job = bench.begin_job(Tags=[{"Key": "team", "Value": "a"}])
    arn = bench.describe_job(job)["TrainingJobArn"]

    bench.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "run", "Value": "1"}])

    tags = bench.sagemaker.list_tags(ResourceArn=arn)["Tags"]
    assert tags == [{"Key": "run", "Value": "1"}, {"Key": "team", "Value": "a"}]


@pytest.fixture(scope="module")
def three(shared_bench):
    """Three ended jobs with a name in common, the second of which failed; oldest first."""
    stem = shared_bench.name("listed")
    wishes = [{}, {"exit_code": "1"}, {}]
    for number, wish in enumerate(wishes):
        shared_bench.run_job(TrainingJobName=f"{stem}-{number}", wishes=wish)
    return stem


def names(listed):
    return [job["TrainingJobName"][-1] for job in listed["TrainingJobSummaries"]]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["0", "1", "2"]),
        ({"SortOrder": "Descending"}, ["2", "1", "0"]),
        ({"SortBy": "Name"}, ["0", "1", "2"]),
        ({"SortBy": "Status", "SortOrder": "Descending"}, ["1", "2", "0"]),
        ({"StatusEquals": "Failed"}, ["1"]),
        ({"StatusEquals": "InProgress"}, []),
        ({"CreationTimeAfter": datetime(2020, 1, 1)}, ["0", "1", "2"]),  # noqa: DTZ001
        ({"LastModifiedTimeBefore": datetime(2020, 1, 1)}, []),  # noqa: DTZ001
        ({"WarmPoolStatusEquals": "InUse"}, []),
    ],
)
def test_jobs_are_listed_as_asked(bench, three, asked, found):
    assert names(bench.sagemaker.list_training_jobs(NameContains=three, **asked)) == found


def test_a_list_of_jobs_comes_in_pages(bench, three):
    asked = {"NameContains": three, "MaxResults": 2}

    first = bench.sagemaker.list_training_jobs(**asked)
    second = bench.sagemaker.list_training_jobs(**asked, NextToken=first["NextToken"])

    assert (names(first), names(second)) == (["0", "1"], ["2"])
    assert "NextToken" not in second
