"""A SageMaker of three operations over real HTTP, whose jobs do what a test says.
Requests are held to botocore's own model; nothing trains."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from localcloud.sagemaker.validation import operation_model, validate_parameters
from localcloud.sagemaker.wire import ValidationException


@dataclass(frozen=True)
class Fault:
    code: str
    message: str = "made for a test"
    status: int = 400
    is_after: bool = False
    """The call is carried out all the same."""


class _Refused(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass
class Trainer:
    """The jobs that were asked for, by name, and what the next calls meet."""

    url: str = ""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    faults: dict[str, Fault] = field(default_factory=dict[str, Fault])
    calls: list[str] = field(default_factory=list[str])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ends(self, name: str, status: str, *, failure: str | None = None, detail: str = "") -> None:
        job = self.jobs[name]
        url = f"{job['OutputDataConfig']['S3OutputPath']}/{name}/output/model.tar.gz"
        job |= {"TrainingJobStatus": status, "SecondaryStatus": detail or status}
        if failure is not None:
            job["FailureReason"] = failure
        else:
            job["ModelArtifacts"] = {"S3ModelArtifacts": url}

    def answer(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self.calls.append(operation)
            fault = self.faults.get(operation)
            if fault is not None and not fault.is_after:
                raise _Refused(fault.code, fault.message, fault.status)
            result = self._carry_out(operation, parameters)
            if fault is not None:
                raise _Refused(fault.code, fault.message, fault.status)
            return result

    def _carry_out(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        model = operation_model("sagemaker", operation)
        assert model is not None
        try:
            validate_parameters(model.input_shape, parameters)
        except ValidationException as error:
            raise _Refused("ValidationException", str(error)) from error
        name = parameters["TrainingJobName"]
        if operation == "CreateTrainingJob":
            return self._create(name, parameters)
        if name not in self.jobs:
            raise _Refused("ValidationException", "Requested resource not found.")
        if operation == "StopTrainingJob":
            return self._stop(name)
        return {"TrainingJobArn": "", **self.jobs[name]}

    def _create(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if name in self.jobs:
            raise _Refused("ResourceInUse", "Training job names must be unique")
        given = {key: value for key, value in parameters.items() if key != "Tags"}
        now = time.time()
        self.jobs[name] = given | {
            "TrainingJobArn": f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{name}",
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "CreationTime": now,
        }
        return {"TrainingJobArn": self.jobs[name]["TrainingJobArn"]}

    def _stop(self, name: str) -> dict[str, Any]:
        if self.jobs[name]["TrainingJobStatus"] not in ("InProgress", "Stopping"):
            raise _Refused("ValidationException", "The job is in status Completed.")
        self.jobs[name] |= {"TrainingJobStatus": "Stopping", "SecondaryStatus": "Stopping"}
        return {}


@contextmanager
def training() -> Iterator[Trainer]:
    trainer = Trainer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            parameters = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operation = self.headers["X-Amz-Target"].partition(".")[2]
            try:
                status, told = 200, trainer.answer(operation, parameters)
            except _Refused as error:
                status, told = error.status, {"__type": error.code, "message": error.message}
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    trainer.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield trainer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
