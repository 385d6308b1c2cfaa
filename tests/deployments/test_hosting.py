"""Redeployment with other settings: the old endpoint serves until the new one does, and is then
removed; scaling and data capture come and go with the endpoint that has them."""

from typing import Any

import pytest

from chalicelib.deployments import service, triggers
from chalicelib.deployments.model import State
from chalicelib.kit import aws
from chalicelib.kit.clock import Deadline
from chalicelib.registry import service as registry
from chalicelib.registry.model import Stage
from tests.builders import events
from tests.builders.archives import make_archive
from tests.builders.states import end_state, scaled_endpoints, settle, turn_back

ARCHIVE = make_archive({"weights": b"v1"})
SERVERLESS = {"kind": "serverless"}
REALTIME = {
    "kind": "realtime",
    "instance_type": "ml.m5.large",
    "autoscaling": {"min_instances": 2, "max_instances": 4},
    "capture_percent": 20,
}
BOTH_WAYS = pytest.mark.parametrize(
    ("before", "after"), [(SERVERLESS, REALTIME), (REALTIME, SERVERLESS)]
)


def host(world: Any, hosting: dict[str, Any], image: str = "echo") -> None:
    settings = {"image": f"sommelier-{image}:1", "hosting": hosting}
    triggers.on_upload(world.put_settings(**settings), None)


def live(world: Any, hosting: dict[str, Any], version: str = "1.0.0") -> None:
    host(world, hosting)
    world.upload(version, ARCHIVE)
    settle([world])


def deploy(world: Any) -> None:
    names = (world.tenant, world.model, "1.0.0")
    service.deploy(*names, actor="test", deadline=Deadline(60))


def serving(world: Any) -> str:
    champion = registry.get_model(world.tenant, world.model).champion
    assert champion is not None
    return champion.endpoint


def is_answered(world: Any) -> bool:
    answer = aws.sagemaker_runtime().invoke_endpoint(EndpointName=serving(world), Body=b"{}")
    return answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@BOTH_WAYS
def test_the_old_endpoint_serves_until_the_new_one_does(world, control, before, after):
    live(world, before)
    old = serving(world)
    control.freeze()
    host(world, after)

    deploy(world)

    assert (serving(world), is_answered(world)) == (old, True)
    control.unfreeze()
    settle([world])
    assert serving(world) != old
    assert is_answered(world)


@BOTH_WAYS
def test_the_old_endpoint_goes_after_the_grace(world, before, after):
    live(world, before)
    old = serving(world)
    host(world, after)
    deploy(world)
    settle([world])
    assert old in world.names_in_sagemaker()["endpoints"]

    turn_back(world, "1.0.0", hours=1)
    settle([world])

    assert world.names_in_sagemaker()["endpoints"] == [serving(world)]
    assert end_state(world).versions["1.0.0"][3] == after["kind"]


def test_a_replacement_that_fails_leaves_the_old_endpoint(world):
    live(world, SERVERLESS)
    old = serving(world)
    host(world, SERVERLESS, image="broken")

    deploy(world)
    settle([world])

    found = registry.get_version(world.tenant, world.model, "1.0.0")
    assert (found.stage, found.reason.code) == (Stage.CHAMPION, "endpoint-failed")
    assert (serving(world), is_answered(world)) == (old, True)
    assert end_state(world).deployments["1.0.0"][0] is State.LIVE


def test_a_replacement_can_be_tried_again_after_it_failed(world):
    live(world, SERVERLESS)
    host(world, SERVERLESS, image="broken")
    deploy(world)
    settle([world])
    host(world, REALTIME)

    deploy(world)
    settle([world])
    turn_back(world, "1.0.0", hours=1)
    settle([world])

    found = end_state(world)
    assert found.versions["1.0.0"][2:4] == (None, "realtime")
    assert found.deployments["1.0.0"] == (State.LIVE, 3, 0, None, 0)


def test_the_same_settings_make_no_other_endpoint(world):
    live(world, REALTIME)
    old = serving(world)

    deploy(world)

    assert serving(world) == old
    assert world.deployment("1.0.0").attempt == 1


def test_a_realtime_endpoint_scales_as_its_settings_say(world):
    live(world, REALTIME)

    scaling = aws.autoscaling()
    resource = f"endpoint/{serving(world)}/variant/AllTraffic"
    names = {"ServiceNamespace": "sagemaker"}
    target = scaling.describe_scalable_targets(ResourceIds=[resource], **names)
    policy = scaling.describe_scaling_policies(ResourceId=resource, **names)

    (found,) = target["ScalableTargets"]
    assert (found["MinCapacity"], found["MaxCapacity"]) == (2, 4)
    tracking = policy["ScalingPolicies"][0]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 1_000


def test_scaling_goes_when_its_endpoint_is_replaced_by_a_serverless_one(world):
    live(world, REALTIME)
    host(world, SERVERLESS)
    deploy(world)
    settle([world])
    turn_back(world, "1.0.0", hours=1)

    settle([world])

    assert scaled_endpoints(world) == []


def test_scaling_is_deregistered_before_the_endpoint_is_deleted(world, control):
    live(world, REALTIME)
    world.upload("1.1.0", ARCHIVE)
    settle([world])
    name = world.deployment("1.1.0").name
    retired = (world.tenant, world.model, "1.1.0")

    service.retire(*retired, actor="test", reason="", deadline=Deadline(60))
    settle([world])

    calls = [call["operation"] for call in control.calls() if name in call["resource"]]
    assert calls.index("DeregisterScalableTarget") < calls.index("DeleteEndpoint")
    assert scaled_endpoints(world) == [f"endpoint/{serving(world)}/variant/AllTraffic"]


def test_a_realtime_endpoint_captures_data_under_its_model(world):
    live(world, REALTIME)

    config = aws.sagemaker().describe_endpoint_config(EndpointConfigName=serving(world))

    capture = config["DataCaptureConfig"]
    assert capture["InitialSamplingPercentage"] == 20
    assert capture["DestinationS3Uri"].endswith(f"/capture/{world.model}")


def test_a_serverless_endpoint_captures_nothing_and_does_not_scale(world):
    live(world, SERVERLESS)

    config = aws.sagemaker().describe_endpoint_config(EndpointConfigName=serving(world))

    assert "DataCaptureConfig" not in config
    assert config["ProductionVariants"][0]["ServerlessConfig"]["MaxConcurrency"] == 10
    assert scaled_endpoints(world) == []


def test_everything_made_in_sagemaker_bears_the_tags_of_its_version(world):
    live(world, SERVERLESS)
    arn = aws.sagemaker().describe_endpoint(EndpointName=serving(world))["EndpointArn"]

    found = aws.sagemaker().list_tags(ResourceArn=arn)["Tags"]

    tags = {tag["Key"]: tag["Value"] for tag in found}
    assert tags["sommelier:tenant"] == world.tenant
    assert (tags["sommelier:model"], tags["sommelier:version"]) == (world.model, "1.0.0")


def test_an_event_of_a_replaced_endpoint_changes_nothing(world):
    live(world, SERVERLESS)
    old = serving(world)
    host(world, REALTIME)
    deploy(world)
    settle([world])
    new = serving(world)

    answer = triggers.on_endpoint_state_change(events.endpoint_changed(old), None)

    assert answer == {"is_ours": True}
    assert serving(world) == new


def test_an_event_of_an_endpoint_of_others_is_left_alone(world):
    answer = triggers.on_endpoint_state_change(events.endpoint_changed("theirs"), None)

    assert answer == {"is_ours": False}
