"""Keys of uploads: two forms are taken, everything else is refused with its reason."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.registry.uploads import ArchiveKey, NotAnUpload, SettingsKey, parse_key


def test_an_archive_names_its_model_and_version():
    found = parse_key("models/recommendation/1.2.0-rc.1/model.tar.gz")

    assert found == ArchiveKey("recommendation", "1.2.0-rc.1")


def test_a_settings_file_names_its_model():
    assert parse_key("models/recommendation/model.json") == SettingsKey("recommendation")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "models",
        "models/",
        "models//model.json",
        "models/x/",
        "models/x/model.tar.gz",
        "models/x/1.0.0",
        "models/x/1.0.0/",
        "models/x/1.0.0/model.json",
        "models/x/1.0.0/MODEL.TAR.GZ",
        "models/x/1.0.0/model.tar.gz/",
        "models/x/1.0.0/deep/model.tar.gz",
        "/models/x/1.0.0/model.tar.gz",
        "Models/x/1.0.0/model.tar.gz",
        "artifacts/x/1.0.0/model.tar.gz",
        "models/../1.0.0/model.tar.gz",
        "models/./model.json",
        "models/x/../model.tar.gz",
        "models/X/1.0.0/model.tar.gz",
        "models/-x/1.0.0/model.tar.gz",
        "models/x_y/1.0.0/model.tar.gz",
        "models/x.y/model.json",
        "models/x%2fy/model.json",
        "models/x+y/model.json",
        "models/x\n/model.json",
        "models/x\0/model.json",
        "models/é/model.json",
        "models/" + "x" * 41 + "/model.json",
        "models/x/1.0/model.tar.gz",
        "models/x/v1.0.0/model.tar.gz",
        "models/x/1.0.0+1/model.tar.gz",
        "models/x/1.0.0 /model.tar.gz",
        "models\\x\\1.0.0\\model.tar.gz",
    ],
)
def test_any_other_key_is_refused(key: str):
    with pytest.raises(NotAnUpload):
        parse_key(key)


@given(st.lists(st.text(max_size=12), max_size=5).map("/".join))
def test_whatever_is_uploaded_is_taken_or_refused_and_never_breaks(tail: str):
    with contextlib.suppress(NotAnUpload):
        found = parse_key(f"models/{tail}")

        assert "/" not in found.model
        assert ".." not in found.model
