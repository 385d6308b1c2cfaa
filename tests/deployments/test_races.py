"""Deployers, owners and schedules at once: nothing is lost, made twice, or left standing.
Races that chance would seldom bring are brought about by a hook on our own clients."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.deployments import leases, service, store, triggers
from chalicelib.deployments.model import LeaseLost, State
from chalicelib.kit import aws, tables
from chalicelib.kit.clock import Deadline
from chalicelib.registry import registration
from chalicelib.registry import service as registry
from chalicelib.registry.model import Stage, VersionNotLive
from tests.builders import events
from tests.builders.archives import make_archive
from tests.builders.crashes import together
from tests.builders.states import end_state, settle

ARCHIVE = make_archive({"weights": b"v1"})
REALTIME = {"kind": "realtime", "instance_type": "ml.m5.large"}


@pytest.fixture
def one_live(world):
    """A model whose champion is 1.0.0."""
    triggers.on_upload(world.put_settings(image="sommelier-echo:1"), None)
    world.upload("1.0.0", ARCHIVE)
    settle([world])
    return world


def meanwhile(operation: str, act: Callable[[], object], *, when: str = "") -> list[bool]:
    """Let somebody act just before our next such call goes out, once; true when it happened."""
    happened: list[bool] = []

    def hook(params: Any, **_: Any) -> None:
        if not happened and when in str(params):
            happened.append(True)
            act()

    client = aws.dynamodb() if operation == "TransactWriteItems" else aws.sagemaker()
    event = f"before-parameter-build.{client.meta.service_model.service_name}.{operation}"
    client.meta.events.register(event, hook)
    return happened


def retire(world: Any, version: str) -> None:
    names = (world.tenant, world.model, version)
    service.retire(*names, actor="test", reason="", deadline=Deadline(60))


def deploy(world: Any, version: str) -> None:
    service.deploy(world.tenant, world.model, version, actor="test", deadline=Deadline(60))


def test_eight_deployers_of_two_versions_make_each_endpoint_once(world, control):
    triggers.on_upload(world.put_settings(image="sommelier-echo:1"), None)
    told = [world.put_archive(version, ARCHIVE) for version in ("1.0.0", "1.1.0")]

    def deployer(number: int) -> Callable[[], object]:
        return lambda: (
            triggers.on_upload(told[number % 2], None),
            triggers.on_upload(told[(number + 1) % 2], None),
            triggers.reconcile(events.scheduled(), None),
        )

    together([deployer(number) for number in range(8)])
    settle([world])

    found = end_state(world)
    part = f"-{world.model[:16]}-"
    made = [
        call["resource"]
        for call in control.calls()
        if (call["operation"], call["outcome"]) == ("CreateEndpoint", "ok")
        and part in call["resource"]
    ]
    assert found.stands_in_sagemaker == len(made) == len(set(made)) == 2
    assert {one[:2] for one in found.deployments.values()} == {(State.LIVE, 1)}


def test_eight_promotions_at_once_leave_one_champion(one_live):
    one_live.upload("1.1.0", ARCHIVE)
    settle([one_live])
    names = (one_live.tenant, one_live.model)

    def promote(number: int) -> Callable[[], object]:
        version = f"1.{number % 2}.0"
        return lambda: service.promote(*names, version, actor="test", reason="")

    together([promote(number) for number in range(8)])

    found = end_state(one_live)
    stages = sorted(one[0] for one in found.versions.values())
    assert stages == [Stage.CANDIDATE, Stage.CHAMPION]


def test_a_redeployment_that_a_retirement_comes_before_deploys_from_there(one_live):
    one_live.upload("1.1.0", ARCHIVE)
    settle([one_live])
    triggers.on_upload(one_live.put_settings(image="sommelier-echo:1", hosting=REALTIME), None)

    happened = meanwhile(
        "TransactWriteItems", lambda: retire(one_live, "1.1.0"), when='"state":"requested"'
    )
    deploy(one_live, "1.1.0")
    settle([one_live])

    assert happened
    found = end_state(one_live)
    assert found.versions["1.1.0"][0] is Stage.CANDIDATE
    assert [move[:3] for move in found.moves[-3:]] == [
        ("1.1.0", Stage.CANDIDATE, Stage.RETIRED),
        ("1.1.0", Stage.RETIRED, Stage.DEPLOYING),
        ("1.1.0", Stage.DEPLOYING, Stage.CANDIDATE),
    ]


def test_a_version_retired_while_its_endpoint_is_made_leaves_none(one_live):
    happened = meanwhile("CreateEndpoint", lambda: retire(one_live, "1.1.0"))

    one_live.upload("1.1.0", ARCHIVE)
    settle([one_live])

    assert happened
    assert end_state(one_live).stands_in_sagemaker == 1
    assert end_state(one_live).versions["1.1.0"][0] is Stage.RETIRED


def test_a_version_retired_while_its_creation_is_refused_leaves_none(one_live, control):
    control.add_faults({"kind": "fail_creation", "operation": "CreateEndpoint", "times": 1})
    happened = meanwhile(
        "TransactWriteItems", lambda: retire(one_live, "1.1.0"), when="version.failed"
    )

    one_live.upload("1.1.0", ARCHIVE)
    settle([one_live])

    assert happened
    assert end_state(one_live).versions["1.1.0"][0] is Stage.RETIRED


def test_a_candidate_that_is_retired_while_it_is_promoted_is_not_champion(one_live):
    one_live.upload("1.1.0", ARCHIVE)
    settle([one_live])
    happened = meanwhile(
        "TransactWriteItems", lambda: retire(one_live, "1.1.0"), when="model.promoted"
    )

    with pytest.raises(VersionNotLive):
        service.promote(one_live.tenant, one_live.model, "1.1.0", actor="test", reason="")

    assert happened
    assert registry.get_model(one_live.tenant, one_live.model).champion.version == "1.0.0"


def test_a_deployer_whose_lease_ran_out_writes_nothing_any_more(one_live):
    names = (one_live.tenant, one_live.model, "1.0.0")
    stale = leases.acquire(*names)
    one_live.wait_until(lambda: leases.acquire(*names) is not None)

    with pytest.raises(LeaseLost):
        leases.update(one_live.tenant, stale, state=State.RETIRING)

    assert one_live.deployment("1.0.0").state is State.LIVE


def test_a_lease_is_renewed_before_each_step_and_others_wait(one_live):
    names = (one_live.tenant, one_live.model, "1.0.0")
    held = leases.acquire(*names)
    first = held.lease.until

    one_live.wait_until(lambda: leases.hold(one_live.tenant, held).lease.until > first)

    assert leases.acquire(*names) is None


def test_a_holder_looks_again_when_somebody_came_meanwhile(one_live):
    names = (one_live.tenant, one_live.model, "1.0.0")
    held = leases.acquire(*names)
    assert leases.acquire(*names) is None

    assert leases.release(*names, held.fence) is False
    assert leases.release(*names, held.fence) is True


def test_what_is_asked_while_a_deployer_works_is_done_by_that_deployer(one_live):
    """The second asker gets no lease and goes; nobody comes after it."""
    name = one_live.deployment("1.0.0").name
    happened = meanwhile("DescribeEndpoint", lambda: redeploy(one_live))

    triggers.on_endpoint_state_change(events.endpoint_changed(name), None)

    assert happened
    assert one_live.deployment("1.0.0").state is not State.REQUESTED
    assert one_live.deployment("1.0.0").attempt == 2


def test_a_version_whose_process_died_before_it_asked_is_deployed_by_the_reconciler(world):
    event = world.put_archive("1.0.0", ARCHIVE)
    triggers.on_upload(world.put_settings(image="sommelier-echo:1"), None)
    registration.register(
        world.tenant,
        event["detail"]["object"]["key"],
        object_version=event["detail"]["object"]["version-id"],
    )

    settle([world])
    settle([world])

    assert end_state(world).champion == "1.0.0"


def test_one_broken_row_does_not_keep_the_reconciler_from_the_others(one_live, make_world):
    other = make_world(1)
    triggers.on_upload(other.put_settings(image="sommelier-echo:1"), None)
    other.upload("1.0.0", ARCHIVE)
    found = one_live.deployment("1.0.0")
    changed = found.model_copy(update={"version": "9.9.9", "state": State.CREATING})
    tables.commit([store.put(one_live.tenant, None, changed)])

    failed = triggers.reconcile(events.scheduled(), None)
    other.wait_until(lambda: is_live(other))

    assert failed == {"failed": 1}


def is_live(world: Any) -> bool:
    triggers.reconcile(events.scheduled(), None)
    return world.deployment("1.0.0").state is State.LIVE


def redeploy(world: Any) -> None:
    triggers.on_upload(world.put_settings(image="sommelier-echo:1", hosting=REALTIME), None)
    deploy(world, "1.0.0")


def status_of(name: str) -> str:
    return aws.sagemaker().describe_endpoint(EndpointName=name)["EndpointStatus"]
