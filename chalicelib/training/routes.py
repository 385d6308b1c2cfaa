"""HTTP of training: ask for a job, see how it goes, stop it.
Long work answers 202 at once; the job tells how it goes on."""

from typing import TYPE_CHECKING, Annotated

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.kit.http import Answer, Call, Role, endpoint
from chalicelib.kit.later import imported_later
from chalicelib.kit.paging import Page, PageQuery
from chalicelib.ledger.model import Justification
from chalicelib.registry.model import ModelName
from chalicelib.training.model import Job, JobName, Retraining

if TYPE_CHECKING:
    from chalicelib.training import service
else:
    service = imported_later("chalicelib.training.service")

bp = Blueprint(__name__)

_JOBS = "/api/models/{model}/training-jobs"


class JobsQuery(PageQuery):
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,9}$")] | None = None


@endpoint(
    bp,
    f"POST {_JOBS}",
    role=Role.OPERATOR,
    summary="Train a new version from the episodes that lie there, or say why not",
    status=202,
)
def start_training(call: Call, model: ModelName, body: Justification) -> Answer[Retraining]:
    asked = service.ask_over_http(call.tenant, model, reason=body.reason, actor=call.caller)
    if asked.job is None:
        return Answer(asked, status=200)
    where = f"/api/models/{model}/training-jobs/{asked.job.name}"
    return Answer(asked, headers={"Location": where})


@endpoint(bp, f"GET {_JOBS}", role=Role.VIEWER, summary="Training jobs of a model, newest first")
def list_training_jobs(call: Call, model: ModelName, query: JobsQuery) -> "Page[Job]":
    return service.list_jobs(call.tenant, model, limit=query.limit, cursor=query.cursor)


@endpoint(
    bp,
    f"GET {_JOBS}/{{job}}",
    role=Role.VIEWER,
    summary="A training job: its data, the version it became, or why it failed",
)
def get_training_job(call: Call, model: ModelName, job: JobName) -> Job:
    return service.get_job(call.tenant, model, job)


@endpoint(
    bp,
    f"POST {_JOBS}/{{job}}/stop",
    role=Role.OPERATOR,
    summary="Stop a training job; no version comes of it",
    status=202,
)
def stop_training(call: Call, model: ModelName, job: JobName) -> Job:
    return service.ask_to_stop_over_http(call.tenant, model, job, actor=call.caller)
