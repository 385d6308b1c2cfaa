"""CPU of a warm prediction in our app, beside a bare Chalice view that asks the same endpoint.
Run as `python -m bench.prediction_overhead`; exits with 1 when a floor is missed.
The endpoint, the table, the queue and the secrets are a small server in another process: none is
measured, but what the client of the queue takes in an experiment is.
"""

import base64
import contextlib
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FLOOR_MS = 1.0
"""Most CPU at the median that a prediction may cost besides the call to the endpoint."""
ROWS = 32
ROUNDS = 600
WARM_UP = 60
BODY = json.dumps({"instances": [[0.25 * column for column in range(8)]] * ROWS}).encode()
OUTPUT = json.dumps({"predictions": [0.5] * ROWS}).encode()
RING = json.dumps({"current": "k", "k": "s" * 32})
Handler = Callable[[dict[str, Any], Any], Any]


class Context:
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


def main() -> int:
    if "--stub" in sys.argv:
        serve_stub(float(sys.argv[-1]))
    with stub(delay_s=0.0) as url:
        os.environ.update(environment(url))
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            ms_by_name, calls = measure()
    return report(ms_by_name, calls)


def measure() -> tuple[dict[str, list[float]], Counter[str]]:
    """CPU ms of each call by contestant, in turns, and the AWS calls of our app meanwhile."""
    from app import app  # noqa: PLC0415 - after the environment is set
    from chalicelib.kit import aws  # noqa: PLC0415

    peer = bare_view()
    runtime = aws.sagemaker_runtime()
    contestants: dict[str, Callable[[], Any]] = {
        "invoke_endpoint alone": lambda: _invoke(runtime, BODY),
        "bare Chalice view": lambda: checked(peer(event(), Context())),
        "ours": lambda: checked(app(event(), Context())),
        "ours, in an experiment": lambda: checked(app(event(unit="u"), Context())),
    }
    for ask in contestants.values():
        for _ in range(WARM_UP):
            ask()
    calls = Counter[str]()
    for client in (aws.dynamodb(), aws.secrets(), aws.queues(), runtime):
        client.meta.events.register("before-call", lambda model, **_: calls.update([model.name]))
    ms_by_name: dict[str, list[float]] = {name: [] for name in contestants}
    gc.freeze()
    for number in range(ROUNDS):
        order = list(contestants.items())
        first = number % len(order)
        for name, ask in order[first:] + order[:first]:
            started_s = time.process_time()
            ask()
            ms_by_name[name].append((time.process_time() - started_s) * 1000)
    return ms_by_name, calls


def bare_view() -> Handler:
    """The least that anybody would write: one view, one client, no checks, no receipt, no log."""
    import boto3  # noqa: PLC0415
    from chalice.app import Chalice, Response  # noqa: PLC0415

    bare = Chalice(app_name="bare")
    bare.api.binary_types = ["*/*"]
    runtime = boto3.client("sagemaker-runtime")

    @bare.route("/api/models/{model}/predictions", methods=["POST"])
    def predict(model: str) -> Response:
        content = _invoke(runtime, bare.current_request.raw_body)
        return Response(content, headers={"Content-Type": "application/json"})

    return bare


def report(ms_by_name: dict[str, list[float]], calls: Counter[str]) -> int:
    median = {name: statistics.median(found) for name, found in ms_by_name.items()}
    print(f"{ROWS} rows of 8 numbers ({len(BODY)} B), {ROUNDS} calls each, in turns, CPU ms a call")
    for name, found in ms_by_name.items():
        p90 = statistics.quantiles(found, n=10)[-1]
        print(f"  {name:<24} median {median[name]:6.3f}   p90 {p90:6.3f}")
    overhead = median["ours"] - median["invoke_endpoint alone"]
    beside = median["ours"] - median["bare Chalice view"]
    ratio = median["ours"] / median["bare Chalice view"]
    lookups = calls["GetItem"] + calls["Query"] + calls["TransactWriteItems"]
    print(f"  ours without the endpoint  {overhead:.3f} ms (floor: under {FLOOR_MS} ms)")
    print(f"  ours beside the bare view  {ratio:.2f} x, {beside:+.3f} ms")
    exposing = median["ours, in an experiment"] - median["ours"]
    print(
        f"  to expose and to measure   {exposing:+.3f} ms, in a thread beside the endpoint's time"
    )
    print(f"  DynamoDB calls {lookups}, secret reads {calls['GetSecretValue']} (floor: 0)")
    return int(overhead >= FLOOR_MS or lookups + calls["GetSecretValue"] > 0)


def _invoke(runtime: Any, body: bytes) -> bytes:
    answer = runtime.invoke_endpoint(
        EndpointName="eta", Body=body, ContentType="application/json", Accept="application/json"
    )
    return answer["Body"].read()


