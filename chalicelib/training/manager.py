"""The actions of the Lambda function `model-retraining-trigger`, in payloads teams already send.
One action per event; the use cases are those of HTTP."""

from typing import Annotated, Any, Literal, assert_never

from pydantic import BaseModel, Field, JsonValue, TypeAdapter

from chalicelib.kit.actions import answered
from chalicelib.kit.clock import Deadline
from chalicelib.kit.values import Value
from chalicelib.registry.model import ModelName
from chalicelib.training import service
from chalicelib.training.model import JobName

_ACTOR = "model-retraining-trigger"


class _Action(Value):
    model_name: ModelName


class TriggerRetraining(_Action):
    action: Literal["trigger_retraining"]
    reason: Annotated[str, Field(max_length=500)] = ""


class JobStatus(_Action):
    """Of the last job, unless one is named."""

    action: Literal["job_status"]
    job_name: JobName | None = None


class ListJobs(_Action):
    action: Literal["list_jobs"]
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,9}$")] | None = None


class StopJob(_Action):
    action: Literal["stop_job"]
    job_name: JobName


class AdvanceJob(_Action):
    """Go on with what was asked for before; the HTTP door hands its work over by this."""

    action: Literal["advance_job"]
    job_name: JobName


Action = Annotated[
    TriggerRetraining | JobStatus | ListJobs | StopJob | AdvanceJob, Field(discriminator="action")
]


def answer(
    event: dict[str, Any], *, tenant: str, token: str | None, deadline: Deadline
) -> dict[str, JsonValue]:
    """token: names the invocation; Lambda gives the same one when it tries again."""

    def carry_out(action: Action) -> JsonValue:
        done = _carry_out(action, tenant=tenant, token=token, deadline=deadline)
        return done.model_dump(mode="json")

    return answered(TypeAdapter[Action](Action), event, carry_out)


def _carry_out(action: Action, *, tenant: str, token: str | None, deadline: Deadline) -> BaseModel:
    name = action.model_name
    match action:
        case TriggerRetraining():
            return service.trigger(
                tenant, name, reason=action.reason, actor=_ACTOR, token=token, deadline=deadline
            )
        case JobStatus() if action.job_name is None:
            return service.last_job(tenant, name)
        case JobStatus():
            return service.get_job(tenant, name, str(action.job_name))
        case ListJobs():
            return service.list_jobs(tenant, name, limit=action.limit, cursor=action.cursor)
        case StopJob():
            return service.stop(tenant, name, action.job_name, actor=_ACTOR, deadline=deadline)
        case AdvanceJob():
            return service.advance(tenant, name, action.job_name, deadline=deadline)
        case _:
            assert_never(action)
