"""Promotion, rollback, retirement, and what the history says of them afterwards."""

import itertools
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.deployments import service, triggers
from chalicelib.kit import aws
from chalicelib.kit.clock import Deadline, utc_now
from chalicelib.registry import service as registry
from chalicelib.registry.model import (
    NothingToRollBackTo,
    Stage,
    VersionIsChampion,
    VersionNotLive,
)
from tests.builders import events
from tests.builders.archives import make_archive
from tests.builders.states import end_state, settle, turn_back

ARCHIVE = make_archive({"weights": b"v1"})
BY_TEST = {"actor": "test", "reason": "because"}


@pytest.fixture
def three_live(world):
    """1.0.0 is champion, 1.1.0 and 1.2.0 are candidates."""
    triggers.on_upload(world.put_settings(image="sommelier-echo:1"), None)
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        world.upload(version, ARCHIVE)
        settle([world])
    return world


def promote(world: Any, version: str) -> None:
    service.promote(world.tenant, world.model, version, **BY_TEST)


def roll_back(world: Any, to: str | None = None) -> str:
    return service.roll_back(world.tenant, world.model, to=to, **BY_TEST).version


def retire(world: Any, version: str) -> None:
    service.retire(world.tenant, world.model, version, deadline=Deadline(60), **BY_TEST)


def champion(world: Any) -> str | None:
    found = registry.get_model(world.tenant, world.model).champion
    return found.version if found else None


def test_a_promotion_makes_no_call_to_sagemaker(three_live, control):
    control.clear_calls()

    promote(three_live, "1.1.0")

    assert champion(three_live) == "1.1.0"
    assert control.calls() == []


def test_a_rollback_makes_no_call_to_sagemaker(three_live, control):
    promote(three_live, "1.1.0")
    control.clear_calls()

    assert roll_back(three_live) == "1.0.0"

    assert champion(three_live) == "1.0.0"
    assert control.calls() == []


def test_two_rollbacks_go_back_two_champions(three_live):
    promote(three_live, "1.1.0")
    promote(three_live, "1.2.0")

    assert [roll_back(three_live), roll_back(three_live)] == ["1.1.0", "1.0.0"]

    with pytest.raises(NothingToRollBackTo):
        roll_back(three_live)


def test_a_rollback_can_name_an_older_champion(three_live):
    promote(three_live, "1.1.0")
    promote(three_live, "1.2.0")

    assert roll_back(three_live, to="1.0.0") == "1.0.0"

    assert registry.get_model(three_live.tenant, three_live.model).former_champions == []


def test_a_rollback_to_the_champion_changes_nothing(three_live):
    promote(three_live, "1.1.0")
    roll_back(three_live, to="1.0.0")
    before = end_state(three_live)

    assert roll_back(three_live, to="1.0.0") == "1.0.0"

    assert end_state(three_live) == before


@pytest.mark.parametrize("to", [None, "1.1.0", "9.9.9"])
def test_there_is_no_rollback_to_what_never_was_champion(three_live, to: str | None):
    with pytest.raises(NothingToRollBackTo):
        roll_back(three_live, to=to)

    assert champion(three_live) == "1.0.0"


def test_a_rollback_passes_over_a_former_champion_that_was_retired(three_live):
    promote(three_live, "1.1.0")
    promote(three_live, "1.2.0")
    retire(three_live, "1.1.0")

    assert roll_back(three_live) == "1.0.0"


def test_the_champion_is_not_retired(three_live):
    with pytest.raises(VersionIsChampion):
        retire(three_live, "1.0.0")

    assert champion(three_live) == "1.0.0"


def test_a_retired_version_is_not_promoted(three_live):
    retire(three_live, "1.1.0")

    with pytest.raises(VersionNotLive):
        promote(three_live, "1.1.0")


def test_a_version_in_creation_is_not_promoted(three_live, control):
    control.freeze()
    three_live.upload("1.3.0", ARCHIVE)

    with pytest.raises(VersionNotLive):
        promote(three_live, "1.3.0")