def checked(answer: dict[str, Any]) -> None:
    assert answer["statusCode"] == 200, answer


def event(unit: str | None = None) -> dict[str, Any]:
    """As API Gateway sends it; made anew for each call, in each contestant alike."""
    resource = "/api/models/{model}/predictions"
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if unit is not None:
        headers["Sommelier-Unit"] = unit
    return {
        "resource": resource,
        "path": "/api/models/eta/predictions",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"model": "eta"},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": "POST",
            "path": "/api/api/models/eta/predictions",
            "identity": {},
        },
        "body": base64.b64encode(BODY).decode(),
        "isBase64Encoded": True,
    }


def environment(url: str) -> dict[str, str]:
    return {
        "STAGE": "local",
        "CONTROL_TABLE": "control",
        "LEDGER_TABLE": "ledger",
        "OUTCOMES_TABLE": "outcomes",
        "BUCKET": "bucket",
        "RECEIPT_KEYS_SECRET": "keys",
        "UNIT_KEY_SECRET": "unit-key",
        "OUTCOMES_QUEUE_URL": f"{url}/outcomes",
        "SHADOW_QUEUE_URL": f"{url}/shadows",
        "SAGEMAKER_ROLE_ARN": "arn:aws:iam::123456789012:role/none",
        "DEFAULT_IMAGE": "image",
        "RESOURCE_PREFIX": "bench",
        "MANAGER_FUNCTION": "manager",
        "RETRAINING_FUNCTION": "retraining",
        "ROUTING_TTL_S": "1000",
        "SECRETS_TTL_S": "1000",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
    }


@contextlib.contextmanager
def stub(*, delay_s: float) -> Iterator[str]:
    """delay_s: what the endpoint and the queue take, each."""
    command = [sys.executable, "-m", "bench.prediction_overhead", "--stub", str(delay_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def serve_stub(delay_s: float) -> None:
    """Answer as the endpoint, the queue, the secrets, and the table with one running experiment."""
    rows = _rows()
    secrets = {"keys": RING, "unit-key": "u" * 64}

    def answer(target: str | None, asked: dict[str, Any]) -> bytes:
        operation = (target or "").rpartition(".")[-1]
        if operation == "GetItem":
            key = asked["Key"]
            doc = rows[key["pk"]["S"], key["sk"]["S"]]
            return json.dumps({"Item": {**key, "rev": {"N": "1"}, "doc": {"S": doc}}}).encode()
        if operation == "GetSecretValue":
            return json.dumps({"SecretString": secrets[asked["SecretId"]]}).encode()
        time.sleep(delay_s)
        if operation == "SendMessageBatch":
            taken = [{"Id": entry["Id"], "MessageId": "m"} for entry in asked["Entries"]]
            return json.dumps({"Successful": taken}).encode()
        return OUTPUT

    class Stub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            body = answer(self.headers.get("X-Amz-Target"), json.loads(raw))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def _rows() -> dict[tuple[str, str], str]:
    """Documents by key: a champion, and an experiment on all units whose arms are the champion."""
    from chalicelib.experiments import store as experiments  # noqa: PLC0415
    from chalicelib.experiments.traffic import Route, Routes  # noqa: PLC0415
    from chalicelib.kit.clock import utc_now  # noqa: PLC0415
    from chalicelib.registry import store as registry  # noqa: PLC0415
    from chalicelib.registry.model import Live, Model, Stage, Version  # noqa: PLC0415

    live, now = Live(version="1.0.0", endpoint="eta", hosting="serverless"), utc_now()
    model = Model(name="eta", champion=live, created_at=now, updated_at=now)
    version = Version(
        model="eta",
        version=live.version,
        stage=Stage.CHAMPION,
        live=live,
        registered_at=now,
        updated_at=now,
    )
    route = Route.model_validate(
        {
            "experiment": "exp-1",
            "mode": "split",
            "namespace": "model/eta",
            "namespace_range": (0.0, 1.0),
            "holdout": 0.0,
            "salt": 1,
            "phase": 1,
            "ranges": [
                {"start": 0.0, "end": 0.5, "arm": "control"},
                {"start": 0.5, "end": 1.0, "arm": "treatment"},
            ],
            "exposed": 1.0,
            "versions": {"control": live.version, "treatment": live.version},
            "shadow_share": 1.0,
            "comparing": {},
        }
    )
    os.environ.update(environment(""))
    writes = (
        registry.put_model("dev", None, model),
        registry.put_version("dev", None, version),
        experiments.put_routes("dev", "eta", None, Routes(routes=[route])),
    )
    return {write.key: write.doc for write in writes}


if __name__ == "__main__":
    sys.exit(main())
