"""From an upload with the aws CLI to predictions over HTTP, on the zip that would ship.
The functions run with their own roles, as the template grants them."""

import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from samples.hostile import climbing_archive
from tests.builders.doors import Doors, until
from tests.builders.models import linear_archive

pytestmark = pytest.mark.e2e


def test_an_uploaded_archive_answers_predictions(doors, tmp_path):
    doors.upload("first", "1.0.0", linear_archive(2.0), tmp_path)

    version = doors.at_rest("first", "1.0.0")
    answer = doors.json("POST", "/api/models/first/predictions", {"instances": [[1.0], [4.0]]})

    assert version["stage"] == "champion"
    assert answer["output"] == {"predictions": [2.0, 8.0]}
    assert answer["version"] == "1.0.0"


def test_promotion_and_rollback_move_the_answers(doors, tmp_path):
    for version, weight in (("1.0.0", 2.0), ("1.1.0", 3.0)):
        doors.upload("moved", version, linear_archive(weight), tmp_path)
        doors.at_rest("moved", version)

    doors.json("POST", "/api/models/moved/versions/1.1.0/promote", {})
    promoted = doors.json("GET", "/api/models/moved")["champion"]["version"]
    doors.json("POST", "/api/models/moved/rollback", {})
    rolled_back = doors.json("GET", "/api/models/moved")["champion"]["version"]

    assert (promoted, rolled_back) == ("1.1.0", "1.0.0")


def test_the_manager_takes_the_payloads_that_the_guides_print(doors, tmp_path: Path):
    doors.upload("recommendation", "1.1.0", linear_archive(5.0), tmp_path)
    doors.at_rest("recommendation", "1.1.0")
    out = tmp_path / "response.json"

    doors.aws(
        "lambda",
        "invoke",
        "--function-name",
        doors.cloud.function("model-version-manager"),
        "--payload",
        '{"action": "deploy_model", "model_name": "recommendation", "version": "1.1.0"}',
        str(out),
    )

    answer = json.loads(out.read_text())
    assert answer["status"] == "ok"
    assert answer["result"]["state"] == "live"


def test_http_asks_the_manager_to_take_an_endpoint_down(doors, tmp_path):
    for version in ("1.0.0", "1.1.0"):
        doors.upload("leaving", version, linear_archive(float(version[2])), tmp_path)
        doors.at_rest("leaving", version)

    doors.json("POST", "/api/models/leaving/versions/1.1.0/retire", {"reason": "not needed"})

    path = "/api/models/leaving/versions/1.1.0/deployment"
    assert until(lambda: doors.json("GET", path)["state"] == "retired")


def test_csv_and_binary_bodies_arrive_byte_for_byte(doors, tmp_path):
    doors.upload("bytes", "1.0.0", linear_archive(2.0), tmp_path)
    doors.at_rest("bytes", "1.0.0")
    path = "/api/models/bytes/predictions"

    csv_status, _, csv = doors.http("POST", path, b"3.0\n", "text/csv")
    binary_status, _, binary = doors.http("POST", path, bytes(range(256)), "image/png")

    assert (csv_status, json.loads(csv)["output"]) == (200, {"predictions": [6.0]})
    # The scorer takes no images: that it says so shows that the bytes reached it.
    assert (binary_status, json.loads(binary)["type"]) == (422, "/problems/input-refused")


def test_a_climbing_archive_is_rejected_with_its_reason(doors, tmp_path):
    doors.upload("hostile", "6.6.6", climbing_archive(), tmp_path)

    version = doors.at_rest("hostile", "6.6.6")

    assert (version["stage"], version["reason"]["code"]) == ("rejected", "archive-climbing-name")


def test_health_documents_and_ledger_are_served(doors):
    health = doors.json("GET", "/health")
    openapi = doors.json("GET", "/openapi.json")
    docs_status, docs_headers, _ = doors.http("GET", "/docs")

    assert health["status"] == "healthy"
    assert "/api/models/{model}/predictions" in openapi["paths"]
    assert (docs_status, docs_headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_a_test_by_the_guides_counts_what_came_of_each_arm_and_stops(doors, tmp_path):
    for version, weight in (("1.0.0", 2.0), ("1.1.0", 3.0)):
        doors.upload("tested", version, linear_archive(weight), tmp_path)
        doors.at_rest("tested", version)
    created = manage(doors, CREATE_TEST, tmp_path)
    answers = [predict_in_test(doors, "tested", f"user-{number}") for number in range(60)]

    told = doors.json("POST", "/api/feedback", {"items": [right_if_newer(one) for one in answers]})

    assert told["accepted"] == 60
    path = f"/api/experiments/{created['test_id']}/analysis"
    seen = until(lambda: counted(doors.json("GET", path)["analysis"], 60))
    analysed = manage(doors, {"action": "analyze_test", "test_id": created["test_id"]}, tmp_path)
    treated = sum(one["arm"] == "treatment" for one in answers)
    assert (seen["control_mean"], seen["mean"], seen["units"]) == (0.0, 1.0, treated)
    assert analysed["analysis"]["candidate_samples"] == treated
    assert analysed["recommendation"] == "continue_testing"
    stopped = manage(doors, {"action": "stop_test", "test_id": created["test_id"]}, tmp_path)
    assert stopped["status"] == "stopped"
    assert doors.json("GET", "/api/models/tested")["champion"]["version"] == "1.0.0"


CREATE_TEST = {
    "action": "create_test",
    "test_name": "tested_v1_vs_v2",
    "model_name": "tested",
    "control_version": "1.0.0",
    "treatment_version": "1.1.0",
    "traffic_split": 50,
    "duration_days": 14,
    "success_metrics": ["recommendation_accuracy", "user_satisfaction"],
}


def manage(doors: Doors, payload: dict[str, Any], folder: Path) -> Any:
    """What `ab-test-manager` answers to the aws CLI."""
    out = folder / "response.json"
    function = doors.cloud.function("ab-test-manager")
    event = json.dumps(payload)
    doors.aws("lambda", "invoke", "--function-name", function, "--payload", event, str(out))
    answer = json.loads(out.read_text())
    assert answer["status"] == "ok", answer
    return answer["result"]


def predict_in_test(doors: Doors, model: str, unit: str) -> Any:
    """The unit's answer, once serving knows of the test: it may be two seconds behind."""

    def answered() -> Any:
        answer = predict(doors, model, unit)
        return answer if "arm" in answer else None

    return until(answered)


def predict(doors: Doors, model: str, unit: str) -> Any:
    headers = {"Content-Type": "application/json", "Sommelier-Unit": unit}
    url = f"{doors.cloud.api_url}/api/models/{model}/predictions"
    with urlopen(Request(url, b'{"instances": [[1.0]]}', headers), timeout=30) as answer:
        return json.load(answer)


def right_if_newer(answer: Any) -> dict[str, Any]:
    return {
        "request_id": answer["request_id"],
        "metric_name": "recommendation_accuracy",
        "metric_value": int(answer["version"] == "1.1.0"),
    }


def counted(analysis: Any, units: int) -> Any:
    """The comparison by the primary metric, once it rests on so many units."""
    primary = next(one for one in analysis["comparisons"] if one["role"] == "primary")
    return primary if primary["control_units"] + primary["units"] >= units else None
