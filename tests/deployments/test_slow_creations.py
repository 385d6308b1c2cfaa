"""Endpoints that come late, or requests that are looked at late."""

from chalicelib.deployments import triggers
from chalicelib.kit import aws
from chalicelib.registry.model import Stage
from tests.builders import events
from tests.builders.archives import make_archive
from tests.builders.owners import put_settings, version_of
from tests.builders.states import end_state, settle, turn_back

ARCHIVE = make_archive({"weights": b"v1"})


def test_a_creation_that_takes_too_long_fails_once_it_can_be_removed(world, control):
    put_settings(world)
    control.set_delays(creating=60, updating=0, deleting=0)
    control.freeze()
    world.upload("1.0.0", ARCHIVE)
    turn_back(world, "1.0.0")

    triggers.reconcile(events.scheduled(), None)
    control.set_delays(creating=0, updating=0, deleting=0)
    control.advance(60)
    control.unfreeze()
    settle([world])

    found = version_of(world, "1.0.0")
    assert (found.stage, found.reason.code) == (Stage.FAILED, "creation-timed-out")
    assert end_state(world).stands_in_sagemaker == 0


def test_an_endpoint_in_service_is_taken_however_late_it_is_looked_at(world):
    put_settings(world)
    world.upload("1.0.0", ARCHIVE)
    name = world.deployment("1.0.0").name
    world.wait_until(lambda: status_of(name) == "InService")
    turn_back(world, "1.0.0")

    triggers.reconcile(events.scheduled(), None)

    assert end_state(world).champion == "1.0.0"


def test_a_request_forgotten_for_long_gets_its_full_time(world, control):
    put_settings(world)
    control.add_faults({"kind": "throttle", "operation": "CreateModel", "times": 3})
    world.upload("1.0.0", ARCHIVE)
    turn_back(world, "1.0.0")

    settle([world])

    assert end_state(world).champion == "1.0.0"


def status_of(name: str) -> str:
    return aws.sagemaker().describe_endpoint(EndpointName=name)["EndpointStatus"]
