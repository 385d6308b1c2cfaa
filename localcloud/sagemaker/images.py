"""Which folder and which interpreter stand for a container image.
Nothing here starts a process."""

import re
import sys
from pathlib import Path

from localcloud.sagemaker.settings import Settings

IMAGE_PREFIX = "sommelier-"


class ImageNotFound(Exception):
    """No container folder, or no interpreter for it, stands for the image."""


def container_name(image: str) -> str:
    """The last path segment of an image URI without tag, digest and our own prefix."""
    segment = image.rsplit("/", 1)[-1]
    return re.split(r"[:@]", segment, maxsplit=1)[0].removeprefix(IMAGE_PREFIX)


def python_variable(name: str) -> str:
    """The environment variable that names a container's interpreter."""
    return "LOCALCLOUD_PYTHON_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def serve_command(image: str, settings: Settings) -> list[str]:
    """The command that serves an image."""
    return _command(image, "serve", settings)


def train_command(image: str, settings: Settings) -> list[str]:
    """The command that trains with an image."""
    return _command(image, "train", settings)


def _command(image: str, verb: str, settings: Settings) -> list[str]:
    name = container_name(image)
    for root in settings.container_roots:
        main = root / name / "main.py"
        if main.is_file():
            return [str(_interpreter(name, settings)), str(main), verb]
    raise ImageNotFound(f"no container folder {name!r} stands for the image {image!r}")


def _interpreter(name: str, settings: Settings) -> Path:
    given = settings.python_by_container.get(name)
    python = given or settings.venv_root / name / "bin" / "python"
    if not python.exists():
        raise ImageNotFound(
            f"container {name!r} has no interpreter at {str(python)!r}; set {python_variable(name)}"
            f" or pass --python {name}={sys.executable}"
        )
    return python
