"""HTTP of the ledger: read it and verify it.
There is no route that writes: entries come with the changes they describe."""

from typing import Annotated

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.kit.http import Call, Role, endpoint
from chalicelib.kit.paging import Page, PageQuery
from chalicelib.ledger import service
from chalicelib.ledger.model import Entry, Subject, Verification

bp = Blueprint(__name__)


class EntriesQuery(PageQuery):
    subject: Subject
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,12}$")] | None = None


class SubjectQuery(PageQuery):
    subject: Subject


@endpoint(bp, "GET /api/ledger", role=Role.VIEWER, summary="Audit entries of a subject")
def list_ledger_entries(call: Call, query: EntriesQuery) -> "Page[Entry]":
    return service.entries(call.tenant, query.subject, limit=query.limit, cursor=query.cursor)


@endpoint(
    bp, "GET /api/ledger/verification", role=Role.VIEWER, summary="Recompute a subject's hash chain"
)
def verify_ledger(call: Call, query: SubjectQuery) -> Verification:
    return service.verify(call.tenant, query.subject)
