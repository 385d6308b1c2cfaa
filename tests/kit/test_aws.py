"""What every client of AWS has in common."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.kit import aws

CLIENTS: dict[str, Callable[[], Any]] = {
    "autoscaling": aws.autoscaling,
    "dynamodb": aws.dynamodb,
    "functions": aws.functions,
    "metrics": aws.metrics,
    "queues": aws.queues,
    "s3": aws.s3,
    "sagemaker": aws.sagemaker,
    "sagemaker_runtime": aws.sagemaker_runtime,
    "secrets": aws.secrets,
}
pytestmark = pytest.mark.usefixtures("app_environment")


@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_a_client_is_made_once_and_does_not_wait_for_ever(name: str):
    client = CLIENTS[name]()

    assert CLIENTS[name]() is client
    assert client.meta.config.connect_timeout <= 2
    assert client.meta.config.read_timeout <= 30


def test_requests_bear_our_name():
    seen: list[str] = []
    client = aws.secrets()

    def stop(request: Any, **_: Any) -> Any:
        agent = request.headers["User-Agent"]
        seen.append(agent.decode() if isinstance(agent, bytes) else agent)
        raise ConnectionAbortedError

    client.meta.events.register("before-send", stop)
    with pytest.raises(ConnectionAbortedError):
        client.get_secret_value(SecretId="none")

    (agent,) = seen
    assert agent.startswith("sommelier ")
