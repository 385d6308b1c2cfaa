"""The OpenAPI 3.1 document, made from the routes and the pydantic types they are checked by.
Pure: operations in, bytes out."""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from chalicelib.kit.http import Operation

VERSION = "1.0.0"
_SCHEMA_PATH = "#/components/schemas/{model}"
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem details",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "examples": ["/problems/version-not-live"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": ["string", "null"]},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"at": {"type": "string"}, "because": {"type": "string"}},
            },
        },
    },
}
_PROBLEM_ANSWER: dict[str, Any] = {
    "description": "Why not, as problem details",
    "content": {
        "application/problem+json": {"schema": {"$ref": _SCHEMA_PATH.format(model="Problem")}}
    },
}


def document_of(operations: Sequence[Operation]) -> bytes:
    schema_by_use, definitions = _schemas(operations)
    whole = {use: _resolved(schema, definitions) for use, schema in schema_by_use.items()}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _describe(operation, schema_by_use)
        described["parameters"] += _members(operation, whole, "query", "query")
        described["parameters"] += _members(operation, whole, "headers", "header")
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Sommelier",
            "version": VERSION,
            "description": "From an uploaded model archive to live, reversible predictions.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": {**definitions, "Problem": _PROBLEM}},
    }
    return json.dumps(document).encode()


def _schemas(operations: Sequence[Operation]) -> tuple[dict[str, Any], dict[str, Any]]:
    """JSON schemas by "operation:argument", with shared definitions."""
    inputs: list[Any] = []
    for operation in operations:
        for name, adapter in operation.adapters.items():
            inputs.append((f"{operation.view.__name__}:{name}", "validation", adapter))
        if operation.answer_type is not None:
            adapter = TypeAdapter[Any](operation.answer_type)
            inputs.append((f"{operation.view.__name__}:return", "serialization", adapter))
    schemas, root = TypeAdapter.json_schemas(inputs, ref_template=_SCHEMA_PATH)
    return {str(key): schema for (key, _), schema in schemas.items()}, root.get("$defs", {})


def _describe(operation: Operation, schema_by_use: dict[str, Any]) -> dict[str, Any]:
    name = operation.view.__name__
    described: dict[str, Any] = {
        "operationId": name,
        "summary": operation.summary,
        "x-role": operation.role.name.lower(),
        "parameters": _parameters(operation, schema_by_use),
        "responses": {str(operation.status): _answer(operation, schema_by_use)},
    }
    described["responses"]["4XX"] = described["responses"]["5XX"] = _PROBLEM_ANSWER
    if "body" in operation.adapters:
        content = {"application/json": {"schema": schema_by_use[f"{name}:body"]}}
        described["requestBody"] = {"required": True, "content": content}
    elif operation.any_content:
        anything: dict[str, Any] = {"schema": {"type": "string", "contentEncoding": "binary"}}
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {}, "text/csv": anything, "*/*": anything},
        }
    return described


def _parameters(operation: Operation, schema_by_use: dict[str, Any]) -> list[dict[str, Any]]:
    name = operation.view.__name__
    return [
        {
            "name": argument,
            "in": "path",
            "required": True,
            "schema": schema_by_use[f"{name}:{argument}"],
        }
        for argument in operation.adapters
        if argument not in ("body", "query", "headers")
    ]


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    return definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _members(
    operation: Operation, schema_by_use: dict[str, Any], argument: str, place: str
) -> list[dict[str, Any]]:
    """The members of the type of one argument, each a parameter of its own."""
    schema = schema_by_use.get(f"{operation.view.__name__}:{argument}")
    if schema is None:
        return []
    return [
        {"name": name, "in": place, "required": name in schema.get("required", []), "schema": found}
        for name, found in schema["properties"].items()
    ]


def _answer(operation: Operation, schema_by_use: dict[str, Any]) -> dict[str, Any]:
    schema = schema_by_use.get(f"{operation.view.__name__}:return")
    if schema is None:
        return {"description": "The document itself"}
    return {"description": "Success", "content": {"application/json": {"schema": schema}}}
