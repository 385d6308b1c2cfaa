"""The packaging command on a small project: what it writes, and each reason it refuses."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
TOY = REPOSITORY / "tests" / "localcloud" / "toy"


def test_two_runs_write_the_same_bytes(toy: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    assert run(toy, first, "--no-lint").returncode == 0
    assert run(toy, second, "--no-lint").returncode == 0

    for name in ("deployment.zip", "template.yaml"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_template_passes_the_linter_and_each_function_has_its_own_role(
    toy: Path, tmp_path: Path
) -> None:
    ran = run(toy, tmp_path)

    resources = yaml.safe_load((tmp_path / "template.yaml").read_text())["Resources"]
    roles = [
        found["Properties"]["Role"]["Fn::GetAtt"][0]
        for found in resources.values()
        if found["Type"] == "AWS::Serverless::Function"
    ]
    assert (ran.returncode, ran.stderr) == (0, "")
    assert sorted(roles) == [
        *("ApiHandlerRole", "ConsumeRole", "OnUploadRole", "TickRole", "WorkerRole"),
    ]
    assert "MiB, limit 30 MiB" in ran.stdout


def test_a_function_without_a_policy_is_refused(toy: Path, tmp_path: Path) -> None:
    configure(toy, lambda config: config["lambda_functions"].pop("tick"))

    assert refusal(toy, tmp_path) == (
        "package refused: function 'tick' has no policy file (it asks for None)\n"
    )


def test_a_policy_file_that_is_not_there_is_refused(toy: Path, tmp_path: Path) -> None:
    (toy / ".chalice" / "policies" / "api_handler.json").unlink()

    assert "function 'api_handler' has no policy file" in refusal(toy, tmp_path)


def test_a_route_that_chalice_would_refuse_at_deployment_is_refused(
    toy: Path, tmp_path: Path
) -> None:
    app = toy / "app.py"
    app.write_text(app.read_text().replace('"/health"', '"/health/"'))

    assert "Chalice refuses the configuration: Route cannot end" in refusal(toy, tmp_path)


def test_an_environment_variable_that_is_no_text_is_refused(toy: Path, tmp_path: Path) -> None:
    configure(toy, lambda config: config["environment_variables"].update(LIMIT=7))

    assert "environment variable LIMIT is 7" in refusal(toy, tmp_path)


def test_an_unknown_stage_is_refused(toy: Path, tmp_path: Path) -> None:
    assert "stage 'nowhere' is not in" in refusal(toy, tmp_path, "--stage", "nowhere")


def test_settings_for_a_function_that_is_gone_are_refused(toy: Path, tmp_path: Path) -> None:
    resources = toy / ".chalice" / "resources.yaml"
    resources.write_text(resources.read_text() + "  Gone:\n    Properties: {Timeout: 3}\n")

    assert "resources.yaml extends what the app lacks: Gone" in refusal(toy, tmp_path)


def test_what_the_linter_finds_is_refused(toy: Path, tmp_path: Path) -> None:
    resources = toy / ".chalice" / "resources.yaml"
    extra = "  Extra:\n    Type: AWS::SQS::Queue\n    Properties: {MessageRetention: 3}\n"
    resources.write_text(resources.read_text() + extra)

    ran = run(toy, tmp_path)

    assert ran.returncode == 1
    assert "cfn-lint" in ran.stderr
    assert "MessageRetention" in ran.stderr


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TOY, tmp_path / "toy"))


def run(project: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.package", "--project", project, "--out", out]
    return subprocess.run(
        [*command, *options], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


def refusal(project: Path, out: Path, *options: str) -> str:
    ran = run(project, out, "--no-lint", *options)
    assert ran.returncode == 1
    return ran.stderr


def configure(project: Path, change: Callable[[Any], object]) -> None:
    path = project / ".chalice" / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))
