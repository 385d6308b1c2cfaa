"""What must hold before an experiment takes its first unit, and the rows that make it so.
Later moves are in `running`."""

from chalicelib.experiments import assignment, lifecycle, planning, store
from chalicelib.experiments.model import CONTROL, ArmNotLive, Experiment, NamespaceFull
from chalicelib.experiments.saving import note_of, subject_of
from chalicelib.experiments.store import ExperimentRow, Namespace
from chalicelib.experiments.traffic import Routes
from chalicelib.kit import tables
from chalicelib.kit.clock import utc_now
from chalicelib.ledger import service as ledger
from chalicelib.registry import service as registry


def start(tenant: str, row: ExperimentRow, *, actor: str) -> Experiment:
    found = row.experiment
    definition = found.definition
    for arm, version in found.versions.items():
        if registry.live(tenant, found.model, version) is None:
            raise ArmNotLive(f"version {version!r} of arm {arm!r} is not in service")
    if registry.get_model(tenant, found.model).champion != registry.live(
        tenant, found.model, found.versions[CONTROL]
    ):
        raise ArmNotLive(f"the control {found.versions[CONTROL]!r} is not the champion")
    declared = registry.get_model(tenant, found.model).settings.metrics
    metrics = lifecycle.metrics_of(definition, declared)
    primary = next(metric for metric in metrics if metric.name == definition.primary)
    namespace_row = store.read_namespace(tenant, found.namespace)
    space = namespace_row.namespace if namespace_row else Namespace(holdout=definition.holdout)
    room = _room(tenant, found, space)
    started = lifecycle.start(
        found,
        metrics=metrics,
        namespace_range=room,
        planned_units=planning.planned_from_history(
            tenant, definition, primary, control=found.versions[CONTROL]
        ),
        now=utc_now(),
    )
    taken = Namespace(
        holdout=definition.holdout if not space.ranges else space.holdout,
        ranges={**space.ranges, found.id: room},
    )
    note = note_of(found, started, "experiment.started", actor=actor)
    routes_row = store.read_routes(tenant, found.model)
    routes = [*(routes_row.routes.routes if routes_row else [])]
    routes.append(lifecycle.route_of(started, holdout=taken.holdout))
    tables.commit(
        [
            store.put_experiment(tenant, row, started),
            store.put_namespace(tenant, found.namespace, namespace_row, taken),
            store.put_routes(tenant, found.model, routes_row, Routes(routes=routes)),
            *ledger.writes(tenant, subject_of(found.id), [note]),
        ]
    )
    return started


def _room(tenant: str, found: Experiment, space: Namespace) -> assignment.Range:
    """Where the experiment's units lie in its namespace. Raises NamespaceFull."""
    definition = found.definition
    if space.ranges and space.holdout != definition.holdout:
        raise NamespaceFull(
            f"namespace {found.namespace!r} holds out {space.holdout!r} of its units, "
            f"not {definition.holdout!r}"
        )
    routes = store.read_routes(tenant, found.model)
    others = [r for r in routes.routes.routes if r.namespace != found.namespace] if routes else []
    if others:
        raise NamespaceFull(
            f"experiment {others[0].experiment!r} of this model runs in namespace "
            f"{others[0].namespace!r}: one prediction cannot be in two experiments"
        )
    room = assignment.first_free(list(space.ranges.values()), definition.traffic)
    if room is None:
        raise NamespaceFull(
            f"namespace {found.namespace!r} has no room for {definition.traffic!r} of its units "
            f"beside {', '.join(sorted(space.ranges))}"
        )
    return room
