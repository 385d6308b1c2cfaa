"""Random lives of a model: whatever is asked in whatever order, the rules keep their promises."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chalicelib.kit.errors import Conflict
from chalicelib.registry import stages
from chalicelib.registry.model import (
    Archive,
    Change,
    Live,
    Model,
    ModelSettings,
    Reason,
    Stage,
    UnknownStage,
    Version,
    stage_named,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("1.0.0-rc.1", "1.0.0", "1.1.0", "2.0.0", "10.0.0")
ARCHIVE = Archive(sha256="0" * 64, size_bytes=1, unpacked_bytes=1, files=[], has_sample=False)
REASON = Reason(code="endpoint-failed", detail="because")
names = st.sampled_from(NAMES)


class Life(RuleBasedStateMachine):
    """The gate without tables: every change is decided by the rules and kept here."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.model = Model(name="m", created_at=START, updated_at=START)
        self.versions: dict[str, Version] = {}
        self.retired: set[str] = set()

    def champion(self) -> Version | None:
        return self.versions[self.model.champion.version] if self.model.champion else None

    def keep(self, change: Change) -> None:
        self.now += timedelta(seconds=1)
        self.model = change.model
        for version in change.versions:
            self.versions[version.version] = version

    @rule(name=names)
    def register(self, name: str) -> None:
        self.versions.setdefault(name, make_version(name, Stage.REGISTERED))

    @rule(promotes=st.booleans())
    def put_settings(self, promotes: bool) -> None:
        chosen = ModelSettings(on_upload="promote" if promotes else "candidate")
        self.model = self.model.model_copy(update={"settings": chosen})

    @precondition(lambda self: self.versions)
    @rule(data=st.data(), only_new=st.booleans())
    def deploy(self, data: st.DataObject, only_new: bool) -> None:
        version = self.any_version(data)
        change = stages.start_deployment(self.model, version, only_new=only_new, now=self.now)
        self.keep(change)
        if only_new and version.stage is Stage.RETIRED:
            assert change.versions == ()

    @precondition(lambda self: self.versions)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        version, champion = self.any_version(data), self.champion()
        live = Live(version=version.version, endpoint=f"e{self.now}", hosting="serverless")
        self.attempt(
            lambda: stages.finish_deployment(self.model, version, champion, live, now=self.now)
        )

    @precondition(lambda self: self.versions)
    @rule(data=st.data(), is_lost=st.booleans())
    def fail(self, data: st.DataObject, is_lost: bool) -> None:
        version, before = self.any_version(data), self.model.champion
        change = stages.fail_deployment(self.model, version, REASON, is_lost=is_lost, now=self.now)
        self.keep(change)
        assert self.model.champion == before

    @precondition(lambda self: self.versions)
    @rule(data=st.data())
    def promote(self, data: st.DataObject) -> None:
        version, champion = self.any_version(data), self.champion()
        self.attempt(lambda: stages.promote(self.model, version, champion, now=self.now))

    @precondition(lambda self: self.model.former_champions and self.model.champion)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        target = self.versions[data.draw(st.sampled_from(self.model.former_champions))]
        champion = self.champion()
        assert champion is not None
        self.attempt(lambda: stages.roll_back(self.model, target, champion, now=self.now))

    @precondition(lambda self: self.versions)
    @rule(data=st.data(), hours=st.integers(0, 48))
    def pass_time(self, data: st.DataObject, hours: int) -> None:
        version = self.any_version(data)
        self.now += timedelta(hours=hours)
        self.keep(stages.retire_if_due(self.model, version, now=self.now))

    @precondition(lambda self: self.versions)
    @rule(data=st.data())
    def retire(self, data: st.DataObject) -> None:
        version = self.any_version(data)
        self.attempt(lambda: stages.retire(self.model, version, now=self.now))

    def any_version(self, data: st.DataObject) -> Version:
        return self.versions[data.draw(st.sampled_from(sorted(self.versions)))]

    def attempt(self, decide: Callable[[], Change]) -> None:
        with contextlib.suppress(Conflict):
            self.keep(decide())

    @invariant()
    def there_is_one_champion_and_the_pointer_names_it(self) -> None:
        crowned = [one for one in self.versions.values() if one.stage is Stage.CHAMPION]
        assert [one.live for one in crowned] == ([self.model.champion] if crowned else [])
        assert (self.model.champion is None) == (not crowned)

    @invariant()
    def a_model_that_had_a_champion_keeps_one(self) -> None:
        assert self.model.champion is not None or not self.model.former_champions

    @invariant()
    def former_champions_are_unique_and_none_is_the_champion(self) -> None:
        former = self.model.former_champions
        champion = self.model.champion
        assert len(set(former)) == len(former) <= 20
        assert champion is None or champion.version not in former

    @invariant()
    def only_what_can_serve_is_live_and_nothing_live_waits_for_ever(self) -> None:
        for one in self.versions.values():
            assert one.live is None or one.stage in (Stage.CANDIDATE, Stage.CHAMPION)
            assert one.stage is not Stage.CHAMPION or one.live is not None
            assert one.retire_after is None or one.stage is Stage.CANDIDATE


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase


def make_version(name: str, stage: Stage, **fields: object) -> Version:
    made = Version(
        model="m",
        version=name,
        stage=stage,
        archive=ARCHIVE,
        registered_at=START,
        updated_at=START,
    )
    return made.model_copy(update=fields)


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("Production", Stage.CHAMPION),
        ("STAGING", Stage.CANDIDATE),
        ("archived", Stage.RETIRED),
        ("champion", Stage.CHAMPION),
        ("Failed", Stage.FAILED),
    ],
)
def test_a_stage_is_known_by_its_name_and_its_alias(name: str, stage: Stage):
    assert stage_named(name) is stage


@pytest.mark.parametrize("name", ["", "prod", "None", "production ", "пroduction"])
def test_any_other_stage_is_unknown(name: str):
    with pytest.raises(UnknownStage):
        stage_named(name)
