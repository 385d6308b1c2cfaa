"""Parameters held to botocore's own service models: required, unknown, type, enum, pattern, size.
No rule of one operation stands here; those are with the operation."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import botocore.loaders
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

from localcloud.sagemaker.wire import JsonObject, ValidationException

_NUMBERS = frozenset({"integer", "long", "float", "double"})
_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "blob": (str, bytes),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str),
}


@cache
def service_model(service: str) -> ServiceModel:
    loader = botocore.loaders.Loader()
    return ServiceModel(loader.load_service_model(service, "service-2"), service)


@cache
def operation_model(service: str, operation: str) -> OperationModel | None:
    """The operation's model; None when AWS has no such operation."""
    model = service_model(service)
    return model.operation_model(operation) if operation in model.operation_names else None


def validate_parameters(shape: Shape | None, parameters: JsonObject) -> None:
    """Raise ValidationException in AWS's wording when the parameters break the shape."""
    faults = list(find_faults(shape, parameters, at="")) if shape is not None else []
    if faults:
        count = f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected"
        raise ValidationException(f"{count}: {'; '.join(faults)}")


def find_faults(shape: Shape, value: Any, *, at: str) -> Iterator[str]:
    """Each way the value breaks the shape; at is the path of members so far."""
    if not _has_type(shape, value):
        yield _fault(value, at, f"Member must be of type {shape.type_name}")
        return
    if isinstance(shape, StructureShape):
        yield from _find_structure_faults(shape, value, at)
        return
    yield from _find_limit_faults(shape, value, at)
    if isinstance(shape, ListShape):
        for number, item in enumerate(value, start=1):
            yield from find_faults(shape.member, item, at=f"{at}.{number}.member")
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from find_faults(shape.key, key, at=f"{at}.key")
            yield from find_faults(shape.value, item, at=f"{at}.{key}.value")


def _has_type(shape: Shape, value: object) -> bool:
    is_odd_bool = isinstance(value, bool) and shape.type_name != "boolean"
    return isinstance(value, _TYPES[shape.type_name]) and not is_odd_bool


def _find_structure_faults(shape: StructureShape, value: JsonObject, at: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield _fault(None, _join(at, name), "Member must not be null")
    for name, item in value.items():
        if name not in shape.members:
            yield f"Unknown parameter {name!r} at '{at or 'input'}'"
        elif item is not None:
            yield from find_faults(shape.members[name], item, at=_join(at, name))


def _find_limit_faults(shape: Shape, value: Any, at: str) -> Iterator[str]:
    limits = shape.metadata
    if "enum" in limits and value not in limits["enum"]:
        yield _fault(
            value, at, f"Member must satisfy enum value set: [{', '.join(limits['enum'])}]"
        )
    if "pattern" in limits and isinstance(value, str) and not _matcher(limits["pattern"])(value):
        rule = f"Member must satisfy regular expression pattern: {limits['pattern']}"
        yield _fault(value, at, rule)
    is_number = shape.type_name in _NUMBERS
    if not is_number and not isinstance(value, str | bytes | list | dict):
        return
    size, noun = (value, "value") if is_number else (len(value), "length")
    if "min" in limits and size < limits["min"]:
        yield _fault(value, at, f"Member must have {noun} greater than or equal to {limits['min']}")
    if "max" in limits and size > limits["max"]:
        yield _fault(value, at, f"Member must have {noun} less than or equal to {limits['max']}")


@cache
def _matcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """AWS's patterns are Java's and match the whole value; Python spells some parts otherwise."""
    for java, python in (
        (r"\p{ASCII}", r"[\x00-\x7f]"),
        (r"[\p{Print}]", r"[\x20-\x7e]"),
        (r"\p{Print}", r"[\x20-\x7e]"),
        (r"\p{L}", r"\w"),
        (r"\p{N}", r"\w"),
        (r"\p{Z}", r"\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"),
        (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF"),
        (r"\z", r"\Z"),
    ):
        pattern = pattern.replace(java, python)
    return re.compile(pattern, re.DOTALL).fullmatch


def _fault(value: Any, at: str, constraint: str) -> str:
    shown = "null" if value is None else value
    where = at.lstrip(".") or "input"
    return f"Value '{shown}' at '{where}' failed to satisfy constraint: {constraint}"


def _join(at: str, name: str) -> str:
    return f"{at}.{name[0].lower()}{name[1:]}"
