"""When a model is trained again: the rule for every combination of counts and times."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.registry.model import TrainingSettings
from chalicelib.training.model import Cause, Episodes, Standing, job_name, version_after
from chalicelib.training.rule import Facts, due, is_worth_recording, objection

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ago = st.none() | st.integers(0, 90 * 86_400).map(lambda s: NOW - timedelta(seconds=s))


def make_facts(
    settings: dict[str, Any] | None = None, *, episodes: int = 1_000, received: int = 1_000, **more
) -> Facts:
    return Facts(
        settings=TrainingSettings.model_validate(settings or {}),
        standing=Standing(model="reward", **more),
        episodes=Episodes(objects=1, episodes=episodes, received=received),
        model_since=NOW - timedelta(days=365),
        now=NOW,
    )


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    settings = {
        "minimum_episodes": draw(st.integers(1, 200)),
        "retrain_after_episodes": draw(st.integers(1, 1_000)),
        "every_days": draw(st.integers(1, 30)),
        "cooldown_s": draw(st.integers(0, 172_800)),
    }
    received = draw(st.integers(0, 2_000))
    return make_facts(
        settings,
        received=received,
        episodes=draw(st.integers(0, received)),
        number=1,
        job="job-1",
        is_open=draw(st.booleans()),
        last_failed=draw(st.booleans()),
        requested_at=draw(ago),
        looked_at=draw(ago),
    )._replace(model_since=NOW - timedelta(days=draw(st.integers(0, 60))))


@given(any_facts(), st.sampled_from(Cause))
def test_a_job_starts_only_alone_after_the_cooldown_and_with_enough(facts: Facts, cause: Cause):
    if objection(facts, cause) is None:
        last = facts.standing.requested_at
        assert not facts.standing.is_open
        assert facts.episodes.episodes >= facts.settings.minimum_episodes
        is_mended = facts.standing.last_failed and cause is Cause.REQUEST
        passed_s = (NOW - last).total_seconds() if last else None
        assert passed_s is None or is_mended or passed_s >= facts.settings.cooldown_s - 0.5


@given(any_facts())
def test_nothing_is_due_while_a_job_is_under_way(facts: Facts):
    standing = facts.standing.model_copy(update={"is_open": True})

    assert due(facts._replace(standing=standing)) is None


@given(any_facts(), st.integers(0, 5_000))
def test_more_episodes_never_undo_what_was_due(facts: Facts, more: int):
    grown = facts.episodes.model_copy(update={"received": facts.episodes.received + more})

    if due(facts) is not None:
        assert due(facts._replace(episodes=grown)) is not None


@given(any_facts(), st.sampled_from(Cause))
def test_more_episodes_and_more_time_never_bring_an_objection(facts: Facts, cause: Cause):
    more = facts.episodes.model_copy(
        update={
            "received": facts.episodes.received + 10,
            "episodes": facts.episodes.episodes + 10,
        }
    )
    later = facts._replace(episodes=more, now=NOW + timedelta(days=1))

    if objection(facts, cause) is None:
        assert objection(later, cause) is None


@given(any_facts())
def test_an_age_that_was_looked_at_is_not_due_again_before_it_has_passed_again(facts: Facts):
    looked = facts.standing.model_copy(update={"looked_at": NOW, "received": 5_000})
    soon = NOW + timedelta(days=facts.settings.every_days) - timedelta(seconds=1)

    assert due(facts._replace(standing=looked, now=soon)) is None


@pytest.mark.parametrize(
    ("received", "days", "cause"),
    [
        (499, 6.9, None),
        (500, 6.9, Cause.NEW_EPISODES),
        (499, 7, Cause.AGE),
        (500, 7, Cause.NEW_EPISODES),
    ],
)
def test_what_is_due(received: int, days: float, cause: Cause | None):
    facts = make_facts(received=received, requested_at=NOW - timedelta(days=days))

    assert due(facts) is cause


def test_a_model_that_never_was_trained_is_as_old_as_its_settings():
    facts = make_facts(received=100)

    assert due(facts) is Cause.AGE
    assert due(facts._replace(model_since=NOW - timedelta(days=6))) is None


@pytest.mark.parametrize(
    ("change", "cause", "code"),
    [
        ({"is_open": True}, Cause.REQUEST, "already-training"),
        ({"requested_at": NOW - timedelta(hours=23)}, Cause.REQUEST, "cooldown"),
        ({"requested_at": NOW - timedelta(hours=23)}, Cause.NEW_EPISODES, "cooldown"),
        ({"episodes": 49}, Cause.REQUEST, "too-few-episodes"),
        ({"episodes": 49}, Cause.AGE, "too-few-episodes"),
        ({"received": 0, "episodes": 50}, Cause.AGE, "nothing-new"),
    ],
)
def test_what_speaks_against_a_job(change: dict[str, Any], cause: Cause, code: str):
    skip = objection(make_facts(**change), cause)

    assert skip is not None
    assert skip.code == code


def test_who_asks_after_a_failure_need_not_wait_and_the_schedule_must():
    facts = make_facts(requested_at=NOW - timedelta(minutes=1), last_failed=True)

    assert objection(facts, Cause.REQUEST) is None
    assert objection(facts, Cause.NEW_EPISODES) is not None


def test_what_a_failed_job_was_to_learn_from_is_tried_again_when_the_age_comes():
    asked = {"requested_at": NOW - timedelta(days=7), "received": 0}

    objections = [
        objection(make_facts(**asked, last_failed=failed), Cause.AGE) for failed in (True, False)
    ]

    assert [told and told.code for told in objections] == [None, "nothing-new"]


def test_a_schedule_that_asks_every_hour_does_not_fill_the_ledger():
    waiting = make_facts(requested_at=NOW - timedelta(hours=1))

    skips = [objection(waiting, cause) for cause in (Cause.AGE, Cause.NEW_EPISODES)]

    assert [skip and is_worth_recording(skip) for skip in skips] == [False, False]


@pytest.mark.parametrize(
    ("known", "following"),
    [
        ([], "1.0.0"),
        (["1.0.0"], "1.1.0"),
        (["1.9.7", "1.10.0-rc.1"], "1.11.0"),
        (["2.0.0-rc.1", "1.40.0"], "2.1.0"),
    ],
)
def test_the_next_version_is_a_minor_one_above_all_that_are_known(known, following):
    assert version_after(known) == following


@given(
    prefix=st.from_regex(r"\A[a-zA-Z0-9][a-zA-Z0-9-]{0,19}\Z"),
    model=st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,39}\Z"),
    number=st.integers(1, 99_999_999),
)
def test_a_jobs_name_is_one_that_sagemaker_takes(prefix: str, model: str, number: int):
    name = job_name(prefix=prefix, tenant="dev", model=model, number=number)

    assert len(name) <= 63
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
    assert name[-1] != "-"


def test_names_of_different_jobs_differ():
    names = {
        job_name(prefix="p", tenant=tenant, model=model, number=number)
        for tenant in ("a", "b")
        for model in ("reward", "reward-of-a-very-long-name", "reward-of-a-very-long-nome")
        for number in (1, 2, 12)
    }

    assert len(names) == 18
