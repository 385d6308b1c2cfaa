"""HTTP of the service itself: its health, its OpenAPI document and the page that renders it.
All three are made from what runs, not written by hand."""

from functools import cache

from chalice.app import Blueprint

from chalicelib.about import page, service
from chalicelib.about.model import Health
from chalicelib.about.openapi import document_of
from chalicelib.kit.http import OPERATION, Answer, Operation, Raw, Role, endpoint

bp = Blueprint(__name__)


@endpoint(bp, "GET /health", role=Role.VIEWER, summary="Is every dependency there?")
def get_health() -> Answer[Health]:
    health = service.health()
    return Answer(health, status=200 if health.status == "healthy" else 503)


@endpoint(bp, "GET /openapi.json", role=Role.VIEWER, summary="This interface as OpenAPI 3.1")
def get_openapi() -> Raw:
    return Raw(_openapi(), "application/json")


@endpoint(bp, "GET /docs", role=Role.VIEWER, summary="This interface as a page to read")
def get_docs() -> Raw:
    return Raw(_page(), "text/html; charset=utf-8")


def operations() -> list[Operation]:
    """Every route of the running app, in the order of registration."""
    routes = bp.current_app.routes
    views = [entry.view_function for methods in routes.values() for entry in methods.values()]
    return [getattr(view, OPERATION) for view in views]


@cache
def _openapi() -> bytes:
    return document_of(operations())


@cache
def _page() -> bytes:
    return page.render(_openapi())
