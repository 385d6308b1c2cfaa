"""The OpenAPI document as one HTML page that needs no script and no other file.
Pure: bytes in, bytes out."""

import json
from html import escape
from typing import Any

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{margin-bottom:0}code,pre{font:13px/1.45 ui-monospace,monospace}pre{background:#f5f4f0;
padding:.7rem;overflow-x:auto;border-radius:4px}details{border-top:1px solid #ddd;padding:.5rem 0}
summary{cursor:pointer}summary code{font-weight:600}.method{display:inline-block;width:4.2rem}
.role{color:#777;float:right}table{border-collapse:collapse;width:100%}td,th{text-align:left;
padding:.2rem .6rem .2rem 0;vertical-align:top;border-bottom:1px solid #eee}
@media(prefers-color-scheme:dark){body{background:#191919;color:#ddd}pre{background:#262626}
details,td,th{border-color:#333}.role{color:#999}}
"""


def render(document: bytes) -> bytes:
    spec = json.loads(document)
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"<pre>{_json(schema)}</pre></details>"
        for name, schema in sorted(spec["components"]["schemas"].items())
    )
    info = spec["info"]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style>"
        f"<h1>{escape(info['title'])}</h1><p>{escape(info['description'])} "
        f'Version {escape(info["version"])}; the same as <a href="openapi.json">OpenAPI</a>.</p>'
        f"<h2>Routes</h2>{operations}<h2>Types</h2>{schemas}</html>"
    ).encode()


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<details id="{escape(operation["operationId"])}"><summary>'
        f'<span class="role">{escape(operation["x-role"])}</span>'
        f'<code><span class="method">{escape(method.upper())}</span>{escape(path)}</code> '
        f"{escape(operation['summary'])}</summary>"
    ]
    if operation["parameters"]:
        rows = "".join(_parameter(parameter) for parameter in operation["parameters"])
        parts.append(f"<table><tr><th>Parameter<th>In<th>Schema</tr>{rows}</table>")
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(
            f"<p>Body: <code>{escape(media_type)}</code></p>{_schema(content.get('schema', {}))}"
        )
    for status, answer in operation["responses"].items():
        for media_type, content in answer.get("content", {}).items():
            parts.append(
                f"<p>{escape(status)}: <code>{escape(media_type)}</code></p>"
                f"{_schema(content.get('schema', {}))}"
            )
    return "".join(parts) + "</details>"


def _parameter(parameter: dict[str, Any]) -> str:
    need = "" if parameter["required"] else " (optional)"
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code>{need}<td>{escape(parameter['in'])}"
        f"<td><code>{_json(parameter['schema'], indent=None)}</code></tr>"
    )


def _schema(schema: dict[str, Any]) -> str:
    reference = schema.get("$ref", "")
    if reference:
        name = escape(reference.rpartition("/")[2])
        return f'<p><a href="#{name}"><code>{name}</code></a></p>'
    return f"<pre>{_json(schema)}</pre>"


def _json(value: Any, *, indent: int | None = 2) -> str:
    return escape(json.dumps(value, indent=indent, ensure_ascii=False))
