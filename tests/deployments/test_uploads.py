"""Upload events twice, late and in every order: one deployment per version, and one end."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.deployments import service, triggers
from chalicelib.kit import aws
from chalicelib.kit.clock import Deadline
from chalicelib.kit.settings import settings
from chalicelib.registry import service as registry
from chalicelib.registry.model import ModelSettings, Stage
from localcloud.sagemaker.handle import Control
from tests.builders import events
from tests.builders.archives import make_archive
from tests.builders.states import end_state, ledger_actions, settle

ECHO = {"image": "sommelier-echo:1"}
ORDERS = list(itertools.permutations(range(3)))


def archive(weights: bytes = b"v1") -> bytes:
    return make_archive({"weights": weights})


def tell_twice(world: Any, told: list[dict[str, Any]]) -> None:
    """Each event and later each again."""
    for event in told * 2:
        triggers.on_upload(event, None)
    settle([world])
    for event in told:
        triggers.on_upload(event, None)


def creations(control: Control, world: Any) -> list[str]:
    """The endpoints whose creation was accepted."""
    return [
        one["resource"]
        for one in control.calls()
        if one["operation"] == "CreateEndpoint"
        and one["outcome"] == "ok"
        and f"-{world.model[:16]}-" in one["resource"]
    ]


def test_three_versions_end_alike_in_every_order(make_world: Callable[[int], Any], control):
    ends = []
    for number, order in enumerate(ORDERS):
        world = make_world(number)
        world.put_settings(**ECHO, on_upload="promote")
        told = [world.put_archive(f"1.{n}.0", archive()) for n in range(3)]

        tell_twice(world, [told[n] for n in order])

        found = end_state(world)
        ends.append((found.champion, found.versions.keys(), found.stands_in_sagemaker))
        assert len(creations(control, world)) == 3
    assert ends == [("1.2.0", {"1.0.0": 1, "1.1.0": 1, "1.2.0": 1}.keys(), 3)] * len(ORDERS)


def test_settings_apply_in_whatever_order_their_upload_is_told(make_world, control):
    for number, order in enumerate(ORDERS):
        world = make_world(number)
        told = [
            world.put_settings(**ECHO, on_upload="promote"),
            world.put_archive("1.0.0", archive()),
            world.put_archive("1.1.0", archive()),
        ]

        tell_twice(world, [told[n] for n in order])

        assert end_state(world).champion == "1.1.0"
        assert len(creations(control, world)) == 2
        assert ledger_actions(world).count("model.settings_put") == 1


def test_other_bytes_under_one_version_are_refused_in_every_order(make_world, control):
    for number, order in enumerate(ORDERS):
        world = make_world(number)
        world.put_settings(**ECHO)
        told = [world.put_archive("1.0.0", archive(bytes([n]))) for n in range(3)]

        tell_twice(world, [told[n] for n in order])

        found = registry.get_version(world.tenant, world.model, "1.0.0")
        assert end_state(world).champion == "1.0.0"
        assert len(found.refused_uploads) == 2
        assert ledger_actions(world).count("upload.refused") == 2
        assert len(creations(control, world)) == 1


def test_a_higher_version_that_was_rolled_back_is_not_promoted_by_a_late_event(world):
    world.put_settings(**ECHO, on_upload="promote")
    told = [world.put_archive(version, archive()) for version in ("1.0.0", "1.1.0")]
    tell_twice(world, told)
    service.roll_back(world.tenant, world.model, to=None, actor="test", reason="")

    tell_twice(world, told)

    assert end_state(world).champion == "1.0.0"


def test_a_retired_version_is_not_woken_up_by_a_late_event(world):
    world.put_settings(**ECHO)
    told = [world.put_archive(version, archive()) for version in ("1.0.0", "1.1.0")]
    tell_twice(world, told)
    name = world.deployment("1.1.0").name
    retire(world, "1.1.0")

    tell_twice(world, told)
    triggers.on_endpoint_state_change(events.endpoint_changed(name), None)

    assert end_state(world).versions["1.1.0"][0] is Stage.RETIRED


def test_a_failed_version_is_not_tried_again_by_a_late_event(world):
    world.put_settings(image="sommelier-broken:1")
    told = [world.put_archive("1.0.0", archive())]
    tell_twice(world, told)

    tell_twice(world, told)

    found = end_state(world)
    assert found.versions["1.0.0"][0] is Stage.FAILED
    assert found.deployments["1.0.0"][1] == 1


def test_a_version_retired_before_its_deployment_stays_retired(world):
    event = world.put_archive("1.0.0", archive())
    retired = []

    def retire_meanwhile(params: Any, **_: Any) -> None:
        """Somebody retires the version while its event is about to ask for an endpoint."""
        if not retired and "version.deploying" in str(params):
            retired.append(True)
            retire(world, "1.0.0")

    world.put_settings(**ECHO)
    aws.dynamodb().meta.events.register(
        "before-parameter-build.dynamodb.TransactWriteItems", retire_meanwhile
    )
    triggers.on_upload(event, None)
    settle([world])

    assert retired
    assert end_state(world).versions["1.0.0"][0] is Stage.RETIRED


def test_an_old_settings_file_does_not_come_back_over_newer_settings(world):
    told = world.put_settings(**ECHO, description="old")
    triggers.on_upload(told, None)
    newer = ModelSettings(description="newer")
    registry.put_settings(world.tenant, world.model, newer, actor="test")

    triggers.on_upload(told, None)

    assert registry.get_model(world.tenant, world.model).settings == newer


def test_the_newest_settings_file_wins_in_whatever_order_it_is_told(world):
    told = [world.put_settings(**ECHO, description=text) for text in ("1", "2", "3")]

    for event in (told[2], told[0], told[1], told[2]):
        triggers.on_upload(event, None)

    assert registry.get_model(world.tenant, world.model).settings.description == "3"
    assert ledger_actions(world) == ["model.settings_put"]


def test_an_event_whose_object_is_gone_changes_nothing(world):
    event = world.put_archive("1.0.0", archive())
    key = f"models/{world.model}/1.0.0/model.tar.gz"
    version_id = event["detail"]["object"]["version-id"]
    aws.s3().delete_object(Bucket=settings().bucket, Key=key, VersionId=version_id)

    answer = triggers.on_upload(event, None)

    assert answer == {"outcome": "gone"}


def test_an_event_without_an_object_version_takes_the_newest(world):
    world.put_settings(**ECHO)
    event = world.put_archive("1.0.0", archive())
    del event["detail"]["object"]["version-id"]

    triggers.on_upload(event, None)
    settle([world])

    assert end_state(world).champion == "1.0.0"


def test_good_bytes_after_refused_ones_are_deployed_and_the_late_event_is_not(world):
    world.put_settings(image="sommelier-echo:1")
    bad = world.put_archive("1.0.0", b"no archive")
    triggers.on_upload(bad, None)
    good = world.put_archive("1.0.0", archive())

    tell_twice(world, [good, bad])

    assert end_state(world).champion == "1.0.0"


@pytest.mark.parametrize("key", ["models/x/not-a-version/model.tar.gz", "models/../model.json"])
def test_a_bad_key_is_recorded_once(world, key: str):
    event = world.put(key, b"")

    answers = [triggers.on_upload(event, None) for _ in range(2)]

    assert answers == [{"outcome": "refused"}] * 2


def retire(world: Any, version: str) -> None:
    service.retire(
        world.tenant, world.model, version, actor="test", reason="", deadline=Deadline(60)
    )
