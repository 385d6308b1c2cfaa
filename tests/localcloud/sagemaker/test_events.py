"""The state-change events, as a rule of the emulator's default bus delivers them to a queue.
Nothing here looks at the endpoint itself."""

import json

import pytest

PATTERN = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"]}


class Queue:
    """A queue behind a rule, and what has come so far."""

    def __init__(self, sqs, url):
        self.sqs = sqs
        self.url = url
        self.events = []

    def receive(self):
        answer = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        )
        self.events += [json.loads(message["Body"]) for message in answer.get("Messages", [])]
        return self.events

    def statuses(self, endpoint):
        details = [event["detail"] for event in self.receive()]
        return [one["EndpointStatus"] for one in details if one["EndpointName"] == endpoint]


@pytest.fixture(scope="session")
def queue(shared_bench, make_emulator_client):
    sqs, bus = make_emulator_client("sqs"), make_emulator_client("events")
    url = sqs.create_queue(QueueName="state-changes")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    bus.put_rule(Name="state-changes", EventPattern=json.dumps(PATTERN))
    bus.put_targets(Rule="state-changes", Targets=[{"Id": "1", "Arn": attributes["QueueArn"]}])
    return Queue(sqs, url)


def test_each_change_of_an_endpoint_is_announced_in_order(bench, queue):
    endpoint = bench.make_endpoint()
    bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=bench.make_config())
    bench.settle(endpoint)
    bench.sagemaker.delete_endpoint(EndpointName=endpoint)

    bench.await_true(lambda: len(queue.statuses(endpoint)) >= 5, "five events")
    assert queue.statuses(endpoint) == [
        "CREATING",
        "IN_SERVICE",
        "UPDATING",
        "IN_SERVICE",
        "DELETING",
    ]


def test_an_event_has_the_documented_shape(bench, queue):
    # https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
    config = bench.make_config()
    endpoint = bench.make_endpoint(config, Tags=[{"Key": "team", "Value": "a"}])
    bench.await_true(lambda: "IN_SERVICE" in queue.statuses(endpoint), "the event")

    (event,) = [one for one in queue.events if one["detail"]["EndpointName"] == endpoint][1:]
    detail = event["detail"]

    assert (event["source"], event["detail-type"]) == ("aws.sagemaker", PATTERN["detail-type"][0])
    assert event["resources"] == [detail["EndpointArn"]]
    assert detail["EndpointConfigName"] == config
    assert detail["ProductionVariants"] == [{"DesiredWeight": 1.0, "DesiredInstanceCount": 1.0}]
    assert detail["Tags"] == {"team": "a"}
    assert detail["LastModifiedTime"] >= detail["CreationTime"] > 1_000_000_000_000


def test_a_failed_endpoint_is_announced_with_its_reason(bench, queue):
    model = bench.make_model(image="sommelier-broken:1")
    endpoint = bench.make_endpoint(bench.make_config(bench.variant(ModelName=model)))

    bench.await_true(lambda: "FAILED" in queue.statuses(endpoint), "the event")

    details = [one["detail"] for one in queue.events]
    (failed,) = [one for one in details if one["EndpointName"] == endpoint][1:]
    assert "did not pass the ping health check" in failed["FailureReason"]


def test_events_are_lost_and_doubled_on_demand(bench, queue):
    bench.control.add_faults(
        {"kind": "lose_event", "operation": "CREATING"},
        {"kind": "duplicate_event", "operation": "IN_SERVICE"},
    )
    endpoint = bench.make_endpoint()

    bench.await_true(lambda: len(queue.statuses(endpoint)) >= 2, "two events")
    assert queue.statuses(endpoint) == ["IN_SERVICE", "IN_SERVICE"]


def test_a_rule_that_does_not_match_gets_nothing(bench, queue, make_emulator_client):
    sqs, bus = make_emulator_client("sqs"), make_emulator_client("events")
    url = sqs.create_queue(QueueName="failures")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    pattern = PATTERN | {"detail": {"EndpointStatus": ["FAILED"]}}
    bus.put_rule(Name="failures", EventPattern=json.dumps(pattern))
    bus.put_targets(Rule="failures", Targets=[{"Id": "1", "Arn": attributes["QueueArn"]}])

    endpoint = bench.make_endpoint()
    bench.await_true(lambda: "IN_SERVICE" in queue.statuses(endpoint), "the event")

    assert Queue(sqs, url).statuses(endpoint) == []
