"""Use cases of an experiment's life: create, start, pause, stop, promote, other shares, ramp.
What is decided from numbers is in `deciding`; the rules of the moves are in `lifecycle`."""

import hashlib
import itertools
import re
from collections.abc import Callable, Sequence
from math import isclose

from chalicelib.experiments import lifecycle, store
from chalicelib.experiments.model import (
    CONCLUDED,
    CONTROL,
    PLAN,
    ArmNotLive,
    Definition,
    Experiment,
    ExperimentExists,
    ExperimentNotRunning,
    Look,
    State,
)
from chalicelib.experiments.running import saving, starting
from chalicelib.experiments.store import ExperimentRow
from chalicelib.kit import tables
from chalicelib.kit.clock import utc_now
from chalicelib.kit.paging import Page
from chalicelib.kit.tables import Write
from chalicelib.ledger import service as ledger
from chalicelib.ledger.model import Facts, Note
from chalicelib.registry import service as registry
from chalicelib.registry.model import Change, Stage

_NOT_IN_AN_ID = re.compile(r"[^a-zA-Z0-9_.-]+")
_ID_LETTERS = 64


def create(
    tenant: str, definition: Definition, *, experiment: str | None = None, actor: str
) -> Experiment:
    """A draft; the same asked for again is the one that is there, in whatever state.

    experiment: its id; without one it is made from the name.
    """
    name = experiment or id_of(definition.name)

    def attempt() -> Experiment:
        row = store.read_experiment(tenant, name)
        if row is not None:
            return _the_same(row.experiment, definition)
        made = _draft(tenant, definition, name)
        entries = ledger.writes(tenant, saving.subject_of(name), [_created(made, actor)])
        tables.commit([store.put_experiment(tenant, None, made), *entries])
        return made

    return tables.until_fresh(attempt)


def launch(
    tenant: str, definition: Definition, *, experiment: str | None = None, actor: str
) -> Experiment:
    """Create and start, or neither: what cannot start leaves no draft to be in the way.

    The same asked for again is the one that is there, started if it was a draft.
    """
    name = experiment or id_of(definition.name)

    def attempt() -> Experiment:
        row = store.read_experiment(tenant, name)
        if row is None:
            made = _draft(tenant, definition, name)
            return starting.start(tenant, None, made, notes=[_created(made, actor)], actor=actor)
        found = _the_same(row.experiment, definition)
        if found.state is not State.DRAFT:
            return found
        return starting.start(tenant, row, found, actor=actor)

    return tables.until_fresh(attempt)


def id_of(name: str) -> str:
    """An experiment's id by its name: the same for the same, whatever letters it has."""
    cleaned = _NOT_IN_AN_ID.sub("-", name).strip("-._")
    if cleaned and cleaned != PLAN and len(cleaned) <= _ID_LETTERS:
        return cleaned
    mark = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{cleaned[: _ID_LETTERS - 13] or 'experiment'}-{mark}"


def list_all(
    tenant: str, *, model: str | None, state: State | None, limit: int, cursor: str | None
) -> "Page[Experiment]":
    """By id."""
    matching = (
        one
        for one in store.experiments(tenant, after=cursor)
        if model in (None, one.model) and state in (None, one.state)
    )
    found = list(itertools.islice(matching, limit + 1))
    return Page(items=found[:limit], cursor=found[limit - 1].id if len(found) > limit else None)


def get(tenant: str, experiment: str) -> Experiment:
    return saving.read(tenant, experiment).experiment


def start(tenant: str, experiment: str, *, actor: str) -> Experiment:
    """Take units from now on; a paused one goes on. Nothing when it runs already."""

    def attempt() -> Experiment:
        row = saving.read(tenant, experiment)
        if row.experiment.state is State.RUNNING:
            return row.experiment
        if row.experiment.state is State.PAUSED:
            arms = [CONTROL, *lifecycle.challengers_left(row.experiment)]
            starting.check_arms(tenant, row.experiment, arms)
            resumed = lifecycle.resume(row.experiment, now=utc_now())
            return saving.save(tenant, row, resumed, actor=actor, action="experiment.resumed")
        return starting.start(tenant, row, row.experiment, actor=actor)

    return tables.until_fresh(attempt)


def pause(tenant: str, experiment: str, *, actor: str, reason: str) -> Experiment:
    def change(found: Experiment) -> Experiment:
        return found if found.state is State.PAUSED else lifecycle.pause(found, now=utc_now())

    return _change(tenant, experiment, change, "experiment.paused", actor=actor, reason=reason)


def stop(tenant: str, experiment: str, *, actor: str, reason: str) -> Experiment:
    """Over, and the champion stays. Nothing when it is over already."""

    def change(found: Experiment) -> Experiment:
        if found.state in CONCLUDED:
            return found
        why = reason or f"stopped by {actor}"
        return lifecycle.conclude(found, State.STOPPED, why=why, now=utc_now())

    return _change(tenant, experiment, change, "experiment.stopped", actor=actor, reason=reason)


