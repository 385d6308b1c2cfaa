"""CPU of a warm prediction in our app, beside a bare Chalice view that asks the same endpoint.
Run as `python -m bench.prediction_overhead`; exits with 1 when a floor is missed.
The endpoint, the table and the secret are a small server in another process: none is measured."""

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
        serve_stub()
    with stub() as url:
        os.environ.update(_environment(url))
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
        "bare Chalice view": lambda: _checked(peer(_event(), Context())),
        "ours": lambda: _checked(app(_event(), Context())),
    }
    for ask in contestants.values():
        for _ in range(WARM_UP):
            ask()
    calls = Counter[str]()
    for client in (aws.dynamodb(), aws.secrets(), runtime):
        client.meta.events.register("before-call", lambda model, **_: calls.update([model.name]))
    ms_by_name: dict[str, list[float]] = {name: [] for name in contestants}
    gc.freeze()
    for number in range(ROUNDS):
        order = list(contestants.items())
        for name, ask in order[number % 3 :] + order[: number % 3]:
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
        print(f"  {name:<22} median {median[name]:6.3f}   p90 {p90:6.3f}")
    overhead = median["ours"] - median["invoke_endpoint alone"]
    beside = median["ours"] - median["bare Chalice view"]
    ratio = median["ours"] / median["bare Chalice view"]
    lookups = calls["GetItem"] + calls["Query"] + calls["TransactWriteItems"]
    print(f"  ours without the endpoint  {overhead:.3f} ms (floor: under {FLOOR_MS} ms)")
    print(f"  ours beside the bare view  {ratio:.2f} x, {beside:+.3f} ms")
    print(f"  DynamoDB calls {lookups}, secret reads {calls['GetSecretValue']} (floor: 0)")
    return int(overhead >= FLOOR_MS or lookups + calls["GetSecretValue"] > 0)


def _invoke(runtime: Any, body: bytes) -> bytes:
    answer = runtime.invoke_endpoint(
        EndpointName="eta", Body=body, ContentType="application/json", Accept="application/json"
    )
    return answer["Body"].read()


def _checked(answer: dict[str, Any]) -> None:
    assert answer["statusCode"] == 200, answer


def _event() -> dict[str, Any]:
    """As API Gateway sends it; made anew for each call, in each contestant alike."""
    resource = "/api/models/{model}/predictions"
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
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


def _environment(url: str) -> dict[str, str]:
    return {
        "STAGE": "local",
        "CONTROL_TABLE": "control",
        "LEDGER_TABLE": "ledger",
        "BUCKET": "bucket",
        "RECEIPT_KEYS_SECRET": "keys",
        "SAGEMAKER_ROLE_ARN": "arn:aws:iam::123456789012:role/none",
        "DEFAULT_IMAGE": "image",
        "RESOURCE_PREFIX": "bench",
        "MANAGER_FUNCTION": "manager",
        "ROUTING_TTL_S": "1000",
        "SECRETS_TTL_S": "1000",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
    }


@contextlib.contextmanager
def stub() -> Iterator[str]:
    command = [sys.executable, "-m", "bench.prediction_overhead", "--stub"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def serve_stub() -> None:
    """Answer at once: the endpoint, one row of the table, and one secret."""
    from chalicelib.kit.clock import utc_now  # noqa: PLC0415
    from chalicelib.registry.model import Live, Model  # noqa: PLC0415

    live = Live(version="1.0.0", endpoint="eta", hosting="serverless")
    row = Model(name="eta", champion=live, created_at=utc_now(), updated_at=utc_now())
    item = {"pk": {"S": "p"}, "sk": {"S": "s"}, "rev": {"N": "1"}}
    answer_by_target = {
        "DynamoDB_20120810.GetItem": {"Item": {**item, "doc": {"S": row.model_dump_json()}}},
        "secretsmanager.GetSecretValue": {
            "SecretString": json.dumps({"current": "k", "k": "s" * 32})
        },
    }

    class Stub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            target = self.headers.get("X-Amz-Target")
            body = json.dumps(answer_by_target[target]).encode() if target else OUTPUT
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


if __name__ == "__main__":
    sys.exit(main())
