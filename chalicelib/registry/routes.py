"""HTTP of the registry: models, their settings, versions and history.
What moves endpoints (deploy, promote, roll back, retire) is in deployments."""

from typing import Annotated

from chalice.app import Blueprint
from pydantic import AwareDatetime, Field

from chalicelib.kit.http import Answer, Call, Role, endpoint
from chalicelib.kit.paging import Page, PageQuery
from chalicelib.kit.values import Value
from chalicelib.registry import service
from chalicelib.registry.model import Model, ModelName, ModelSettings, Version
from chalicelib.registry.semver import VersionName
from chalicelib.registry.service import History

bp = Blueprint(__name__)


class HistoryQuery(Value):
    at: AwareDatetime | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(pattern=r"^[0-9TZ:.#-]{1,60}$")] | None = None


class ModelsQuery(PageQuery):
    cursor: ModelName | None = None


class VersionsQuery(PageQuery):
    cursor: VersionName | None = None


@endpoint(bp, "GET /api/models", role=Role.VIEWER, summary="Models by name")
def list_models(call: Call, query: ModelsQuery) -> "Page[Model]":
    return service.list_models(call.tenant, limit=query.limit, cursor=query.cursor)


@endpoint(bp, "GET /api/models/{model}", role=Role.VIEWER, summary="A model and its champion")
def get_model(call: Call, model: ModelName) -> Model:
    return service.get_model(call.tenant, model)


@endpoint(
    bp,
    "PUT /api/models/{model}",
    role=Role.OPERATOR,
    summary="Create a model or replace its settings",
)
def put_model(call: Call, model: ModelName, body: ModelSettings) -> Answer[Model]:
    saved = service.put_settings(call.tenant, model, body, actor=call.caller)
    if not saved.is_new:
        return Answer(saved.model)
    return Answer(saved.model, status=201, headers={"Location": f"/api/models/{model}"})


@endpoint(
    bp,
    "GET /api/models/{model}/versions",
    role=Role.VIEWER,
    summary="Versions, highest precedence first",
)
def list_versions(call: Call, model: ModelName, query: VersionsQuery) -> "Page[Version]":
    return service.list_versions(call.tenant, model, limit=query.limit, cursor=query.cursor)


@endpoint(
    bp,
    "GET /api/models/{model}/versions/{version}",
    role=Role.VIEWER,
    summary="A version: its bytes, stage, endpoint, and why it failed",
)
def get_version(call: Call, model: ModelName, version: VersionName) -> Version:
    return service.get_version(call.tenant, model, version)


@endpoint(
    bp,
    "GET /api/models/{model}/history",
    role=Role.VIEWER,
    summary="Stage changes, and with `at` what was live then",
)
def get_history(call: Call, model: ModelName, query: HistoryQuery) -> History:
    return service.history(call.tenant, model, at=query.at, limit=query.limit, cursor=query.cursor)
