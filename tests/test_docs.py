"""What a user must know stands in the README: every setting, route and error code.
A failure prints the missing rows as they belong into the README's tables."""

import ast
import importlib
import itertools
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from app import app
from chalicelib.kit import problems
from chalicelib.kit.errors import Failure
from chalicelib.kit.http import OPERATION, Operation
from chalicelib.kit.settings import Settings

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text()


def test_every_setting_stands_in_the_readme(readme: str):
    rows = {f"`{name.upper()}`": _setting_row(name) for name in Settings.model_fields}

    _assert_all(rows, readme)


def test_every_route_stands_in_the_readme(readme: str):
    operations: list[Operation] = [
        getattr(entry.view_function, OPERATION)
        for methods in app.routes.values()
        for entry in methods.values()
    ]
    rows = {
        f"`{o.method} {o.path}`": f"| `{o.method} {o.path}` | {o.role.name.lower()} | {o.summary} |"
        for o in operations
    }

    _assert_all(rows, readme)


def test_every_error_code_stands_in_the_readme(readme: str):
    kinds = {kind.code: kind for kind in _kinds(Failure)}
    rows = {f"`{code}`": _code_row(code, kinds.get(code)) for code in set(_all_codes())}

    _assert_all(rows, readme)


def test_every_setting_says_what_it_is():
    assert _docstring_by_setting().keys() == Settings.model_fields.keys()


def _assert_all(rows: dict[str, str], readme: str) -> None:
    missing = [row for name, row in sorted(rows.items()) if name not in readme]
    assert not missing, "README.md lacks:\n" + "\n".join(missing)


def _setting_row(name: str) -> str:
    default = Settings.model_fields[name].default
    shown = "required" if default is PydanticUndefined else f"`{default}`"
    return f"| `{name.upper()}` | {shown} | {_docstring_by_setting()[name]} |"


def _docstring_by_setting() -> dict[str, str]:
    """The docstrings stand under the fields; pydantic itself does not keep them."""
    tree = ast.parse((ROOT / "chalicelib" / "kit" / "settings.py").read_text())
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def _code_row(code: str, kind: type[Failure] | None) -> str:
    if kind is None:
        return f"| `{code}` | | |"
    inherited = {base.__doc__ for base in kind.__mro__[1:]}
    told = kind.__doc__ if kind.__doc__ not in inherited else None
    status = problems.status_of(kind)
    return f"| `{code}` | {status} | {' '.join((told or kind.title()).split())} |"


def _all_codes() -> list[str]:
    """All modules are imported first: a code exists once its class does."""
    for file in sorted((ROOT / "chalicelib").rglob("*.py")):
        importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    ours = {kind.code for kind in _kinds(Failure) if kind.__module__.startswith("chalicelib.")}
    not_kinds = {*problems.all_codes()} - {kind.code for kind in _kinds(Failure)}
    return sorted((ours | not_kinds) - {Failure.code})


def _kinds(kind: type[Failure]) -> list[type[Failure]]:
    found = [kind]
    for sub in kind.__subclasses__():
        found += _kinds(sub)
    return found
