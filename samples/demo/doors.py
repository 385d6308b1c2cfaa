"""The doors of a running cloud that the demo goes through: the aws CLI and HTTP; and its output.
Nothing here looks behind them, and nothing knows the story."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from localcloud.cloud import Cloud

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".local" / "demo"
AWS_CLI = Path(sys.executable).with_name("aws")
Found = TypeVar("Found")


class DemoFailed(Exception):
    """Something did not come out as it should; the message says what."""


@dataclass(frozen=True)
class Doors:
    """The ways into a running cloud that its users have."""

    cloud: Cloud

    def aws(self, *arguments: str) -> str:
        environ = {"PATH": "/usr/bin:/bin", **self.cloud.environ()}
        command = [str(AWS_CLI), "--endpoint-url", self.cloud.aws_endpoint_url, *arguments]
        done = subprocess.run(  # noqa: S603 - the aws CLI, with our own arguments
            command, env=environ, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise DemoFailed(f"aws {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def invoke(self, function: str, payload: Any) -> Any:
        """What the Lambda function answers; DemoFailed when it raised."""
        out = STATE / "response.json"
        name = self.cloud.function(function)
        event = json.dumps(payload)
        told = self.aws("lambda", "invoke", "--function-name", name, "--payload", event, str(out))
        if "FunctionError" in json.loads(told):
            raise DemoFailed(f"{name} answered {out.read_text()}")
        return json.loads(out.read_text())

    def http(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> Any:
        content = None if body is None else json.dumps(body).encode()
        sent = {**(headers or {})}
        if content is not None:
            sent["Content-Type"] = "application/json"
        request = Request(self.cloud.api_url + path, content, sent, method=method)  # noqa: S310
        try:
            with urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.load(answer)
        except HTTPError as error:
            raise DemoFailed(f"{method} {path}: {error.code} {error.read().decode()}") from error


def until(found: Callable[[], Found | None], *, what: str, timeout_s: float = 60.0) -> Found:
    """The first answer that is not None; DemoFailed says `what` never came."""
    ends_at = time.monotonic() + timeout_s
    while time.monotonic() < ends_at:
        result = found()
        if result is not None:
            return result
        time.sleep(0.2)
    raise DemoFailed(f"{what} did not come in {timeout_s:.0f} s")


def step(title: str) -> None:
    say(f"\n{title}")


def say(text: str) -> None:
    print(text, flush=True)
