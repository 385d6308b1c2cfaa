"""Keys and rows of deployments, and the row that finds a deployment by its endpoint's name.
No rule about states lives here."""

from collections.abc import Iterator
from typing import NamedTuple

from chalicelib.deployments.model import Deployment
from chalicelib.kit import tables
from chalicelib.kit.settings import settings
from chalicelib.kit.tables import Key, Row, Write
from chalicelib.kit.values import Value


class DeploymentRow(NamedTuple):
    row: Row
    deployment: Deployment


class Owner(Value):
    """Whose endpoint a name is."""

    model: str
    version: str


def read(tenant: str, model: str, version: str) -> DeploymentRow | None:
    row = tables.read(_table(), _key(tenant, model, version))
    return DeploymentRow(row, Deployment.model_validate_json(row.doc)) if row else None


def put(tenant: str, found: DeploymentRow | None, deployment: Deployment) -> Write:
    key = _key(tenant, deployment.model, deployment.version)
    return tables.put(_table(), key, found.row if found else None, deployment.model_dump_json())


def deployments(tenant: str) -> Iterator[Deployment]:
    rows = tables.scan_partition(_table(), f"{tenant}#deployments")
    return (Deployment.model_validate_json(row.doc) for row in rows)


def create_owner(tenant: str, name: str, owner: Owner) -> Write:
    return tables.create(_table(), _owner_key(tenant, name), owner.model_dump_json())


def owner_of(tenant: str, name: str) -> Owner | None:
    row = tables.read(_table(), _owner_key(tenant, name))
    return Owner.model_validate_json(row.doc) if row else None


def _table() -> str:
    return settings().control_table


def _key(tenant: str, model: str, version: str) -> Key:
    return Key(f"{tenant}#deployments", f"{model}#{version}")


def _owner_key(tenant: str, name: str) -> Key:
    return Key(f"{tenant}#endpoints", name)
