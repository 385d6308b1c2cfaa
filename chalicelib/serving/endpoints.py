"""SageMaker's runtime: send one request to one endpoint, and say what went wrong in our words.
The provider's error texts stay here; only a container's problem document may reach the caller."""

from typing import Any, NoReturn

from botocore.exceptions import ClientError, ReadTimeoutError
from pydantic import Field, ValidationError
from pydantic_core import from_json

from chalicelib.kit import aws
from chalicelib.kit.errors import Flaw, Upstream
from chalicelib.kit.telemetry import logger
from chalicelib.kit.values import Told
from chalicelib.registry.model import Live
from chalicelib.serving.model import (
    MAX_ANSWER_BYTES,
    EndpointBusy,
    EndpointMissing,
    InputRefused,
    ModelFailed,
    ModelTimeout,
    Output,
    Request,
)

_RETRY_SOON_S = 1
_RETRY_AFTER_REPAIR_S = 30
_INPUT_STATUSES = range(400, 500)
_DETAIL_LETTERS = 500


class _FlawTold(Told):
    at: str = ""
    because: str = ""


class _ProblemTold(Told):
    """What of a container's problem document is passed on."""

    detail: str
    errors: list[_FlawTold] = Field(default_factory=list[_FlawTold])


def invoke(live: Live, request: Request) -> Output:
    """Raises one of the failures of `serving.model`, also when what came is no answer; an endpoint
    is asked once only."""
    try:
        answer = aws.sagemaker_runtime().invoke_endpoint(
            EndpointName=live.endpoint,
            Body=request.body,
            ContentType=request.content_type,
            Accept=request.accept,
        )
        content = answer["Body"].read()
    except ReadTimeoutError as error:
        raise ModelTimeout(f"endpoint of version {live.version!r} timed out") from error
    except aws.NO_ANSWER as error:
        raise EndpointBusy("the endpoint cannot be reached", retry_after_s=_RETRY_SOON_S) from error
    except ClientError as error:
        _refuse(live, error)
    output = Output(content, answer.get("ContentType", "application/octet-stream"))
    _check(output)
    return output


def _check(output: Output) -> None:
    size = len(output.content)
    if size > MAX_ANSWER_BYTES:
        raise ModelFailed(f"the model answered {size} bytes, more than can be sent")
    if output.is_json:
        try:
            from_json(output.content, allow_inf_nan=False, cache_strings="none")
        except ValueError as error:
            raise ModelFailed("the model answered JSON that is none") from error


def _refuse(live: Live, error: ClientError) -> NoReturn:
    code, message = aws.error_code(error), aws.error_message(error)
    logger.warning("invocation_failed", endpoint=live.endpoint, error=code, reason=message[:500])
    if code == "ModelError":
        _refuse_for_model(error.response)
    if code in {"ValidationError", "ValidationException"} and "not found" in message:
        raise EndpointMissing(
            f"version {live.version!r} has no endpoint right now",
            retry_after_s=_RETRY_AFTER_REPAIR_S,
        ) from error
    if aws.is_transient(error) or code in {"ModelNotReadyException", "ValidationError"}:
        raise EndpointBusy(
            f"version {live.version!r} cannot answer right now", retry_after_s=_RETRY_SOON_S
        ) from error
    raise Upstream(f"SageMaker answered {code!r}") from error


def _refuse_for_model(response: Any) -> NoReturn:
    """A 4xx of the container is the caller's to mend, anything else is the model's fault."""
    status = response.get("OriginalStatusCode", 0)
    if status not in _INPUT_STATUSES:
        raise ModelFailed(f"the model answered {status!r}")
    try:
        told = _ProblemTold.model_validate_json(response.get("OriginalMessage", ""))
    except ValidationError as error:
        raise InputRefused("the model refused the input and did not say why") from error
    flaws = tuple(
        Flaw(at=f"body.{flaw.at}"[:_DETAIL_LETTERS], because=flaw.because[:_DETAIL_LETTERS])
        for flaw in told.errors[:10]
    )
    raise InputRefused(told.detail[:_DETAIL_LETTERS], flaws=flaws)
