"""Use cases of an experiment's life: create, start, pause, stop, promote, other shares, ramp.
What is decided from numbers is in `deciding`; the rules of the moves are in `lifecycle`."""

import itertools
import re
from collections.abc import Callable, Sequence
from datetime import datetime

from chalicelib.deployments import service as deployments
from chalicelib.experiments import lifecycle, saving, starting, store
from chalicelib.experiments.model import (
    CONCLUDED,
    CONTROL,
    ArmNotLive,
    Definition,
    Experiment,
    ExperimentExists,
    State,
)
from chalicelib.experiments.store import ExperimentRow
from chalicelib.kit import tables
from chalicelib.kit.clock import utc_now
from chalicelib.kit.paging import Page
from chalicelib.kit.tables import Write
from chalicelib.ledger import service as ledger
from chalicelib.ledger.model import Facts, Note
from chalicelib.registry import service as registry
from chalicelib.registry.model import Change

_NOT_IN_AN_ID = re.compile(r"[^a-zA-Z0-9_.-]+")
_ID_LETTERS = 64


def create(
    tenant: str, definition: Definition, *, experiment: str | None = None, actor: str
) -> Experiment:
    """A draft; the same asked for again is the one that is there, in whatever state.

    experiment: its id; without one it is made from the name.
    """
    name = experiment or _id_of(definition.name)
    found = store.read_experiment(tenant, name)
    if found is not None:
        return _the_same(found.experiment, definition)
    control = definition.control_version or _champion(tenant, definition.model)
    made = lifecycle.draft(definition, experiment=name, control=control, now=utc_now())
    for version in made.versions.values():
        registry.get_version(tenant, definition.model, version)
    note = Note(actor=actor, action="experiment.created", after=_facts(made))
    try:
        tables.commit(
            [
                store.put_experiment(tenant, None, made),
                *ledger.writes(tenant, saving.subject_of(name), [note]),
            ]
        )
    except tables.Stale:
        return _the_same(get(tenant, name), definition)
    return made


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
            resumed = lifecycle.resume(row.experiment, now=utc_now())
            return saving.save(tenant, row, resumed, actor=actor, action="experiment.resumed")
        return starting.start(tenant, row, actor=actor)

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
    """Other shares while it runs; only units of the boundary move."""

    def change(found: Experiment) -> Experiment:
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


def crown(
    tenant: str,
    experiment: str,
    arm: str,
    *,
    actor: str,
    reason: str,
    facts: Facts | None = None,
    expected: ExperimentRow | None = None,
) -> Experiment:
    """Promote an arm's version through the registry's gate and end the experiment, or neither.

    expected: raises tables.Stale when the experiment is no longer as it was read.
    """
    concluded: list[Experiment] = []

    def also(_: Change) -> Sequence[Write]:
        row = saving.read(tenant, experiment)
        if expected is not None and row.row.rev != expected.row.rev:
            raise tables.Stale
        done = lifecycle.conclude(
            row.experiment, State.PROMOTED, why=reason, winner=arm, now=utc_now()
        )
        concluded[:] = [done]
        note = saving.note_of(row.experiment, done, "experiment.promoted", actor=actor, facts=facts)
        return saving.writes_of(tenant, row, done, note)

    found = get(tenant, experiment)
    if found.state is State.PROMOTED and found.winner == arm:
        return found
    version = found.versions[arm]
    why = f"experiment {experiment}: {reason}"[:500]
    registry.promote(tenant, found.model, version, actor=actor, reason=why, also=also)
    return concluded[0]


def retire_losers(tenant: str, experiment: str, *, actor: str) -> None:
    """Take the versions that did not win out of service; the champion and live ones of other
    experiments' controls are the registry's to protect."""
    row = saving.read(tenant, experiment)
    found = row.experiment
    for arm, version in found.versions.items():
        if arm in (CONTROL, found.winner):
            continue
        deployments.ask_to_retire(
            tenant, found.model, version, actor=actor, reason=f"lost experiment {experiment}"
        )
    done = found.model_copy(update={"retired_losers": True, "updated_at": utc_now()})
    saving.save(tenant, row, done, actor=actor, action="experiment.losers_retired")


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


def _champion(tenant: str, model: str) -> str:
    champion = registry.get_model(tenant, model).champion
    if champion is None:
        raise ArmNotLive(f"model {model!r} has no champion to compare with")
    return champion.version


def _the_same(found: Experiment, asked: Definition) -> Experiment:
    if found.definition != asked:
        raise ExperimentExists(f"experiment {found.id!r} is there, and is another one")
    return found


def _id_of(name: str) -> str:
    cleaned = _NOT_IN_AN_ID.sub("-", name).strip("-._")[:_ID_LETTERS]
    return cleaned or f"experiment-{_stamp(utc_now())}"


def _stamp(now: datetime) -> str:
    return now.strftime("%Y%m%d-%H%M%S")


def _facts(found: Experiment) -> Facts:
    return found.definition.model_dump(mode="json")
