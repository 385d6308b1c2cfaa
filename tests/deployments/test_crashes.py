"""A process dies before and after each mutating call it makes; then its event comes again.
The end is that of a run without a crash, and nothing is left standing in SageMaker."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.deployments import service, triggers
from chalicelib.kit import aws
from chalicelib.kit.clock import Deadline
from tests.builders import events
from tests.builders.archives import make_archive
from tests.builders.crashes import die_at, moments, mutating_calls
from tests.builders.states import end_state, settle, turn_back

ARCHIVE = make_archive({"weights": b"v1", "sample.json": b"{}"})
REALTIME = {
    "kind": "realtime",
    "instance_type": "ml.m5.large",
    "autoscaling": {"max_instances": 2},
}
Step = Callable[[Any], None]
Handler = Callable[[], object]


@dataclass(frozen=True)
class Scenario:
    given: tuple[Step, ...]
    """After each of them everything settles, but after the last."""
    act: Callable[[Any], Handler]
    """Prepares what the process does that dies; it is done again after the crash."""
    least_calls: int


def apply_settings(image: str = "echo", **hosting: Any) -> Step:
    settings: dict[str, Any] = {"image": f"sommelier-{image}:1"}
    if hosting:
        settings["hosting"] = hosting
    return lambda world: triggers.on_upload(world.put_settings(**settings), None)


def upload(version: str) -> Step:
    return lambda world: world.upload(version, ARCHIVE)


def call(use_case: Callable[..., object], *versions: str, **arguments: Any) -> Callable[..., Any]:
    """A handler of one use case."""

    def act(world: Any) -> Handler:
        names = (world.tenant, world.model, *versions)
        return lambda: use_case(*names, actor="test", **arguments)

    return act


def now(act: Callable[[Any], Handler]) -> Step:
    return lambda world: act(world)()


def upload_of_both(world: Any) -> Handler:
    settings = world.put_settings(image="sommelier-echo:1")
    archive = world.put_archive("1.0.0", ARCHIVE)
    return lambda: [triggers.on_upload(event, None) for event in (archive, settings)]


def endpoint_event(version: str) -> Callable[[Any], Handler]:
    """Tell of the endpoint once it came to its end, which nobody saw."""

    def act(world: Any) -> Handler:
        name = world.deployment(version).name
        world.wait_until(lambda: status_of(name) != "Creating")
        return lambda: triggers.on_endpoint_state_change(events.endpoint_changed(name), None)

    return act


def status_of(name: str) -> str:
    return aws.sagemaker().describe_endpoint(EndpointName=name)["EndpointStatus"]


def take_away(version: str) -> Step:
    """Delete the version's endpoint as someone else with the rights would."""

    def delete(world: Any) -> None:
        name = world.deployment(version).name
        aws.sagemaker().delete_endpoint(EndpointName=name)

    return delete


def lost_event(version: str) -> Callable[[Any], Handler]:
    def act(world: Any) -> Handler:
        name = world.deployment(version).name
        return lambda: triggers.on_endpoint_state_change(events.endpoint_changed(name), None)

    return act


DEADLINE = {"deadline": Deadline(3_600)}
REASON = {"reason": ""}
TWO_LIVE = (apply_settings(), upload("1.0.0"), upload("1.1.0"))
PROMOTE = call(service.promote, "1.1.0", **REASON)
SCENARIOS = {
    "upload": Scenario((), upload_of_both, least_calls=10),
    "goes live": Scenario(
        (apply_settings(**REALTIME), upload("1.0.0")), endpoint_event("1.0.0"), least_calls=5
    ),
    "creation failed": Scenario(
        (apply_settings("broken"), upload("1.0.0")), endpoint_event("1.0.0"), least_calls=6
    ),
    "promote": Scenario((*TWO_LIVE, lambda _: None), PROMOTE, least_calls=1),
    "roll back": Scenario(
        (*TWO_LIVE, now(PROMOTE)), call(service.roll_back, to="1.0.0", **REASON), least_calls=1
    ),
    "retire": Scenario(
        (apply_settings(**REALTIME), upload("1.0.0"), upload("1.1.0"), lambda _: None),
        call(service.retire, "1.1.0", **REASON, **DEADLINE),
        least_calls=8,
    ),
    "retire in creation": Scenario(
        (apply_settings(), upload("1.0.0"), upload("1.1.0")),
        call(service.retire, "1.1.0", **REASON, **DEADLINE),
        least_calls=3,
    ),
    "redeploy": Scenario(
        (apply_settings(), upload("1.0.0"), apply_settings(**REALTIME)),
        call(service.deploy, "1.0.0", **DEADLINE),
        least_calls=7,
    ),
    "replaced goes live": Scenario(
        (
            apply_settings(**REALTIME),
            upload("1.0.0"),
            apply_settings(),
            now(call(service.deploy, "1.0.0", **DEADLINE)),
        ),
        endpoint_event("1.0.0"),
        least_calls=3,
    ),
    "replacement failed": Scenario(
        (
            apply_settings(),
            upload("1.0.0"),
            apply_settings("broken"),
            now(call(service.deploy, "1.0.0", **DEADLINE)),
        ),
        endpoint_event("1.0.0"),
        least_calls=5,
    ),
    "lost": Scenario(
        (apply_settings(), upload("1.0.0"), take_away("1.0.0")),
        lost_event("1.0.0"),
        least_calls=7,
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_anywhere_ends_as_no_crash(name: str, make_world: Callable[[int], Any]):
    scenario = SCENARIOS[name]
    whole = make_world(0)
    prepare(scenario, [whole])
    calls = mutating_calls(scenario.act(whole))
    crashes = {make_world(n): at for n, at in enumerate(moments(calls), start=1)}
    prepare(scenario, list(crashes))

    for world, moment in crashes.items():
        handler = scenario.act(world)
        die_at(moment, handler)
        handler()
    come_to_rest([whole, *crashes])

    assert len(calls) >= scenario.least_calls, calls
    for world, moment in crashes.items():
        assert end_state(world) == end_state(whole), f"{moment} of {calls}"


def prepare(scenario: Scenario, worlds: list[Any]) -> None:
    for step in scenario.given:
        for world in worlds:
            step(world)
        if step is not scenario.given[-1]:
            settle(worlds)


def come_to_rest(worlds: list[Any]) -> None:
    settle(worlds)
    for world in worlds:
        turn_back(world, "1.0.0", hours=1)
    settle(worlds)
