"""Which folder and interpreter stand for an image.
No process here."""

import sys
from pathlib import Path

import pytest

from localcloud.sagemaker.__main__ import read_settings
from localcloud.sagemaker.images import ImageNotFound, container_name, serve_command, train_command

CONTAINERS = Path(__file__).parent / "containers"


@pytest.fixture
def read_with(tmp_path):
    usual = ["--state", str(tmp_path), "--containers", str(CONTAINERS)]
    return lambda *flags: read_settings([*usual, *flags])


@pytest.mark.parametrize(
    "image",
    [
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/sommelier-onnx:1.2",
        "localhost:5000/team/sommelier-onnx",
        "onnx@sha256:00ff",
        "onnx",
    ],
)
def test_an_image_is_known_by_its_last_segment(image):
    assert container_name(image) == "onnx"


def test_the_flag_names_the_interpreter_before_the_environment_does(read_with, monkeypatch):
    monkeypatch.setenv("LOCALCLOUD_PYTHON_ECHO", "/usr/bin/env")
    from_environment = serve_command("echo:1", read_with())
    from_flag = serve_command("echo:1", read_with("--python", f"echo={sys.executable}"))

    assert from_environment == ["/usr/bin/env", str(CONTAINERS / "echo" / "main.py"), "serve"]
    assert from_flag[0] == sys.executable


def test_one_image_serves_and_trains(read_with):
    settings = read_with("--python", f"echo={sys.executable}")

    assert serve_command("echo:1", settings)[1:] == [str(CONTAINERS / "echo/main.py"), "serve"]
    assert train_command("echo:1", settings)[1:] == [str(CONTAINERS / "echo/main.py"), "train"]


def test_a_container_without_an_interpreter_says_how_to_name_one(read_with, monkeypatch):
    monkeypatch.delenv("LOCALCLOUD_PYTHON_MUTE", raising=False)

    with pytest.raises(ImageNotFound, match="LOCALCLOUD_PYTHON_MUTE"):
        serve_command("mute:1", read_with())
