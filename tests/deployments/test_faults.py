"""Throttling, 5xx, lost and silent answers on every call to SageMaker, and throttled tables.
Each is tried a few times, then left to the reconciler; no call is made without end."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from chalicelib.deployments import service, triggers
from chalicelib.deployments.model import State
from chalicelib.kit import aws
from chalicelib.kit.clock import Deadline
from chalicelib.registry.model import Stage
from localcloud.sagemaker.handle import Control
from tests.builders import events
from tests.builders.archives import make_archive
from tests.builders.states import end_state, scaled_endpoints, settle

ARCHIVE = make_archive({"weights": b"v1", "sample.json": b"{}"})
REALTIME = {
    "kind": "realtime",
    "instance_type": "ml.m5.large",
    "autoscaling": {"max_instances": 2},
}
MAKING = (
    "CreateModel",
    "CreateEndpointConfig",
    "CreateEndpoint",
    "DescribeEndpoint",
    "RegisterScalableTarget",
    "PutScalingPolicy",
    "InvokeEndpoint",
)
REMOVING = (
    "DescribeEndpoint",
    "DeregisterScalableTarget",
    "DeleteEndpoint",
    "DeleteEndpointConfig",
    "DeleteModel",
)
FAULTS = ("throttle", "error_500", "drop_before", "drop_after")
ATTEMPTS = 3
"""The calls that botocore makes of one, by our own setting."""
ONCE = frozenset({"InvokeEndpoint"})
"""What is not sent again by itself."""


@pytest.fixture
def scaled(world):
    scale(world)
    return world


def scale(world: Any) -> None:
    triggers.on_upload(world.put_settings(image="sommelier-echo:1", hosting=REALTIME), None)


def at_once(act: Callable[[Any], None], worlds: Iterable[Any]) -> None:
    """Their pauses before another try overlap; their clients are made before, by one thread."""
    for client in (aws.sagemaker, aws.sagemaker_runtime, aws.autoscaling):
        client()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, worlds))


def retire(world: Any, version: str) -> None:
    names = (world.tenant, world.model, version)
    service.retire(*names, actor="test", reason="", deadline=Deadline(60))


def strike(control: Control, world: Any, kind: str, operation: str, times: int) -> None:
    prefix = f"sommelier-dev-{world.model[:16]}"
    if "Scal" in operation:
        prefix = f"endpoint/{prefix}"
    rule = {"kind": kind, "operation": operation, "resource_prefix": prefix, "times": times}
    control.add_faults(rule)


def count(control: Control, world: Any, operation: str) -> int:
    part = f"-{world.model[:16]}-"
    calls = control.calls()
    return sum(call["operation"] == operation and part in call["resource"] for call in calls)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_while_an_endpoint_is_made_is_left_to_the_reconciler(kind, make_world, control):
    worlds = {operation: make_world(number) for number, operation in enumerate(MAKING)}
    for operation, world in worlds.items():
        scale(world)
        strike(control, world, kind, operation, times=1 if operation in ONCE else ATTEMPTS)

    at_once(lambda world: world.upload("1.0.0", ARCHIVE), worlds.values())
    settle(list(worlds.values()))

    for operation, world in worlds.items():
        found = end_state(world)
        assert found.deployments["1.0.0"] == (State.LIVE, 1, 0, None, 0), operation
        assert found.champion == "1.0.0"
        assert len(scaled_endpoints(world)) == 1
        if operation != "DescribeEndpoint":
            assert count(control, world, operation) <= ATTEMPTS + 3, operation


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_while_an_endpoint_is_removed_is_left_to_the_reconciler(kind, make_world, control):
    worlds = {operation: make_world(number) for number, operation in enumerate(REMOVING)}
    for world in worlds.values():
        scale(world)
        for version in ("1.0.0", "1.1.0"):
            world.upload(version, ARCHIVE)
    settle(list(worlds.values()))
    for operation, world in worlds.items():
        strike(control, world, kind, operation, times=ATTEMPTS)

    at_once(lambda world: retire(world, "1.1.0"), worlds.values())
    settle(list(worlds.values()))

    for operation, world in worlds.items():
        found = end_state(world)
        assert found.versions["1.1.0"][0] is Stage.RETIRED, operation
        assert found.deployments["1.1.0"][0] is State.RETIRED, operation
        assert len(scaled_endpoints(world)) == 1
        assert count(control, world, "DeleteModel") <= ATTEMPTS + 2, operation


def test_an_outage_costs_a_bounded_number_of_calls_a_look(scaled, control):
    strike(control, scaled, "throttle", "CreateEndpoint", 1_000)
    scaled.upload("1.0.0", ARCHIVE)

    for _ in range(3):
        triggers.reconcile(events.scheduled(), None)

    assert count(control, scaled, "CreateEndpoint") == 4 * ATTEMPTS
    assert scaled.deployment("1.0.0").state is State.REQUESTED


def test_an_endpoint_that_cannot_be_seen_yet_is_not_made_over_and_over(scaled, control):
    strike(control, scaled, "vanish", "DescribeEndpoint", 1)

    scaled.upload("1.0.0", ARCHIVE)

    assert count(control, scaled, "CreateEndpoint") == 1
    settle([scaled])
    assert end_state(scaled).champion == "1.0.0"


def test_throttled_tables_are_asked_again(scaled):
    throttled = answer_from_tables(times=3, code="ThrottlingException")

    scaled.upload("1.0.0", ARCHIVE)
    settle([scaled])

    assert len(throttled) == 3
    assert end_state(scaled).champion == "1.0.0"


def test_a_throttled_transaction_ends_no_attempt(scaled):
    scaled.upload("1.0.0", ARCHIVE)
    name = scaled.deployment("1.0.0").name
    scaled.wait_until(lambda: status_of(name) == "InService")
    canceled = answer_from_tables(times=1, code="TransactionCanceledException", when=name)

    settle([scaled])

    assert canceled
    assert end_state(scaled).deployments["1.0.0"] == (State.LIVE, 1, 0, None, 0)


def test_an_upload_during_an_outage_of_the_tables_succeeds_when_told_again(scaled):
    event = scaled.put_archive("1.0.0", ARCHIVE)
    failed = answer_from_tables(times=4, code="InternalServerError", status=500)
    with pytest.raises(Exception, match="InternalServerError"):
        triggers.on_upload(event, None)

    triggers.on_upload(event, None)
    settle([scaled])

    assert len(failed) == 4
    assert end_state(scaled).champion == "1.0.0"


def answer_from_tables(*, times: int, code: str, when: str = "", status: int = 400) -> list[bool]:
    """Let DynamoDB answer the next writes with an error of its own wire format."""
    given: list[bool] = []

    def hook(request: Any, **_: Any) -> AWSResponse | None:
        is_write = request.headers["X-Amz-Target"].endswith(b"TransactWriteItems")
        if len(given) == times or not is_write or when.encode() not in request.body:
            return None
        given.append(True)
        reasons = '"CancellationReasons":[{"Code":"ThrottlingError"}]'
        body = f'{{"__type":"com.amazonaws.dynamodb.v20120810#{code}",{reasons}}}'.encode()
        answer = AWSResponse(request.url, status, {}, None)
        answer._content = body
        return answer

    aws.dynamodb().meta.events.register("before-send.dynamodb", hook)
    return given


def status_of(name: str) -> str:
    return aws.sagemaker().describe_endpoint(EndpointName=name)["EndpointStatus"]