def test_a_version_retired_in_creation_leaves_nothing(three_live, control):
    control.set_delays(creating=30, updating=0, deleting=0)
    three_live.upload("1.3.0", ARCHIVE)
    retire(three_live, "1.3.0")
    control.set_delays(creating=0, updating=0, deleting=0)
    control.advance(30)

    settle([three_live])

    found = end_state(three_live)
    assert found.versions["1.3.0"][0] is Stage.RETIRED
    assert found.stands_in_sagemaker == 3


def test_a_former_champion_is_kept_for_the_window_and_then_retired(three_live):
    promote(three_live, "1.1.0")
    turn_back(three_live, "1.0.0", hours=23.9)
    settle([three_live])
    assert end_state(three_live).versions["1.0.0"][0] is Stage.CANDIDATE

    turn_back(three_live, "1.0.0", hours=0.2)
    settle([three_live])

    found = end_state(three_live)
    assert found.versions["1.0.0"][0] is Stage.RETIRED
    assert found.stands_in_sagemaker == 2


def test_a_candidate_that_never_was_champion_is_kept(three_live):
    turn_back(three_live, "1.2.0", hours=1_000)

    settle([three_live])

    assert end_state(three_live).versions["1.2.0"][0] is Stage.CANDIDATE


def test_a_former_champion_that_is_champion_again_is_not_retired(three_live):
    promote(three_live, "1.1.0")
    roll_back(three_live)
    for version in ("1.0.0", "1.1.0"):
        turn_back(three_live, version, hours=25)

    settle([three_live])

    found = end_state(three_live)
    assert found.champion == "1.0.0"
    assert found.versions["1.1.0"][0] is Stage.RETIRED


def test_a_retired_version_can_be_deployed_again_as_a_candidate(three_live):
    retire(three_live, "1.1.0")
    settle([three_live])

    names = (three_live.tenant, three_live.model, "1.1.0")
    service.deploy(*names, actor="test", deadline=Deadline(60))
    settle([three_live])

    assert end_state(three_live).versions["1.1.0"][0] is Stage.CANDIDATE


def test_the_history_says_what_was_live_between_moves(three_live):
    moments = [utc_now()]
    for version in ("1.1.0", "1.2.0"):
        promote(three_live, version)
        moments.append(utc_now())
    roll_back(three_live)
    moments.append(utc_now())

    found = [live_at(three_live, moment) for moment in moments]

    assert [one.champion for one in found] == ["1.0.0", "1.1.0", "1.2.0", "1.1.0"]
    for earlier, one in itertools.pairwise(found):
        assert earlier.at <= one.since <= one.at


def test_the_history_knows_no_champion_before_the_first(three_live):
    found = live_at(three_live, utc_now() - timedelta(days=1))

    assert (found.champion, found.since) == (None, None)


def test_the_history_is_read_page_by_page_without_a_gap(three_live):
    names = (three_live.tenant, three_live.model)
    numbers, cursor = [], None

    while not numbers or cursor:
        page = registry.history(*names, at=None, limit=2, cursor=cursor)
        numbers += [move.number for move in page.items]
        cursor = page.cursor

    assert numbers == list(range(len(numbers), 0, -1))
    assert len(numbers) == len(end_state(three_live).moves)


def test_an_endpoint_of_a_retired_version_is_gone_for_good(three_live):
    name = three_live.deployment("1.2.0").name
    retire(three_live, "1.2.0")
    settle([three_live])

    triggers.on_endpoint_state_change(events.endpoint_changed(name), None)

    assert aws.sagemaker().list_endpoints(NameContains=name)["Endpoints"] == []


def live_at(world: Any, moment: Any) -> registry.LiveAt:
    found = registry.history(world.tenant, world.model, at=moment, limit=2, cursor=None).live
    assert found is not None
    return found
