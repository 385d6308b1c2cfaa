"""The events of a job's state changes, as a rule of the default bus delivers them to a queue.
Nothing here looks at the job itself."""

import json

import pytest

PATTERN = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Training Job State Change"]}


class Queue:
    """A queue behind a rule, and what has come so far."""

    def __init__(self, sqs, url):
        self.sqs = sqs
        self.url = url
        self.events = []

    def of(self, job):
        answer = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        )
        self.events += [json.loads(message["Body"]) for message in answer.get("Messages", [])]
        return [event for event in self.events if event["detail"]["TrainingJobName"] == job]

    def stages(self, job):
        return [event["detail"]["SecondaryStatus"] for event in self.of(job)]


@pytest.fixture(scope="module")
def queue(shared_bench, make_emulator_client):
    sqs, bus = make_emulator_client("sqs"), make_emulator_client("events")
    url = sqs.create_queue(QueueName="training-jobs")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    bus.put_rule(Name="training-jobs", EventPattern=json.dumps(PATTERN))
    bus.put_targets(Rule="training-jobs", Targets=[{"Id": "1", "Arn": attributes["QueueArn"]}])
    return Queue(sqs, url)


def test_each_stage_of_a_job_is_announced_in_order(bench, queue):
    job = bench.run_job()["TrainingJobName"]

    bench.await_true(lambda: "Completed" in queue.stages(job), "the last event")

    assert queue.stages(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]


def test_an_event_has_the_documented_shape(bench, queue):
    # https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
    wishes = {"exit_code": "1", "output/failure": "no episodes"}
    job = bench.begin_job(wishes=wishes, Tags=[{"Key": "team", "Value": "a"}])
    bench.await_true(lambda: "Failed" in queue.stages(job), "the last event")

    event = queue.of(job)[-1]
    detail = event["detail"]

    assert event["resources"] == [detail["TrainingJobArn"]]
    assert detail["TrainingJobStatus"] == "Failed"
    assert detail["FailureReason"] == "AlgorithmError: no episodes, exit code: 1"
    assert detail["HyperParameters"] == wishes
    assert detail["AlgorithmSpecification"]["TrainingImage"] == "sommelier-trainee:1"
    assert detail["Tags"] == {"team": "a"}
    assert detail["TrainingEndTime"] >= detail["CreationTime"] > 1_000_000_000_000
    assert detail["SecondaryStatusTransitions"][0]["StartTime"] == detail["CreationTime"]


def test_events_of_a_job_are_lost_and_doubled_on_demand(bench, queue):
    lost = [{"kind": "lose_event", "operation": one} for one in ("Starting", "Downloading")]
    bench.control.add_faults(*lost, {"kind": "duplicate_event", "operation": "Completed"})
    job = bench.run_job()["TrainingJobName"]

    bench.await_true(lambda: len(queue.stages(job)) >= 4, "four events")

    assert queue.stages(job) == ["Training", "Uploading", "Completed", "Completed"]
