"""The house keeps its own order, and the guard that says so bites.
Every rule is shown on a made-up source that breaks it."""

from pathlib import Path

import pytest

from tests.architecture import breaches

ROOT = Path(__file__).resolve().parents[1]
DOC = '"""What lives here.\nWhat never does."""\n'


def _sources() -> dict[str, str]:
    files = [ROOT / "app.py", *sorted((ROOT / "chalicelib").rglob("*.py"))]
    names = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in files}
    return {name: file.read_text() for name, file in names.items()}


def test_the_house_keeps_its_rules():
    found = breaches(_sources())

    assert not found, "\n" + "\n".join(map(str, found))


BREAKING = [
    ("chalicelib.ledger.service", "from chalicelib.registry import service", "not on a floor"),
    ("chalicelib.serving.service", "from chalicelib.gateway import service", "not on a floor"),
    ("chalicelib.kit.tables", "from chalicelib.ledger import model", "not on a floor"),
    ("chalicelib.attic.service", "from chalicelib.ledger import model", "has no floor"),
    ("chalicelib.serving.service", "from chalicelib.registry import store", "not a public room"),
    ("chalicelib.serving.service", "from chalicelib.deployments.steps import x", "not a public"),
    ("chalicelib.registry.service", "from chalicelib.kit.http import Call", "only about.openapi"),
    ("chalicelib.registry.service", "from chalicelib.kit.triggers import trigger", "only triggers"),
    ("chalicelib.registry.service", "import chalice.app", "may import chalice"),
    ("chalicelib.registry.store", "import boto3", "only kit.aws"),
    ("chalicelib.registry.service", "import os", "only kit.settings"),
    ("chalicelib.registry.service", "def f():\n    from os import environ", "only kit.settings"),
    ("chalicelib.registry.service", "import scipy.stats", "too slow"),
    ("chalicelib.registry.service", "from chalicelib.registry import routes", "is a door"),
    ("chalicelib.registry.model", "import botocore", "pure room must not import"),
    ("chalicelib.registry.archive.x", "from chalicelib.kit import tables", "pure room must not"),
    ("chalicelib.serving.model", "from chalicelib.registry import service", "pure rooms only"),
    ("chalicelib.registry.semver", "from chalicelib.registry import store", "pure rooms only"),
    ("chalicelib.serving.routing", "import time\nx = time.monotonic()", "not call time.monotonic"),
    ("chalicelib.registry.model", "x = datetime.now(UTC)", "must not call datetime.now"),
    ("chalicelib.registry.model", "x = utc_now()", "must not call utc_now"),
    ("chalicelib.registry.store", "from chalicelib.registry import gate", "a store sees no other"),
    ("chalicelib.registry.gate", "\n" * 300, "the file has"),
    ("app", "\n" * 80, "at most 80"),
    ("chalicelib.registry.gate", "def f():\n" + "    pass\n" * 40, "f has 41 lines"),
]
KNOWN = {
    f"chalicelib.{name}": DOC
    for name in (
        "deployments.steps",
        "gateway.service",
        "kit.tables",
        "ledger.model",
        "registry.routes",
        "registry.service",
        "registry.store",
        "registry.gate",
    )
}


@pytest.mark.parametrize(("name", "source", "rule"), BREAKING)
def test_a_broken_rule_is_found(name: str, source: str, rule: str):
    found = breaches({**KNOWN, name: DOC + source})

    assert [breach for breach in found if rule in breach.rule], found


def test_a_breach_names_file_line_and_rule():
    found = breaches({"chalicelib.registry.store": DOC + "import boto3"})

    assert [str(breach) for breach in found] == [
        "chalicelib/registry/store.py:3: only kit.aws may import boto3"
    ]


def test_a_module_without_a_docstring_of_two_lines_is_found():
    found = breaches({"chalicelib.registry.store": '"""One line."""\n'})

    assert "docstring" in str(found[0])


def test_a_cycle_of_modules_is_found():
    found = breaches(
        {
            "chalicelib.registry.gate": DOC + "from chalicelib.registry import service",
            "chalicelib.registry.service": DOC + "from chalicelib.registry import gate",
        }
    )

    assert [breach.rule for breach in found] == ["the module imports itself by a cycle"] * 2


def test_an_orderly_house_has_no_breach():
    found = breaches(
        {
            "app": DOC + "from chalicelib.serving import routes",
            "chalicelib.serving.routes": DOC + "from chalicelib.serving import service",
            "chalicelib.serving.service": DOC + "from chalicelib.registry import service",
            "chalicelib.registry.service": DOC + "from chalicelib.registry import store",
            "chalicelib.registry.store": DOC + "from chalicelib.kit import tables",
            "chalicelib.kit.tables": DOC + "import time\nnow = time.time()",
        }
    )

    assert found == []
