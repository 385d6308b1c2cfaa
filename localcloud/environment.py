"""MiniStack's own virtual environment, made once per content of requirements.txt.
Apart from the developer's, because MiniStack pins botocore."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / ".local" / "venv" / "ministack"
PYTHON = FOLDER / "bin" / "python"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def ensure(say: Callable[[str], None]) -> None:
    """Install what requirements.txt asks for, unless that is what is there."""
    marker = FOLDER / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if marker.is_file() and marker.read_text() == wanted:
        return
    say(f"Installing the emulator into {FOLDER} (once)")
    shutil.rmtree(FOLDER, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", REQUIREMENTS], check=True)
    marker.write_text(wanted)


if __name__ == "__main__":
    ensure(print)
