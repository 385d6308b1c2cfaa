"""The README's first page, run as it is printed, against a cloud on other ports.
Only addresses are replaced; every command must succeed."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.e2e


def test_the_commands_of_a_first_model_run_as_printed(doors):
    script = _shell_blocks((ROOT / "README.md").read_text())
    script = script.replace("http://localhost:8000", doors.cloud.api_url)
    script = script.replace("http://localhost:4566", doors.cloud.aws_endpoint_url)

    done = subprocess.run(
        ["timeout", "300", "bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **doors.cloud.environ()},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert '"intact":true' in done.stdout
    assert "problems/" not in done.stdout
    assert '"status": "ok"' in (ROOT / ".local" / "response.json").read_text()


def _shell_blocks(text: str) -> str:
    return "\n".join(re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
