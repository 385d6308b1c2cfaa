"""The facts about the emulator that the project relies on; each was a repair or a choice."""

import http.client
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.cloud import Cloud

SOON_S = 60.0
ALL_BYTES = bytes(range(256))


def test_an_upload_reaches_its_function_without_a_version_id(cloud: Cloud) -> None:
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key="models/a/1.0.0/model", Body=b"x")

    detail = eventually(lambda: kept(cloud, "artifacts/models/a/1.0.0/model.json"))

    assert detail["object"]["size"] == 1
    assert detail["object"]["sequencer"]
    assert "version-id" not in detail["object"]  # AWS sends it; the app must take both


def test_an_upload_outside_the_prefix_reaches_nobody(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.put_object(Bucket=cloud.bucket, Key="other/b", Body=b"x")
    s3.put_object(Bucket=cloud.bucket, Key="models/b", Body=b"x")

    eventually(lambda: kept(cloud, "artifacts/models/b.json"))

    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=cloud.bucket, Key="artifacts/other/b.json")


def test_a_failing_event_is_tried_again_and_then_kept(cloud: Cloud) -> None:
    queue = cloud.stack.resources["LostEvents"]

    cloud.client("s3").put_object(Bucket=cloud.bucket, Key="models/broken", Body=b"x")

    lost = eventually(lambda: received(cloud, queue))
    assert lost["requestContext"]["condition"] == "RetriesExhausted"
    assert lost["requestPayload"]["detail"]["object"]["key"] == "models/broken"
    versions = cloud.client("s3").list_object_versions(
        Bucket=cloud.bucket, Prefix="artifacts/models/broken.json"
    )
    assert len(versions["Versions"]) == 2  # the first try and one more, as the toy asks


def test_messages_sent_together_come_in_one_batch(cloud: Cloud) -> None:
    bodies = [f"together-{number}" for number in range(30)]

    send(cloud, *bodies)

    batch = eventually(lambda: batch_with(cloud, bodies[-1]))
    assert len(batch) > 10  # as many as one call of SendMessageBatch takes


def test_a_poisoned_message_goes_alone_to_the_dead_letters(cloud: Cloud) -> None:
    send(cloud, "sound-1", "poison", "sound-2")

    eventually(lambda: next((each for each in dead(cloud) if each == "poison"), None))

    assert {"sound-1", "sound-2"} <= set(batch_with(cloud, "sound-1") or [])
    assert waiting(cloud) == 0


@pytest.mark.parametrize("body", ["crash", "nonsense"])
def test_a_batch_comes_back_when_its_function_fails_or_answers_nonsense(
    cloud: Cloud, body: str
) -> None:
    send(cloud, body)

    assert eventually(lambda: next((each for each in dead(cloud) if each == body), None))


def test_a_function_may_do_only_what_its_role_allows(cloud: Cloud) -> None:
    assert invoke(cloud, {"action": "overreach"}) == "AccessDenied"


def test_a_function_that_may_send_a_message_may_send_many_in_one_call(cloud: Cloud) -> None:
    invoke(cloud, {"action": "send", "body": "sent-by-a-function"})

    assert eventually(lambda: batch_with(cloud, "sent-by-a-function"))


