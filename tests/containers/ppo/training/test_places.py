"""Where a job reads and writes, and what its failure file says."""

from pathlib import Path

import pytest
from reward.artifact import load
from reward.problems import ArtifactRefused
from training.places import FAILURE_CHARACTERS, ConfigurationRefused, Places, reason_of


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path)


def write_hyperparameters(places, content):
    path = places.base / "input" / "config" / "hyperparameters.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def test_without_another_folder_everything_lies_below_opt_ml(monkeypatch):
    monkeypatch.delenv("SAGEMAKER_BASE_DIR", raising=False)

    places = Places.of_environment()

    assert places.episodes == Path("/opt/ml/input/data/episodes")
    assert places.model == Path("/opt/ml/model")
    assert places.output == Path("/opt/ml/output/data")
    assert places.checkpoints == Path("/opt/ml/checkpoints")
    assert places.failure == Path("/opt/ml/output/failure")


def test_no_file_means_no_hyperparameters(places):
    assert places.hyperparameters() == {}


@pytest.mark.parametrize("content", [b"", b'{"seed": ', b"\xff\xfe", b'["seed"]', b"null"])
def test_hyperparameters_that_are_no_object_are_refused_with_the_file(places, content):
    write_hyperparameters(places, content)

    with pytest.raises(ConfigurationRefused, match=r"hyperparameters\.json is not"):
        places.hyperparameters()


def test_a_reason_is_cut_where_sagemaker_stops_reading(places):
    places.write_failure("x" * 5_000)

    assert places.failure.read_text() == "x" * FAILURE_CHARACTERS


def test_a_reason_takes_the_place_of_what_was_reserved(places):
    places.reserve_failure()
    reserved = places.failure.stat().st_ino

    places.write_failure("short")

    assert places.failure.read_text() == "short"
    assert places.failure.stat().st_ino == reserved


def test_a_reason_with_a_broken_file_name_can_be_written(places):
    places.write_failure(b"episodes-\xff.jsonl".decode(errors="surrogateescape"))

    assert places.failure.read_text() == "episodes-\\udcff.jsonl"


def test_a_reserved_failure_is_taken_back_twice_without_complaint(places):
    places.reserve_failure()

    places.clear_failure()
    places.clear_failure()

    assert not places.failure.exists()


def test_a_reason_names_the_last_place_in_our_own_code(tmp_path):
    with pytest.raises(ArtifactRefused) as refused:
        load(tmp_path / "nothing")

    assert reason_of(refused.value).startswith("ArtifactRefused: ")
    assert " is no folder (at artifact.py:" in reason_of(refused.value)


def test_a_reason_without_our_own_code_names_no_place():
    assert reason_of(ValueError("odd")) == "ValueError: odd"


def test_a_long_reason_keeps_its_beginning_and_its_place(tmp_path):
    with pytest.raises(ArtifactRefused) as refused:
        load(tmp_path / ("nothing/" * 200))

    reason = reason_of(refused.value)
    assert len(reason) == FAILURE_CHARACTERS
    assert reason.startswith("ArtifactRefused: ")
    assert "(at artifact.py:" in reason[-25:]
