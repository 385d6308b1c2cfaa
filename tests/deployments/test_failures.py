"""Endpoints that fail, serve something else or vanish: seen, recorded, recovered or reported."""

import json
from typing import Any

import pytest

from chalicelib.deployments import service, triggers
from chalicelib.deployments.model import State
from chalicelib.kit import aws
from chalicelib.kit.clock import Deadline
from chalicelib.registry.model import NothingToRollBackTo, Stage, VersionNotLive
from tests.builders import events
from tests.builders.archives import make_archive
from tests.builders.models import linear_archive
from tests.builders.owners import put_settings, version_of
from tests.builders.states import end_state, ledger_actions, settle, turn_back

ARCHIVE = make_archive({"weights": b"v1"})
REALTIME = {"kind": "realtime", "instance_type": "ml.m5.large"}


@pytest.fixture
def one_live(world):
    """A model whose champion is 1.0.0."""
    put_settings(world)
    world.upload("1.0.0", ARCHIVE)
    settle([world])
    return world


def deploy(world: Any, version: str) -> None:
    service.deploy(world.tenant, world.model, version, actor="test", deadline=Deadline(60))


def take_away(world: Any, version: str) -> None:
    """Delete the endpoint as someone else with the rights would."""
    name = world.deployment(version).name
    aws.sagemaker().delete_endpoint(EndpointName=name)
    endpoints = aws.sagemaker().list_endpoints
    world.wait_until(lambda: not endpoints(NameContains=name)["Endpoints"])


def test_a_failed_creation_says_why_and_leaves_the_champion(one_live, control):
    fault = {"kind": "fail_creation", "operation": "CreateEndpoint", "times": 1}
    control.add_faults(fault | {"reason": "no capacity"})
    one_live.upload("1.1.0", ARCHIVE)
    settle([one_live])

    found = version_of(one_live, "1.1.0")

    assert found.stage is Stage.FAILED
    assert (found.reason.code, found.reason.detail) == ("endpoint-failed", "no capacity")
    assert end_state(one_live).champion == "1.0.0"
    assert "version.failed" in ledger_actions(one_live)


def test_a_failed_version_can_be_deployed_again(one_live, control):
    control.add_faults({"kind": "fail_creation", "operation": "CreateEndpoint", "times": 1})
    one_live.upload("1.1.0", ARCHIVE)
    settle([one_live])

    deploy(one_live, "1.1.0")
    settle([one_live])

    found = version_of(one_live, "1.1.0")
    assert (found.stage, found.reason) == (Stage.CANDIDATE, None)
    assert end_state(one_live).deployments["1.1.0"] == (State.LIVE, 2, 0, None, 0)


@pytest.mark.parametrize("image", ["sommelier-broken:1", "sommelier-mute:1", "no-such-image:1"])
def test_a_container_that_never_passes_its_ping_fails_the_version(world, image: str):
    put_settings(world, image=image, hosting=REALTIME)
    world.upload("1.0.0", ARCHIVE)
    settle([world])

    found = version_of(world, "1.0.0")

    assert found.stage is Stage.FAILED
    assert found.reason.code == "endpoint-failed"
    assert end_state(world).champion is None


def test_a_model_that_refuses_its_own_sample_fails_with_its_answer(world):
    put_settings(world)
    sample = json.dumps({"status": 422, "say": "three columns, not one"}).encode()
    world.upload("1.0.0", make_archive({"weights": b"v1", "sample.json": sample}))
    settle([world])

    found = version_of(world, "1.0.0")

    assert (found.stage, found.reason.code) == (Stage.FAILED, "smoke-test-failed")
    assert "answered with 422: 'three columns, not one'" in found.reason.detail
    assert end_state(world).stands_in_sagemaker == 0


def test_an_onnx_model_whose_sample_has_another_shape_never_goes_live(world):
    three_columns = json.dumps({"instances": [[1.0, 2.0, 3.0]]})
    world.upload("1.0.0", linear_archive(2.0, sample=three_columns))
    settle([world])

    assert version_of(world, "1.0.0").stage is Stage.FAILED
    assert end_state(world).stands_in_sagemaker == 0


def test_settings_that_sagemaker_refuses_fail_the_version_with_its_words(world):
    put_settings(world, hosting=REALTIME | {"instance_type": "ml.nothing.large"})
    world.upload("1.0.0", ARCHIVE)
    settle([world])

    found = version_of(world, "1.0.0")

    assert (found.stage, found.reason.code) == (Stage.FAILED, "sagemaker-refused")
    assert end_state(world).stands_in_sagemaker == 0


def test_an_endpoint_in_service_on_another_configuration_is_no_success(one_live, control):
    other = one_live.deployment("1.0.0").name
    fault = {"kind": "silent_rollback", "operation": "CreateEndpoint", "times": 1}
    control.add_faults(fault | {"config": other})
    one_live.upload("1.1.0", ARCHIVE)
    settle([one_live])

    found = version_of(one_live, "1.1.0")

    assert (found.stage, found.reason.code) == (Stage.FAILED, "endpoint-rolled-back")
    assert other in found.reason.detail
    assert end_state(one_live).champion == "1.0.0"


