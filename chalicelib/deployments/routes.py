"""HTTP of deployments: deploy, promote, retire, roll back, and how a deployment stands.
Long work answers 202 at once; the record tells how it goes on."""

from chalice.app import Blueprint

from chalicelib.deployments import service
from chalicelib.deployments.model import Deployment
from chalicelib.kit.http import Answer, Call, Role, endpoint
from chalicelib.ledger.model import Justification
from chalicelib.registry.model import ModelName, Version
from chalicelib.registry.semver import VersionName

bp = Blueprint(__name__)

_VERSION = "/api/models/{model}/versions/{version}"


class RollbackRequest(Justification):
    to: VersionName | None = None
    """A former champion; without one, the newest whose endpoint is still in service."""


@endpoint(
    bp,
    f"GET {_VERSION}/deployment",
    role=Role.VIEWER,
    summary="How the version's deployment stands",
)
def get_deployment(call: Call, model: ModelName, version: VersionName) -> Deployment:
    return service.get_deployment(call.tenant, model, version)


@endpoint(
    bp,
    f"POST {_VERSION}/deploy",
    role=Role.OPERATOR,
    summary="Deploy a version, again after a failure, or with the settings of now",
    status=202,
)
def deploy_version(call: Call, model: ModelName, version: VersionName) -> Answer[Deployment]:
    deployment = service.ask_to_deploy(call.tenant, model, version, actor=call.caller)
    where = f"/api/models/{model}/versions/{version}/deployment"
    return Answer(deployment, headers={"Location": where})


@endpoint(
    bp,
    f"POST {_VERSION}/promote",
    role=Role.OPERATOR,
    summary="Make a candidate the champion",
)
def promote_version(
    call: Call, model: ModelName, version: VersionName, body: Justification
) -> Version:
    return service.promote(call.tenant, model, version, actor=call.caller, reason=body.reason)


@endpoint(
    bp,
    f"POST {_VERSION}/retire",
    role=Role.OPERATOR,
    summary="Take a version out of use and its endpoint down",
    status=202,
)
def retire_version(
    call: Call, model: ModelName, version: VersionName, body: Justification
) -> Version:
    return service.ask_to_retire(call.tenant, model, version, actor=call.caller, reason=body.reason)


@endpoint(
    bp,
    "POST /api/models/{model}/rollback",
    role=Role.OPERATOR,
    summary="Back to a former champion, whose endpoint is still in service",
)
def roll_back(call: Call, model: ModelName, body: RollbackRequest) -> Version:
    return service.roll_back(call.tenant, model, to=body.to, actor=call.caller, reason=body.reason)
