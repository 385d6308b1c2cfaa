"""How a changed experiment is written: with its route, its part of the namespace, and the ledger.
What changes, and why, is decided by the callers."""

from chalicelib.experiments import lifecycle, store
from chalicelib.experiments.model import (
    CONCLUDED,
    Experiment,
    ExperimentNotFound,
    NamespaceFull,
    State,
)
from chalicelib.experiments.store import ExperimentRow, Namespace
from chalicelib.experiments.traffic import Routes
from chalicelib.kit import tables
from chalicelib.kit.tables import Write
from chalicelib.ledger import service as ledger
from chalicelib.ledger.model import Facts, Note


def read(tenant: str, experiment: str) -> ExperimentRow:
    """Raises ExperimentNotFound."""
    found = store.read_experiment(tenant, experiment)
    if found is None:
        raise ExperimentNotFound(f"there is no experiment {experiment!r}")
    return found


def save(
    tenant: str,
    row: ExperimentRow,
    after: Experiment,
    *,
    actor: str,
    action: str,
    facts: Facts | None = None,
) -> Experiment:
    """Raises tables.Stale when the experiment has changed since it was read, and NamespaceFull when
    it goes on but its model's predictions are another namespace's by now."""
    note = note_of(row.experiment, after, action, actor=actor, facts=facts)
    tables.commit(writes_of(tenant, row, after, note))
    return after


def writes_of(tenant: str, row: ExperimentRow, after: Experiment, note: Note) -> list[Write]:
    """The experiment, its route, its part of the namespace and the ledger's entry: all or none."""
    writes = [store.put_experiment(tenant, row, after)]
    writes += ledger.writes(tenant, subject_of(after.id), [note])
    if after.namespace_range is None:
        return writes
    namespace_row = store.read_namespace(tenant, after.namespace)
    space = namespace_row.namespace if namespace_row else Namespace(holdout=0.0)
    routes_row = store.read_routes(tenant, after.model)
    before = routes_row.routes if routes_row else Routes()
    routes = routes_with(after, before, holdout=space.holdout)
    if routes != before:
        writes.append(store.put_routes(tenant, after.model, routes_row, routes))
    if after.state in CONCLUDED and after.id in space.ranges:
        left = {name: taken for name, taken in space.ranges.items() if name != after.id}
        freed = space.model_copy(update={"ranges": left})
        writes.append(store.put_namespace(tenant, after.namespace, namespace_row, freed))
    return writes


def routes_with(after: Experiment, before: Routes, *, holdout: float) -> Routes:
    """The model's routes with the experiment's own while it runs, and without it else."""
    others = [route for route in before.routes if route.experiment != after.id]
    if after.state is not State.RUNNING:
        return Routes(routes=others)
    for other in others:
        if other.namespace != after.namespace:
            raise NamespaceFull(
                f"experiment {other.experiment!r} of this model runs in namespace "
                f"{other.namespace!r}: one prediction cannot be in two experiments"
            )
    return Routes(routes=[*others, lifecycle.route_of(after, holdout=holdout)])


def subject_of(experiment: str) -> str:
    """The ledger subject under which everything about an experiment is recorded."""
    return f"experiment/{experiment}"


def note_of(
    before: Experiment, after: Experiment, action: str, *, actor: str, facts: Facts | None = None
) -> Note:
    return Note(
        actor=actor,
        action=action,
        before={"state": before.state.value},
        after={"state": after.state.value, "shares": _shares(after), "exposed": after.exposed},
        facts=facts or {},
    )


def _shares(found: Experiment) -> Facts | None:
    return dict(found.phases[-1].shares()) if found.phases else None
