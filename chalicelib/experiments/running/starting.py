"""What must hold before an experiment takes its first unit, and the rows that make it so.
Later moves are in `running`."""

from collections.abc import Iterable, Sequence

from chalicelib.experiments import assignment, lifecycle, store
from chalicelib.experiments.model import (
    CONTROL,
    ArmNotLive,
    Experiment,
    ExperimentNotRunning,
    NamespaceFull,
    State,
)
from chalicelib.experiments.planning import service as planning
from chalicelib.experiments.running import saving
from chalicelib.experiments.store import ExperimentRow, Namespace
from chalicelib.experiments.traffic import Routes
from chalicelib.kit import tables
from chalicelib.kit.clock import utc_now
from chalicelib.ledger import service as ledger
from chalicelib.ledger.model import Note
from chalicelib.registry import service as registry


def start(
    tenant: str,
    row: ExperimentRow | None,
    found: Experiment,
    *,
    notes: Sequence[Note] = (),
    actor: str,
) -> Experiment:
    """Raises tables.Stale when the experiment, its namespace or the model's routes changed.

    row: where `found` lies by now, if anywhere. notes: what the ledger is told before.
    """
    if found.state is not State.DRAFT:
        raise ExperimentNotRunning(f"experiment {found.id!r} is {found.state.value!r}")
    found = _against_champion(tenant, found)
    check_arms(tenant, found, found.versions)
    namespace_row = store.read_namespace(tenant, found.namespace)
    space = namespace_row.namespace if namespace_row else Namespace(holdout=0.0)
    taken = _taken(found, space)
    started = _started(tenant, found, taken.ranges[found.id])
    routes_row = store.read_routes(tenant, found.model)
    before = routes_row.routes if routes_row else Routes()
    routes = saving.routes_with(started, before, holdout=taken.holdout)
    note = saving.note_of(found, started, "experiment.started", actor=actor)
    tables.commit(
        [
            store.put_experiment(tenant, row, started),
            store.put_namespace(tenant, found.namespace, namespace_row, taken),
            store.put_routes(tenant, found.model, routes_row, routes),
            *ledger.writes(tenant, saving.subject_of(found.id), [*notes, note]),
        ]
    )
    return started


def check_arms(tenant: str, found: Experiment, arms: Iterable[str]) -> None:
    """Raises ArmNotLive unless all of them answer and the control is the champion."""
    for arm in arms:
        version = found.versions[arm]
        if registry.live(tenant, found.model, version) is None:
            raise ArmNotLive(f"version {version!r} of arm {arm!r} is not in service")
    champion = registry.get_model(tenant, found.model).champion
    if champion is None or champion.version != found.versions[CONTROL]:
        raise ArmNotLive(f"the control {found.versions[CONTROL]!r} is not the champion")


def _against_champion(tenant: str, found: Experiment) -> Experiment:
    """Where the owner named no control, it is the champion of now, not of when it was written."""
    champion = registry.get_model(tenant, found.model).champion
    if found.definition.control_version is not None or champion is None:
        return found
    return found.model_copy(update={"versions": {**found.versions, CONTROL: champion.version}})


def _started(tenant: str, found: Experiment, room: assignment.Range) -> Experiment:
    definition = found.definition
    declared = registry.get_model(tenant, found.model).settings.metrics
    metrics = lifecycle.metrics_of(definition, declared)
    primary = next(metric for metric in metrics if metric.name == definition.primary)
    return lifecycle.start(
        found,
        metrics=metrics,
        namespace_range=room,
        planned_units=planning.planned_from_history(
            tenant, definition, primary, control=found.versions[CONTROL]
        ),
        now=utc_now(),
    )


def _taken(found: Experiment, space: Namespace) -> Namespace:
    """The namespace with room for the experiment's units. Raises NamespaceFull."""
    definition = found.definition
    if space.ranges and space.holdout != definition.holdout:
        raise NamespaceFull(
            f"namespace {found.namespace!r} holds out {space.holdout!r} of its units, "
            f"not {definition.holdout!r}"
        )
    room = assignment.first_free(list(space.ranges.values()), definition.traffic)
    if room is None:
        raise NamespaceFull(
            f"namespace {found.namespace!r} has no room for {definition.traffic!r} of its units "
            f"beside {', '.join(sorted(space.ranges))}"
        )
    return Namespace(holdout=definition.holdout, ranges={**space.ranges, found.id: room})
