"""Keys and rows of experiments: the experiments themselves, the routes of a model, namespaces.
Conditional writes only; what was counted lies in a table of its own, behind `counting`."""

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import Field

from chalicelib.experiments.model import Experiment
from chalicelib.experiments.traffic import Routes
from chalicelib.kit import tables
from chalicelib.kit.settings import settings
from chalicelib.kit.tables import Key, Row, Write
from chalicelib.kit.values import Value


class Namespace(Value):
    """Who owns which part of a namespace's points, by experiment."""

    holdout: float
    ranges: dict[str, tuple[float, float]] = Field(default_factory=dict[str, tuple[float, float]])


class ExperimentRow(NamedTuple):
    row: Row
    experiment: Experiment


class RoutesRow(NamedTuple):
    row: Row
    routes: Routes


class NamespaceRow(NamedTuple):
    row: Row
    namespace: Namespace


def read_experiment(tenant: str, experiment: str) -> ExperimentRow | None:
    row = tables.read(_table(), _experiment_key(tenant, experiment))
    return ExperimentRow(row, Experiment.model_validate_json(row.doc)) if row else None


def experiments(
    tenant: str, *, after: str | None = None, page_size: int = 100
) -> Iterator[Experiment]:
    """By id."""
    pk = f"{tenant}#experiments"
    rows = tables.scan_partition(_table(), pk, after=after, page_size=page_size)
    return (Experiment.model_validate_json(row.doc) for row in rows)


def put_experiment(tenant: str, read: ExperimentRow | None, experiment: Experiment) -> Write:
    key = _experiment_key(tenant, experiment.id)
    return tables.put(_table(), key, read.row if read else None, experiment.model_dump_json())


def read_routes(tenant: str, model: str) -> RoutesRow | None:
    row = tables.read(_table(), _routes_key(tenant, model))
    return RoutesRow(row, Routes.model_validate_json(row.doc)) if row else None


def put_routes(tenant: str, model: str, read: RoutesRow | None, routes: Routes) -> Write:
    key = _routes_key(tenant, model)
    return tables.put(_table(), key, read.row if read else None, routes.model_dump_json())


def read_namespace(tenant: str, name: str) -> NamespaceRow | None:
    row = tables.read(_table(), _namespace_key(tenant, name))
    return NamespaceRow(row, Namespace.model_validate_json(row.doc)) if row else None


def put_namespace(tenant: str, name: str, read: NamespaceRow | None, namespace: Namespace) -> Write:
    key = _namespace_key(tenant, name)
    return tables.put(_table(), key, read.row if read else None, namespace.model_dump_json())


def _table() -> str:
    return settings().control_table


def _experiment_key(tenant: str, experiment: str) -> Key:
    return Key(f"{tenant}#experiments", experiment)


def _routes_key(tenant: str, model: str) -> Key:
    return Key(f"{tenant}#routes", model)


def _namespace_key(tenant: str, name: str) -> Key:
    return Key(f"{tenant}#namespaces", name)
