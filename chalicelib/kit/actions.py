"""Lambda functions that people and scripts invoke: one action in, its result or refusal out.
The actions, and what they do, are the features'."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import JsonValue, TypeAdapter, ValidationError

from chalicelib.kit.errors import Failure

A = TypeVar("A")


def answered(
    actions: TypeAdapter[A], event: dict[str, Any], carry_out: Callable[[A], JsonValue]
) -> dict[str, JsonValue]:
    """`{"status": "ok", "result": ...}`, or `{"status": "error", "error": {code, detail}}`.

    A refused action is answered, not raised: Lambda would run it again.
    """
    try:
        result = carry_out(actions.validate_python(event))
    except ValidationError as error:
        flaws: list[JsonValue] = [
            {"at": ".".join(map(str, found["loc"])), "because": found["msg"]}
            for found in error.errors(include_url=False)
        ]
        return _refused("invalid-action", "the payload is not an action", flaws)
    except Failure as failure:
        return _refused(failure.code, failure.detail, [])
    return {"status": "ok", "result": result}


def _refused(code: str, detail: str, flaws: list[JsonValue]) -> dict[str, JsonValue]:
    return {"status": "error", "error": {"code": code, "detail": detail, "errors": flaws}}
