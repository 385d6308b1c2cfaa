"""When a model is trained again: its age, new episodes, and what speaks against a job.
Pure functions of settings, counts and the time that is given."""

from datetime import datetime, timedelta
from typing import NamedTuple

from chalicelib.registry.model import TrainingSettings
from chalicelib.training.model import Cause, Episodes, Skip, SkipCode, Standing


class Facts(NamedTuple):
    """What the rule looks at."""

    settings: TrainingSettings
    standing: Standing
    episodes: Episodes
    model_since: datetime
    now: datetime

    @property
    def new_episodes(self) -> int:
        return self.episodes.received - self.standing.received


def due(facts: Facts) -> Cause | None:
    """What would start a job by itself now, whether or not something speaks against it."""
    if facts.standing.is_open:
        return None
    if facts.new_episodes >= facts.settings.retrain_after_episodes:
        return Cause.NEW_EPISODES
    since = [facts.standing.requested_at or facts.model_since, facts.standing.looked_at]
    age = facts.now - max(moment for moment in since if moment is not None)
    return Cause.AGE if age >= timedelta(days=facts.settings.every_days) else None


def objection(facts: Facts, cause: Cause) -> Skip | None:
    """Why no job is started now; None when one is."""
    told = _objection(facts, cause)
    if told is None:
        return None
    code, detail = told
    return Skip(
        code=code,
        detail=detail,
        cause=cause,
        episodes=facts.episodes.episodes,
        minimum_episodes=facts.settings.minimum_episodes,
        new_episodes=facts.new_episodes,
        job=facts.standing.job,
    )


def is_worth_recording(skip: Skip) -> bool:
    """People are always answered in the ledger; a schedule only where it will not ask again soon,
    which is when the age was looked at."""
    if skip.cause is Cause.REQUEST:
        return True
    return skip.cause is Cause.AGE and skip.code in ("too-few-episodes", "nothing-new")


def _objection(facts: Facts, cause: Cause) -> tuple[SkipCode, str] | None:
    settings, standing = facts.settings, facts.standing
    if standing.is_open:
        return "already-training", f"job {standing.job!r} is under way"
    left_s = _cooldown_left_s(facts, cause)
    if left_s > 0:
        return "cooldown", f"the next job may start in {left_s} s, {standing.job!r} was the last"
    if facts.episodes.episodes < settings.minimum_episodes:
        detail = f"{facts.episodes.episodes} episodes, at least {settings.minimum_episodes} needed"
        return "too-few-episodes", detail
    # What a failed job was to learn from is not learnt.
    if cause is Cause.AGE and facts.new_episodes <= 0 and not standing.last_failed:
        return "nothing-new", f"no episode came since {standing.job!r} was asked for"
    return None


def _cooldown_left_s(facts: Facts, cause: Cause) -> int:
    """Whoever asks after a failure need not wait: something was mended, one may hope."""
    last = facts.standing.requested_at
    if last is None or (facts.standing.last_failed and cause is Cause.REQUEST):
        return 0
    passed_s = (facts.now - last).total_seconds()
    return max(0, round(facts.settings.cooldown_s - passed_s))
