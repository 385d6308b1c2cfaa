"""Log lines: one JSON object each, with keys from one list only."""

import json
from collections.abc import Iterator

import pytest

from chalicelib.kit import telemetry
from chalicelib.kit.settings import settings
from chalicelib.kit.telemetry import logger


@pytest.fixture
def _environment(
    monkeypatch: pytest.MonkeyPatch, app_environment: dict[str, str]
) -> Iterator[None]:
    monkeypatch.setenv("LOG_LEVEL", "INFO")
    settings.cache_clear()
    telemetry._stdlib_logger.cache_clear()
    yield
    settings.cache_clear()
    telemetry._stdlib_logger.cache_clear()


pytestmark = pytest.mark.usefixtures("_environment")


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]):
    logger.info("version_registered", model="eta", size_bytes=3, reason='a "quoted"\nline')

    (line,) = capsys.readouterr().out.splitlines()
    written = json.loads(line)
    assert written.pop("timestamp").endswith("Z")
    assert written == {
        "level": "INFO",
        "message": "version_registered",
        "model": "eta",
        "size_bytes": 3,
        "reason": 'a "quoted"\nline',
    }


@pytest.mark.parametrize("key", ["body", "prompt", "user_id", "secret", "exc_info", "message"])
def test_a_key_outside_the_list_is_a_programming_error(key: str):
    with pytest.raises(KeyError, match=key):
        logger.info("something_happened", **{key: "value"})


def test_an_exception_is_written_with_its_stack_in_the_same_line(
    capsys: pytest.CaptureFixture[str],
):
    try:
        raise RuntimeError("it broke")
    except RuntimeError:
        logger.error("trigger_failed", trace=True, handler="reconcile")

    (line,) = capsys.readouterr().out.splitlines()
    assert "RuntimeError: it broke" in json.loads(line)["exception"]


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]):
    logger.debug("looked_at_row")

    assert capsys.readouterr().out == ""


def test_a_value_that_json_does_not_know_is_written_as_text(capsys: pytest.CaptureFixture[str]):
    logger.warning("odd_value_seen", reason=set)

    assert json.loads(capsys.readouterr().out)["reason"] == "<class 'set'>"
