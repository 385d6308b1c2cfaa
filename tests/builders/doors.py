"""The doors of a running cloud that users have: HTTP and the real aws CLI.
Nothing here looks behind them."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from localcloud.cloud import Cloud
from localcloud.sagemaker.handle import Control

AWS_CLI = Path(sys.executable).with_name("aws")
AT_REST = {"champion", "candidate", "failed", "rejected", "retired"}


class Doors:
    """HTTP and the real aws CLI, against one running cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.control = Control(cloud.sagemaker_url)

    def http(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, dict[str, str], bytes]:
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = HTTPConnection("localhost", self.cloud.ports.api, timeout=30)
        try:
            headers = {} if content is None else {"Content-Type": content_type}
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: Any = None) -> Any:
        status, _, content = self.http(method, path, body)
        assert status < 300, content
        return json.loads(content)

    def aws(self, *arguments: str) -> str:
        environ = {"PATH": "/usr/bin:/bin", **self.cloud.environ()}
        command = [str(AWS_CLI), "--endpoint-url", self.cloud.aws_endpoint_url, *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def upload(self, model: str, version: str, content: bytes, folder: Path) -> None:
        file = folder / f"{model}-{version}.tar.gz"
        file.write_bytes(content)
        key = f"s3://{self.cloud.bucket}/models/{model}/{version}/model.tar.gz"
        self.aws("s3", "cp", "--quiet", str(file), key)

    def at_rest(self, model: str, version: str) -> Any:
        """The version, once it stands where it stays."""

        def found() -> Any:
            status, _, content = self.http("GET", f"/api/models/{model}/versions/{version}")
            version_ = json.loads(content) if status == 200 else {"stage": "unknown"}
            return version_ if version_["stage"] in AT_REST else None

        return until(found)


def until(found: Callable[[], Any], *, seconds: float = 60) -> Any:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        result = found()
        if result:
            return result
        time.sleep(0.1)
    raise AssertionError("it did not come true in time")
