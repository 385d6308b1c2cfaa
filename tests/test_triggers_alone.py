"""Lambda imports a triggers module without app.py: it must work alone, and stay small."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import events
from tests.builders.outcomes import sqs_event

ROOT = Path(__file__).resolve().parents[1]
TRIGGERS = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in sorted(ROOT.glob("chalicelib/*/triggers.py"))
    if file.parent.name != "kit"
]
FOREIGN = ["app", "scipy", "openai", "numpy", "pandas", "chalice.test", "chalice.cli", "pytest"]


def _run(code: str) -> str:
    """What a fresh interpreter prints, started where Lambda starts: beside app.py."""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_there_is_something_to_look_at():
    assert {"deployments", "experiments", "serving"} <= {name.split(".")[1] for name in TRIGGERS}


@pytest.mark.parametrize("module", TRIGGERS)
def test_a_triggers_module_imports_nothing_that_it_does_not_need(module: str):
    code = f"import {module}, sys, json; print(json.dumps(sorted(sys.modules)))"

    assert set(json.loads(_run(code))) & set(FOREIGN) == set()


def _invoke(handler: str, event: object) -> dict[str, object]:
    """The last line that the handler's answer makes, when called as Lambda calls it."""
    module, _, name = handler.rpartition(".")
    code = f"""
import json
from {module} import {name} as handler
event = json.loads({json.dumps(event)!r})
print(json.dumps(handler(event, None)))
"""
    return json.loads(_run(code).splitlines()[-1])


def test_an_endpoint_of_someone_else_is_none_of_ours(tenant: str):
    event = events.endpoint_changed("other-endpoint")

    answer = _invoke("chalicelib.deployments.triggers.on_endpoint_state_change", event)

    assert answer == {"is_ours": False}


def test_the_reconciler_runs_without_the_app(tenant: str):
    answer = _invoke("chalicelib.deployments.triggers.reconcile", events.scheduled())

    assert answer == {"failed": 0}


def test_an_upload_that_is_none_is_answered_without_the_app(world):
    event = world.put("models/readme.txt", b"not an upload")

    answer = _invoke("chalicelib.deployments.triggers.on_upload", event)

    assert "outcome" in answer


def test_the_manager_refuses_an_unknown_model_without_the_app(tenant: str):
    event = {"action": "describe_model", "model_name": "none"}

    answer = _invoke("chalicelib.deployments.triggers.model_version_manager", event)

    assert answer["status"] == "error"


def test_the_schedule_of_experiments_runs_without_the_app(tenant: str):
    answer = _invoke("chalicelib.experiments.triggers.advance_experiments", events.scheduled())

    assert answer == {"failed": 0}


@pytest.mark.parametrize("name", ["follow_training_jobs", "retrain_due_models"])
def test_the_schedules_of_training_run_without_the_app(tenant: str, name: str):
    answer = _invoke(f"chalicelib.training.triggers.{name}", events.scheduled())

    assert answer == {"failed": 0}


def test_a_training_job_of_someone_else_is_none_of_ours(tenant: str):
    event = events.training_job_changed("other-job")

    answer = _invoke("chalicelib.training.triggers.on_training_job_state_change", event)

    assert answer == {"is_ours": False}


def test_a_file_of_episodes_is_refused_without_the_app(world):
    event = world.put(f"episodes/{world.tenant}/none.jsonl", b"not an episode\n")

    answer = _invoke("chalicelib.training.triggers.on_episode_file", event)

    assert answer == {"state": "refused", "episodes": 0}


def test_retraining_refuses_an_unknown_model_without_the_app(tenant: str):
    event = {"action": "trigger_retraining", "model_name": "none", "reason": "drift"}

    answer = _invoke("chalicelib.training.triggers.model_retraining_trigger", event)

    assert answer["error"]["code"] == "model-not-found"


def test_the_schedule_of_episodes_runs_without_the_app(tenant: str):
    answer = _invoke("chalicelib.rewards.triggers.write_episodes", events.scheduled())

    assert answer == {"failed": 0}


def test_the_test_manager_refuses_an_unknown_test_without_the_app(tenant: str):
    event = {"action": "analyze_test", "test_id": "your-test-id"}

    answer = _invoke("chalicelib.experiments.triggers.ab_test_manager", event)

    assert answer["error"]["code"] == "experiment-not-found"


@pytest.mark.parametrize(
    "handler",
    [
        "chalicelib.experiments.triggers.fold_outcomes",
        "chalicelib.serving.triggers.answer_shadows",
    ],
)
def test_a_message_that_means_nothing_is_named_without_the_app(tenant: str, handler: str):
    answer = _invoke(handler, sqs_event({"message-1": "{}"}))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}


def test_a_file_of_feedback_is_taken_in_without_the_app(world):
    event = world.put("feedback/none.jsonl", b"not an outcome\n")

    answer = _invoke("chalicelib.experiments.triggers.on_feedback_file", event)

    assert answer == {"accepted": 0, "refused": 1}


def test_the_http_function_starts_without_the_inspection_of_archives():
    code = "import app, sys, json; print(json.dumps(sorted(sys.modules)))"

    loaded = set(json.loads(_run(code)))

    assert "chalicelib.serving.service" in loaded
    assert not {name for name in loaded if name.startswith("chalicelib.registry.archive")}
