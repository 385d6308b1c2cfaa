"""The rules by which a version moves between stages, and the champion pointer with it.
Nothing here reads a clock, a table or the environment."""

from datetime import datetime, timedelta

from chalicelib.registry import semver
from chalicelib.registry.model import (
    Change,
    Live,
    Model,
    Reason,
    Stage,
    Version,
    VersionIsChampion,
    VersionNotDeployable,
    VersionNotLive,
    is_due,
)

_FORMER_CHAMPIONS_KEPT = 20


def comes_after(version: str, other: str) -> bool:
    """True when `version` has the higher precedence."""
    return semver.sort_key(version) > semver.sort_key(other)


def start_deployment(model: Model, version: Version, *, only_new: bool, now: datetime) -> Change:
    """A live version stays where it is while its endpoint is replaced.

    only_new: nothing for a version that was ever deployed, retired or rejected.
    """
    if only_new and version.stage is not Stage.REGISTERED:
        return Change(model, (), ())
    if version.stage is Stage.REJECTED or version.archive is None:
        raise VersionNotDeployable(f"version {version.version!r} is {version.stage.value!r}")
    if version.stage in (Stage.CANDIDATE, Stage.CHAMPION, Stage.DEPLOYING):
        return Change(model, (), ())
    return _moved(model, version, Stage.DEPLOYING, now=now, reason=None, retire_after=None)


def finish_deployment(
    model: Model, version: Version, champion: Version | None, live: Live, *, now: datetime
) -> Change:
    """A first deployment ends as champion or candidate; a replaced endpoint keeps the stage.

    champion: the present champion's row, None when the model has none.
    """
    here = version.model_copy(update={"live": live, "reason": None, "updated_at": now})
    if version.stage is Stage.CHAMPION:
        return Change(_touched(model, now, champion=live), (here,), (version.stage,))
    if version.stage is Stage.CANDIDATE:
        return Change(_touched(model, now), (here,), (version.stage,))
    if version.stage is not Stage.DEPLOYING:
        raise VersionNotDeployable(f"version {version.version!r} is {version.stage.value!r}")
    here = here.model_copy(update={"first_live_at": version.first_live_at or now})
    if champion is None or _promotes_itself(model, version, champion):
        return _crowned(model, here, champion, former=_with(model, champion), now=now)
    here = here.model_copy(update={"stage": Stage.CANDIDATE})
    return Change(_touched(model, now), (here,), (version.stage,))


def fail_deployment(
    model: Model, version: Version, reason: Reason, *, is_lost: bool, now: datetime
) -> Change:
    """A version that was live before keeps its stage: its failure must not move the champion."""
    if version.stage is Stage.DEPLOYING:
        return _moved(model, version, Stage.FAILED, now=now, reason=reason, live=None)
    return report(model, version, reason, is_lost=is_lost, now=now)


def promote(model: Model, version: Version, champion: Version | None, *, now: datetime) -> Change:
    """Move the champion pointer to `version`; the former champion stays live for the window.

    champion: the present champion's row, None when the model has none.
    """
    if version.stage is Stage.CHAMPION:
        return Change(model, (), ())
    if version.stage is not Stage.CANDIDATE or version.live is None:
        raise VersionNotLive(f"version {version.version!r} is {version.stage.value!r}")
    return _crowned(model, version, champion, former=_with(model, champion), now=now)


def roll_back(model: Model, target: Version, champion: Version, *, now: datetime) -> Change:
    """Move the champion pointer back to `target`, a former champion, and forget what came after."""
    if target.stage is not Stage.CANDIDATE or target.live is None:
        raise VersionNotLive(f"version {target.version!r} is {target.stage.value!r}")
    kept = model.former_champions[: model.former_champions.index(target.version)]
    return _crowned(model, target, champion, former=kept, now=now)


def retire(model: Model, version: Version, *, now: datetime) -> Change:
    if version.stage is Stage.CHAMPION:
        raise VersionIsChampion(f"version {version.version!r} is the champion of {model.name!r}")
    if version.stage is Stage.RETIRED:
        return Change(model, (), ())
    if version.stage is Stage.REJECTED:
        raise VersionNotDeployable(f"version {version.version!r} is {version.stage.value!r}")
    return _moved(model, version, Stage.RETIRED, now=now, reason=None, live=None, retire_after=None)


def retire_if_due(model: Model, version: Version, *, now: datetime) -> Change:
    """Retire a former champion whose rollback window has passed; nothing otherwise."""
    if version.stage is not Stage.CANDIDATE or not is_due(version, now=now):
        return Change(model, (), ())
    return retire(model, version, now=now)


def report(
    model: Model, version: Version, reason: Reason, *, is_lost: bool, now: datetime
) -> Change:
    """Say what is wrong with a version whose stage does not change.

    is_lost: its endpoint answers no more, so nobody may promote it or roll back to it. The champion
    keeps its pointer: there is nothing better to point to.
    """
    update: dict[str, object] = {"reason": reason, "updated_at": now}
    if is_lost and version.stage is Stage.CANDIDATE:
        update["live"] = None
    told = version.model_copy(update=update)
    return Change(_touched(model, now), (told,), (version.stage,))


def _promotes_itself(model: Model, version: Version, champion: Version) -> bool:
    """Only ever to a higher version, and only when it first goes live: never after a rollback."""
    return (
        model.settings.on_upload == "promote"
        and version.first_live_at is None
        and comes_after(version.version, champion.version)
    )


def _with(model: Model, champion: Version | None) -> list[str]:
    return [*model.former_champions, *([champion.version] if champion else [])]


def _crowned(
    model: Model, version: Version, champion: Version | None, *, former: list[str], now: datetime
) -> Change:
    new_model = _touched(
        model,
        now,
        champion=version.live,
        former_champions=[name for name in former if name != version.version][
            -_FORMER_CHAMPIONS_KEPT:
        ],
    )
    crowned = version.model_copy(
        update={"stage": Stage.CHAMPION, "retire_after": None, "updated_at": now}
    )
    if champion is None:
        return Change(new_model, (crowned,), (version.stage,))
    demoted = champion.model_copy(
        update={
            "stage": Stage.CANDIDATE,
            "retire_after": now + timedelta(hours=model.settings.rollback_window_h),
            "updated_at": now,
        }
    )
    return Change(new_model, (demoted, crowned), (champion.stage, version.stage))


def _moved(
    model: Model, version: Version, stage: Stage, *, now: datetime, **fields: object
) -> Change:
    moved = version.model_copy(update={"stage": stage, "updated_at": now, **fields})
    return Change(_touched(model, now), (moved,), (version.stage,))


def _touched(model: Model, now: datetime, **fields: object) -> Model:
    return model.model_copy(update={"updated_at": now, **fields})
