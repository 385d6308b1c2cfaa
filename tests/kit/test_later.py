"""Modules that are imported when something of them is first asked for, in fresh interpreters."""

import subprocess
import sys
from pathlib import Path

import pytest

from chalicelib.kit.later import imported_later

ROOT = Path(__file__).resolve().parents[2]


def _printed(code: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return ran.stdout.split()


def test_a_module_is_run_when_something_of_it_is_asked_for():
    code = """
from chalicelib.kit.later import imported_later
module = imported_later("chalicelib.stats.normal")
inside = object.__getattribute__(module, "__dict__")
print("survival" in inside, module.survival(0.0), "survival" in inside)
"""
    assert _printed(code) == ["False", "0.5", "True"]


def test_every_way_to_the_module_leads_to_the_same():
    code = """
from chalicelib.kit.later import imported_later
early = imported_later("chalicelib.stats.normal")
from chalicelib.stats import normal
import chalicelib.stats.normal as again
print(early is normal, again is normal, imported_later("chalicelib.stats.normal") is normal)
"""
    assert _printed(code) == ["True", "True", "True"]


def test_a_name_that_is_none_is_an_error_at_once():
    with pytest.raises(ModuleNotFoundError):
        imported_later("chalicelib.stats.nonsense")


def test_the_http_function_starts_without_what_decides():
    code = """
import app, sys
print(sorted(name for name in sys.modules if name.startswith("chalicelib.stats")) == [])
"""
    assert _printed(code)[0] == "True"