def reshare(
    tenant: str, experiment: str, shares: dict[str, float], *, actor: str, reason: str
) -> Experiment:
    """Other shares while it runs; only units of the boundary move. Nothing when they are those."""

    def change(found: Experiment) -> Experiment:
        if found.state not in CONCLUDED and found.phases and _has(found, shares):
            return found
        return lifecycle.reshare(found, shares, now=utc_now())

    return _change(tenant, experiment, change, "experiment.reshared", actor=actor, reason=reason)


def promote(
    tenant: str, experiment: str, *, arm: str | None, actor: str, reason: str
) -> Experiment:
    """A person's decision: the challenger becomes champion, whatever the numbers say."""
    found = get(tenant, experiment)
    challengers = [name for name in found.versions if name != CONTROL]
    winner = arm or challengers[0]
    if winner not in challengers or (arm is None and len(challengers) > 1):
        raise ArmNotLive(f"name one of the challengers: {', '.join(challengers)}")
    return crown(tenant, experiment, winner, actor=actor, reason=reason or "promoted by hand")


class _Moved(Exception):
    """What a verdict rests on has changed since: the experiment, or the champion."""


def crown(
    tenant: str,
    experiment: str,
    arm: str,
    *,
    actor: str,
    reason: str,
    facts: Facts | None = None,
    judged: ExperimentRow | None = None,
    look: Look | None = None,
) -> Experiment:
    """Promote an arm's version through the registry's gate and end the experiment, or neither.

    judged: what the decision was made of; raises tables.Stale when it has changed, or when the
    champion that goes is not the control. look: the planned look that the decision took.
    """
    found = get(tenant, experiment)
    if _is_won_by(found, arm):
        return found
    crowned: list[Experiment] = []

    def also(change: Change) -> Sequence[Write]:
        row = saving.read(tenant, experiment)
        _check(row, judged, change, arm=arm)
        if _is_won_by(row.experiment, arm):
            crowned[:] = [row.experiment]
            return []
        done = _crowned(row.experiment, arm, look=look, reason=reason)
        crowned[:] = [done]
        told = facts or {"reason": reason}
        note = saving.note_of(row.experiment, done, "experiment.promoted", actor=actor, facts=told)
        return saving.writes_of(tenant, row, done, note)

    version, why = found.versions[arm], f"experiment {experiment}: {reason}"[:500]
    try:
        registry.promote(tenant, found.model, version, actor=actor, reason=why, also=also)
    except _Moved as moved:  # tables.Stale, here, would only have the same verdict tried again
        raise tables.Stale from moved
    return crowned[0]


def _has(found: Experiment, shares: dict[str, float]) -> bool:
    present = found.phases[-1].shares()
    return all(
        isclose(present.get(arm, 0.0), shares.get(arm, 0.0), abs_tol=1e-12)
        for arm in {*present, *shares}
    )


def _is_won_by(found: Experiment, arm: str) -> bool:
    return found.state is State.PROMOTED and found.winner == arm


def _check(row: ExperimentRow, judged: ExperimentRow | None, change: Change, *, arm: str) -> None:
    """Raises _Moved, or tables.Stale when `change` is of rows from before the same promotion."""
    if judged is None:
        if change.versions and _is_won_by(row.experiment, arm):
            raise tables.Stale
        return
    control, version = judged.experiment.versions[CONTROL], judged.experiment.versions[arm]
    stages = zip(change.versions, change.before, strict=True)
    going = [one.version for one, before in stages if before is Stage.CHAMPION]
    if row.row.rev != judged.row.rev or (going != [control] and version != control):
        raise _Moved


def _crowned(found: Experiment, arm: str, *, look: Look | None, reason: str) -> Experiment:
    now = utc_now()
    if found.state is State.DRAFT:
        raise ExperimentNotRunning(f"experiment {found.id!r} is {found.state.value!r}")
    looked = lifecycle.take_look(found, look, now=now) if look else found
    return lifecycle.conclude(looked, State.PROMOTED, why=reason, winner=arm, now=now)


def _change(
    tenant: str,
    experiment: str,
    change: Callable[[Experiment], Experiment],
    action: str,
    *,
    actor: str,
    reason: str,
) -> Experiment:
    def attempt() -> Experiment:
        row = saving.read(tenant, experiment)
        after = change(row.experiment)
        if after is row.experiment:
            return after
        facts: Facts = {"reason": reason} if reason else {}
        return saving.save(tenant, row, after, actor=actor, action=action, facts=facts)

    return tables.until_fresh(attempt)


def _draft(tenant: str, definition: Definition, name: str) -> Experiment:
    control = definition.control_version or _champion(tenant, definition.model)
    made = lifecycle.draft(definition, experiment=name, control=control, now=utc_now())
    for version in made.versions.values():
        registry.get_version(tenant, definition.model, version)
    return made


def _created(made: Experiment, actor: str) -> Note:
    facts: Facts = made.definition.model_dump(mode="json")
    return Note(actor=actor, action="experiment.created", after=facts)


def _champion(tenant: str, model: str) -> str:
    champion = registry.get_model(tenant, model).champion
    if champion is None:
        raise ArmNotLive(f"model {model!r} has no champion to compare with")
    return champion.version


def _the_same(found: Experiment, asked: Definition) -> Experiment:
    if found.definition != asked:
        raise ExperimentExists(f"experiment {found.id!r} is there, and is another one")
    return found
