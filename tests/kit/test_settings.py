"""Settings: read from the environment on first use, and every fault named at once."""

import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from chalicelib.kit.settings import Settings, settings


def test_every_variable_has_its_docstring_and_type():
    assert Settings.model_fields
    assert all(field.annotation for field in Settings.model_fields.values())


def test_variables_become_typed_values(app_environment: dict[str, str], monkeypatch):
    monkeypatch.setenv("ROUTING_TTL_S", "0.5")
    settings.cache_clear()

    assert settings().stage == app_environment["STAGE"]
    assert settings().routing_ttl_s == 0.5


def test_all_missing_variables_are_named_together(monkeypatch: pytest.MonkeyPatch):
    required = {name for name, field in Settings.model_fields.items() if field.is_required()}
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    settings.cache_clear()

    with pytest.raises(ValidationError) as caught:
        settings()

    assert {str(error["loc"][0]) for error in caught.value.errors()} == required


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STAGE", "production"),
        ("TENANT_ID", "a#b"),
        ("ACCESS_MODE", "closed"),
        ("ROUTING_TTL_S", "0"),
        ("INVOKE_TIMEOUT_S", "soon"),
        ("RESOURCE_PREFIX", "-x"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, app_environment, monkeypatch):
    monkeypatch.setenv(variable, value)
    settings.cache_clear()

    with pytest.raises(ValidationError, match=variable.lower()):
        settings()


def test_importing_the_app_reads_no_variable():
    code = "import app; from chalicelib.kit.settings import settings; print(settings.cache_info())"

    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "misses=0" in ran.stdout, ran.stderr
