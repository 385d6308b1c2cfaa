"""One port for all: the two JSON services, the runtime and the control API.
Nothing here knows what an operation does; a feature joins by its OPERATIONS."""

import re
import sys
import traceback
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from botocore.model import Shape

from localcloud.sagemaker import configs, endpoint_views, endpoints, models, scaling, tags
from localcloud.sagemaker.calls import perform
from localcloud.sagemaker.control import PREFIX, control
from localcloud.sagemaker.faults import Fault
from localcloud.sagemaker.runtime import invoke_endpoint
from localcloud.sagemaker.training import jobs, views
from localcloud.sagemaker.validation import find_faults, operation_model, validate_parameters
from localcloud.sagemaker.wire import (
    ApiError,
    DropConnection,
    JsonObject,
    Request,
    Response,
    error_response,
    json_response,
    parse_object,
)
from localcloud.sagemaker.world import ApiCall, World

Operation = Callable[[World, ApiCall], JsonObject]

OPERATIONS: Mapping[str, Operation] = {
    **models.OPERATIONS,
    **configs.OPERATIONS,
    **endpoints.OPERATIONS,
    **endpoint_views.OPERATIONS,
    **tags.OPERATIONS,
    **scaling.OPERATIONS,
    **jobs.OPERATIONS,
    **views.OPERATIONS,
}
SERVICE_BY_TARGET = {
    "SageMaker": "sagemaker",
    "AnyScaleFrontendService": "application-autoscaling",
}
RESOURCE_MEMBERS = (
    *("EndpointName", "EndpointConfigName", "ModelName", "TrainingJobName"),
    *("ResourceId", "ResourceArn"),
)
INVOKE_PATH = re.compile(r"/endpoints/([^/]+)/invocations")


def answer(world: World, request: Request) -> Response:
    """Answer any request; raises DropConnection only."""
    try:
        return _dispatch(world, request)
    except ApiError as error:
        return error_response(error)
    except DropConnection:
        raise
    except Exception:  # the last door: a fault of ours is a 500 with its trace in the server's log
        traceback.print_exc(file=sys.stderr)
        return error_response(ApiError("InternalFailure", "see the server's log", status=500))


def _dispatch(world: World, request: Request) -> Response:
    path = request.path
    if request.method == "POST" and INVOKE_PATH.fullmatch(path):
        return _invoke(world, request)
    if path.startswith(PREFIX):
        return control(world, request)
    target = request.headers.get("x-amz-target")
    if request.method == "POST" and target is not None:
        return _call(world, request, target)
    raise ApiError("UnknownOperationException", f"{request.method} {path}", status=404)


def _invoke(world: World, request: Request) -> Response:
    name = unquote(request.path.split("/")[2])

    def act(_: tuple[Fault, ...]) -> Response:
        return invoke_endpoint(world, request, name)

    return perform(world, "InvokeEndpoint", name, act, throttle_status=429)


def _call(world: World, request: Request, target: str) -> Response:
    """A JSON 1.1 call: validated on the way in, and our answer on the way out."""
    prefix, _, name = target.partition(".")
    model = (
        operation_model(SERVICE_BY_TARGET[prefix], name) if prefix in SERVICE_BY_TARGET else None
    )
    operation = OPERATIONS.get(name)
    if model is None or operation is None:
        raise ApiError("UnknownOperationException", f"{target} is not offered offline")
    parameters = parse_object(request.body)

    def act(faults: tuple[Fault, ...]) -> JsonObject:
        validate_parameters(model.input_shape, parameters)
        given = {key: value for key, value in parameters.items() if value is not None}
        return operation(world, ApiCall(given, faults))

    result = perform(world, name, _resource(parameters), act)
    _check_answer(name, model.output_shape, result)
    return json_response(result)


def _check_answer(name: str, shape: Shape | None, result: JsonObject) -> None:
    faults = list(find_faults(shape, result, at="")) if shape is not None else []
    if faults:
        raise AssertionError(f"our answer to {name} breaks AWS's model: {faults}")


def _resource(parameters: JsonObject) -> str:
    """What the call is about, for the injector's prefixes and the log."""
    for member in RESOURCE_MEMBERS:
        value = parameters.get(member)
        if isinstance(value, str):
            return value
    return ""