def test_a_function_finds_its_names_and_sagemaker_in_its_environment(cloud: Cloud) -> None:
    environment = invoke(cloud, {"action": "environment"})

    assert environment["BUCKET"] == cloud.bucket
    assert environment["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] == cloud.sagemaker_url
    assert environment["AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING"] == cloud.sagemaker_url
    assert cloud.app_environment.items() <= environment.items()


def test_a_warm_function_is_used_again_and_answers_at_once(cloud: Cloud) -> None:
    first = invoke(cloud, {})

    times_s = [timed(lambda: invoke(cloud, {})) for _ in range(9)]

    assert invoke(cloud, {})["pid"] == first["pid"]
    assert sorted(times_s)[4] < 0.05


def test_parallel_calls_of_one_function_run_side_by_side(cloud: Cloud) -> None:
    with ThreadPoolExecutor(4) as pool:
        asked = list(pool.map(lambda _: invoke(cloud, {"action": "sleep", "seconds": 1}), range(4)))

    assert len({answer["pid"] for answer in asked}) == 4


def test_remaining_time_starts_at_the_function_timeout(cloud: Cloud) -> None:
    assert 55_000 < invoke(cloud, {})["left_ms"] <= 60_000


@pytest.mark.e2e  # a minute is the shortest rate there is
def test_a_schedule_fires(cloud: Cloud) -> None:
    event = eventually(lambda: kept(cloud, "artifacts/tick.json"), within_s=150)

    assert event["detail-type"] == "Scheduled Event"


def test_bytes_pass_the_api_unchanged_both_ways(cloud: Cloud) -> None:
    kind = {"Content-Type": "application/octet-stream"}

    sent = json.loads(call(cloud, "POST", "/api/models/m/predictions", ALL_BYTES, kind)[2])
    status, _, got = call(cloud, "GET", "/api/blob", headers={"Accept": "*/*"})

    assert bytes.fromhex(sent["hex"]) == ALL_BYTES
    assert (status, got) == (200, ALL_BYTES)


def test_status_and_headers_pass_the_api_unchanged(cloud: Cloud) -> None:
    status, headers, body = call(cloud, "GET", "/api/refused")

    assert status == 503
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Retry-After"] == "3"
    assert json.loads(body) == {"code": "busy"}


def test_the_api_refuses_what_api_gateway_refuses(cloud: Cloud) -> None:
    too_long = b"x" * (10 * 1024 * 1024 + 1)

    assert call(cloud, "POST", "/api/models/m/predictions", too_long)[0] == 413
    assert call(cloud, "GET", "/api/nowhere")[0] == 403


def test_a_chunked_body_reaches_the_app(cloud: Cloud) -> None:
    chunks = iter([b"one", b"two"])

    body = call(cloud, "POST", "/api/models/m/predictions?at=1", chunks)[2]

    assert json.loads(body)["hex"] == b"onetwo".hex()
    assert json.loads(body)["query"] == {"at": "1"}


def test_one_connection_carries_many_requests_without_a_pause(cloud: Cloud) -> None:
    connection = http.client.HTTPConnection("localhost", cloud.ports.api)

    def ask() -> None:
        connection.request("GET", "/health")
        connection.getresponse().read()

    times_s = [timed(ask) for _ in range(21)]
    connection.close()
    assert sorted(times_s)[10] < 0.04  # Nagle and delayed ACK alone cost 0.04


def test_table_settings_survive_the_emulators_template_engine(cloud: Cloud) -> None:
    dynamodb = cloud.client("dynamodb")
    name = cloud.stack.resources["ControlTable"]

    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]

    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    assert recovery == "ENABLED"


def invoke(cloud: Cloud, event: dict[str, Any]) -> Any:
    answer = cloud.client("lambda").invoke(
        FunctionName=cloud.function("worker"), Payload=json.dumps(event).encode()
    )
    return json.load(answer["Payload"])


def call(
    cloud: Cloud, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, bytes]:
    connection = http.client.HTTPConnection("localhost", cloud.ports.api, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def kept(cloud: Cloud, key: str) -> Any:
    s3 = cloud.client("s3")
    try:
        return json.load(s3.get_object(Bucket=cloud.bucket, Key=key)["Body"])
    except s3.exceptions.NoSuchKey:
        return None


def send(cloud: Cloud, *bodies: str) -> None:
    for start in range(0, len(bodies), 10):
        entries = [
            {"Id": str(number), "MessageBody": body}
            for number, body in enumerate(bodies[start : start + 10])
        ]
        queue = cloud.stack.resources["Work"]
        cloud.client("sqs").send_message_batch(QueueUrl=queue, Entries=entries)


def batch_with(cloud: Cloud, body: str) -> list[str] | None:
    listed = cloud.client("s3").list_objects_v2(Bucket=cloud.bucket, Prefix="artifacts/batches/")
    batches = [kept(cloud, found["Key"]) for found in listed.get("Contents", [])]
    return next((batch for batch in batches if body in batch), None)


def dead(cloud: Cloud) -> list[str]:
    """The bodies that came to the dead letters, which are then deleted there."""
    sqs, queue = cloud.client("sqs"), cloud.stack.resources["FailedWork"]
    messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return [message["Body"] for message in messages]


def waiting(cloud: Cloud) -> int:
    """How many messages the queue of work holds, seen or hidden."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = cloud.client("sqs").get_queue_attributes(
        QueueUrl=cloud.stack.resources["Work"], AttributeNames=names
    )["Attributes"]
    return sum(int(attributes[name]) for name in names)


def received(cloud: Cloud, queue: str) -> Any:
    answer = cloud.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=1)
    return json.loads(answer["Messages"][0]["Body"]) if answer.get("Messages") else None


def eventually(look: Callable[[], Any], *, within_s: float = SOON_S) -> Any:
    deadline = time.monotonic() + within_s
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"nothing came in {within_s} s"
        time.sleep(0.05)
    return found


def timed(act: Callable[[], Any]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
