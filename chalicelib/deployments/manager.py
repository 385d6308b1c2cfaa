"""The actions of the Lambda function `model-version-manager`, in the payloads teams already send.
One action per event; the use cases are those of HTTP."""

from typing import Annotated, Any, Literal, assert_never

from pydantic import BaseModel, Field, JsonValue, TypeAdapter

from chalicelib.deployments import service
from chalicelib.kit.actions import answered
from chalicelib.kit.clock import Deadline
from chalicelib.kit.values import Value
from chalicelib.registry import service as registry
from chalicelib.registry.model import ModelName, Stage, stage_named
from chalicelib.registry.semver import VersionName

_ACTOR = "model-version-manager"


class _Action(Value):
    model_name: ModelName
    reason: Annotated[str, Field(max_length=500)] = ""


class DeployModel(_Action):
    action: Literal["deploy_model"]
    version: VersionName


class PromoteModel(_Action):
    """`stage` may be any name of a stage or alias; only `Production` (champion) is a promotion,
    `Archived` (retired) retires."""

    action: Literal["promote_model"]
    version: VersionName
    stage: str = "Production"


class RollBack(_Action):
    action: Literal["rollback"]
    version: VersionName | None = None


class DescribeModel(_Action):
    action: Literal["describe_model"]


class ListVersions(_Action):
    action: Literal["list_versions"]
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: VersionName | None = None


class RetireVersion(_Action):
    action: Literal["retire_version"]
    version: VersionName


class AdvanceVersion(_Action):
    """Go on with what was asked for before; the HTTP door hands its work over by this."""

    action: Literal["advance_version"]
    version: VersionName


Action = Annotated[
    DeployModel
    | PromoteModel
    | RollBack
    | DescribeModel
    | ListVersions
    | RetireVersion
    | AdvanceVersion,
    Field(discriminator="action"),
]


def answer(event: dict[str, Any], *, tenant: str, deadline: Deadline) -> dict[str, JsonValue]:
    def carry_out(action: Action) -> JsonValue:
        return _carry_out(action, tenant=tenant, deadline=deadline).model_dump(mode="json")

    return answered(TypeAdapter[Action](Action), event, carry_out)


def _carry_out(action: Action, *, tenant: str, deadline: Deadline) -> BaseModel:
    name = action.model_name
    match action:
        case DescribeModel():
            return registry.get_model(tenant, name)
        case ListVersions():
            return registry.list_versions(tenant, name, limit=action.limit, cursor=action.cursor)
        case RollBack():
            return service.roll_back(
                tenant, name, to=action.version, actor=_ACTOR, reason=action.reason
            )
        case PromoteModel():
            return _move(action, tenant=tenant, deadline=deadline)
        case DeployModel() | RetireVersion() | AdvanceVersion():
            return _work_on(action, tenant=tenant, deadline=deadline)
        case _:
            assert_never(action)


def _work_on(
    action: DeployModel | RetireVersion | AdvanceVersion, *, tenant: str, deadline: Deadline
) -> BaseModel:
    name, version = action.model_name, action.version
    match action:
        case DeployModel():
            return service.deploy(tenant, name, version, actor=_ACTOR, deadline=deadline)
        case RetireVersion():
            return _retire(tenant, name, version, action.reason, deadline)
        case AdvanceVersion():
            return service.advance(tenant, name, version, deadline=deadline)


def _move(action: PromoteModel, *, tenant: str, deadline: Deadline) -> BaseModel:
    match stage_named(action.stage):
        case Stage.CHAMPION:
            return service.promote(
                tenant, action.model_name, action.version, actor=_ACTOR, reason=action.reason
            )
        case Stage.RETIRED:
            return _retire(tenant, action.model_name, action.version, action.reason, deadline)
        case Stage.CANDIDATE | Stage.DEPLOYING:
            return service.deploy(
                tenant, action.model_name, action.version, actor=_ACTOR, deadline=deadline
            )
        case Stage.REGISTERED | Stage.REJECTED | Stage.FAILED as stage:
            raise service.NotAGoal(f"a version cannot be moved to {stage.value!r}")


def _retire(tenant: str, name: str, version: str, reason: str, deadline: Deadline) -> BaseModel:
    return service.retire(tenant, name, version, actor=_ACTOR, reason=reason, deadline=deadline)
