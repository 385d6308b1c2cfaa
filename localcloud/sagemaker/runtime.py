"""InvokeEndpoint: from the caller to a container and back, with what SageMaker lets through.
Nothing here changes state."""

import time
from functools import cache
from urllib.parse import quote

from botocore.model import StructureShape

from localcloud.sagemaker.fleet import Route, RoutedVariant
from localcloud.sagemaker.processes import Answer, ContainerGone, ContainerTimeout
from localcloud.sagemaker.validation import find_faults, operation_model
from localcloud.sagemaker.wire import ApiError, JsonObject, Request, Response
from localcloud.sagemaker.world import World

MAX_REALTIME_BYTES = 6_291_456
MAX_SERVERLESS_BYTES = 4 * 1024 * 1024
TARGET_VARIANT = "x-amzn-sagemaker-target-variant"
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the"
    " latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)
EXITED = "An error occurred while handling request as the model process exited."


def invoke_endpoint(world: World, request: Request, endpoint: str) -> Response:
    """Answer as the container does, or raise the runtime's error."""
    asked_at = time.perf_counter()
    headers = _passed_headers(request)
    while True:
        route = world.fleet.routes.get(endpoint)
        if route is None:
            message = f"Endpoint {endpoint} of account {world.settings.account} not found."
            raise ApiError("ValidationError", message)
        _check_size(request, route)
        variant = _pick(route, endpoint, request.headers.get(TARGET_VARIANT))
        sent_at = time.perf_counter()
        try:
            answer = _invoke(world, variant, headers, request.body)
        except ContainerGone:
            if world.fleet.routes.get(endpoint) is not route:
                continue  # an update took the container away between the look-up and the call
            answer = Answer(0, {}, EXITED.encode())
        except ContainerTimeout:
            answer = Answer(0, {}, TIMED_OUT.encode())
        world.meter.count(
            endpoint,
            variant.name,
            status=answer.status,
            model_s=time.perf_counter() - sent_at,
            overhead_s=sent_at - asked_at,
        )
        return _response(world, endpoint, variant, answer)


@cache
def _header_names() -> dict[str, tuple[str, str]]:
    """The headers SageMaker knows, by their lower-case name: the member, and the spelling."""
    operation = operation_model("sagemaker-runtime", "InvokeEndpoint")
    shape = operation.input_shape if operation else None
    members = shape.members if isinstance(shape, StructureShape) else {}
    return {
        member.serialization["name"].lower(): (name, member.serialization["name"])
        for name, member in members.items()
        if member.serialization.get("location") == "header"
    }


def _passed_headers(request: Request) -> dict[str, str]:
    """The request's headers that reach the container, validated; all others are stripped."""
    operation = operation_model("sagemaker-runtime", "InvokeEndpoint")
    passed: dict[str, str] = {}
    faults: list[str] = []
    for lower, (member, spelling) in _header_names().items():
        if lower in request.headers and operation and operation.input_shape:
            value = request.headers[lower]
            shape = operation.input_shape.members[member]
            faults += find_faults(shape, value, at=member[0].lower() + member[1:])
            passed[spelling] = value
    if faults:
        count = f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected"
        raise ApiError("ValidationError", f"{count}: {'; '.join(faults)}")
    return passed


def _check_size(request: Request, route: Route) -> None:
    limit_bytes = MAX_SERVERLESS_BYTES if route.is_serverless else MAX_REALTIME_BYTES
    if request.is_too_large or len(request.body) > limit_bytes:
        message = f"HTTP content length exceeded {limit_bytes} bytes."
        raise ApiError("RequestEntityTooLarge", message, status=413)


def _pick(route: Route, endpoint: str, target: str | None) -> RoutedVariant:
    variant = route.pick(target)
    if variant is None:
        message = (
            f"Variant {target} not found for Request" if target else "No variant takes traffic"
        )
        raise ApiError("ValidationError", f"{message} (endpoint {endpoint}).")
    return variant


def _invoke(world: World, variant: RoutedVariant, headers: dict[str, str], body: bytes) -> Answer:
    if variant.slots is not None and not variant.slots.acquire(blocking=False):
        message = "The endpoint's maximum concurrency was exceeded. Please try again later."
        raise ApiError("ThrottlingException", message, status=429)
    try:
        timeout_s = world.settings.invoke_timeout_s
        return variant.container.invoke(headers, body, timeout_s=timeout_s)
    finally:
        if variant.slots is not None:
            variant.slots.release()


def _response(world: World, endpoint: str, variant: RoutedVariant, answer: Answer) -> Response:
    if not 200 <= answer.status < 300:
        message = answer.body.decode("utf-8", "replace")
        raise _model_error(world, endpoint, status=answer.status, message=message)
    headers = {
        "Content-Type": answer.headers.get("content-type", "application/octet-stream"),
        "x-Amzn-Invoked-Production-Variant": variant.name,
    }
    attributes = answer.headers.get(CUSTOM_ATTRIBUTES.lower())
    if attributes is not None:
        headers[CUSTOM_ATTRIBUTES] = attributes
    return Response(200, answer.body, headers)


def _model_error(world: World, endpoint: str, *, status: int, message: str) -> ApiError:
    settings = world.settings
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    side = "client" if 400 <= status < 500 else "server"
    logs = (
        f"https://{settings.region}.console.aws.amazon.com/cloudwatch/home?region={settings.region}"
        f"#logEventViewer:group={quote(group, safe='/')}"
    )
    extra: JsonObject = {
        "OriginalStatusCode": status,
        "OriginalMessage": message,
        "LogStreamArn": f"arn:aws:logs:{settings.region}:{settings.account}:log-group:{group}",
    }
    text = (
        f'Received {side} error ({status}) from primary with message "{message}".'
        f" See {logs} in account {settings.account} for more information."
    )
    return ApiError("ModelError", text, status=424, extra=extra)