def test_a_live_endpoint_moved_to_another_configuration_is_replaced(one_live):
    one_live.upload("1.1.0", ARCHIVE)
    settle([one_live])
    lost, other = (one_live.deployment(version).name for version in ("1.0.0", "1.1.0"))
    aws.sagemaker().update_endpoint(EndpointName=lost, EndpointConfigName=other)

    one_live.wait_until(lambda: is_looked_at(one_live, attempt=2))
    settle([one_live])
    turn_back(one_live, "1.0.0", hours=1)
    settle([one_live])

    assert "endpoint.lost" in ledger_actions(one_live)
    assert end_state(one_live).deployments["1.0.0"] == (State.LIVE, 2, 1, None, 0)


def test_an_endpoint_moved_again_and_again_keeps_answering_and_is_told_once(one_live):
    one_live.upload("1.1.0", ARCHIVE)
    settle([one_live])
    other = one_live.deployment("1.1.0").name
    for attempt in range(1, 5):
        one_live.wait_until(lambda: one_live.deployment("1.0.0").state is State.LIVE)
        moved = one_live.deployment("1.0.0").name
        aws.sagemaker().update_endpoint(EndpointName=moved, EndpointConfigName=other)
        one_live.wait_until(lambda n=attempt: is_told(one_live, n))
        settle([one_live])
    entries = ledger_actions(one_live).count("endpoint.lost")
    triggers.reconcile(events.scheduled(), None)

    found = one_live.deployment("1.0.0")

    assert (found.state, found.attempt, found.name) == (State.LIVE, 4, moved)
    assert version_of(one_live, "1.0.0").reason.code == "endpoint-rolled-back"
    assert ledger_actions(one_live).count("endpoint.lost") == entries == 4


def is_told(world: Any, times: int) -> bool:
    triggers.reconcile(events.scheduled(), None)
    return ledger_actions(world).count("endpoint.lost") == times


def test_a_deleted_endpoint_is_made_again_and_the_record_says_so(one_live):
    take_away(one_live, "1.0.0")

    triggers.reconcile(events.scheduled(), None)
    reason = version_of(one_live, "1.0.0").reason
    settle([one_live])
    turn_back(one_live, "1.0.0", hours=1)
    settle([one_live])

    assert reason.code == "endpoint-missing"
    found = end_state(one_live)
    assert found.champion == "1.0.0"
    assert found.deployments["1.0.0"] == (State.LIVE, 2, 1, None, 0)
    assert ledger_actions(one_live).count("endpoint.lost") == 1


def test_an_endpoint_lost_again_and_again_is_reported_and_left(one_live):
    for _ in range(4):
        take_away(one_live, "1.0.0")
        settle([one_live])

    found = one_live.deployment("1.0.0")

    assert (found.state, found.attempt) == (State.FAILED, 4)
    assert found.reason.code == "endpoint-missing"
    assert version_of(one_live, "1.0.0").reason == found.reason
    assert triggers.reconcile(events.scheduled(), None) == {"failed": 0}
    assert one_live.deployment("1.0.0").attempt == 4


def test_an_endpoint_lost_again_and_again_comes_back_when_it_is_asked_for(one_live):
    for _ in range(4):
        take_away(one_live, "1.0.0")
        settle([one_live])

    deploy(one_live, "1.0.0")
    settle([one_live])
    turn_back(one_live, "1.0.0", hours=1)
    settle([one_live])

    assert end_state(one_live).deployments["1.0.0"] == (State.LIVE, 5, 0, None, 0)
    assert end_state(one_live).champion == "1.0.0"


def test_a_candidate_without_its_endpoint_is_not_promoted_until_it_is_back(one_live, control):
    one_live.upload("1.1.0", ARCHIVE)
    settle([one_live])
    take_away(one_live, "1.1.0")
    control.add_faults({"kind": "throttle", "operation": "CreateModel", "times": 3})
    triggers.reconcile(events.scheduled(), None)
    names = (one_live.tenant, one_live.model)

    with pytest.raises(VersionNotLive):
        service.promote(*names, "1.1.0", actor="test", reason="")

    settle([one_live])
    service.promote(*names, "1.1.0", actor="test", reason="")
    assert end_state(one_live).champion == "1.1.0"


def test_a_former_champion_without_its_endpoint_is_nothing_to_roll_back_to(one_live, control):
    one_live.upload("1.1.0", ARCHIVE)
    settle([one_live])
    names = (one_live.tenant, one_live.model)
    service.promote(*names, "1.1.0", actor="test", reason="")
    take_away(one_live, "1.0.0")
    control.add_faults({"kind": "throttle", "operation": "CreateModel", "times": 3})
    triggers.reconcile(events.scheduled(), None)

    with pytest.raises(NothingToRollBackTo):
        service.roll_back(*names, to=None, actor="test", reason="")

    settle([one_live])
    assert service.roll_back(*names, to=None, actor="test", reason="").version == "1.0.0"


def is_looked_at(world: Any, *, attempt: int) -> bool:
    triggers.reconcile(events.scheduled(), None)
    return world.deployment("1.0.0").attempt == attempt
