"""The whole way of a shadow: real containers answer, the cloud's own queues carry copy and pair.
What may go wrong on it is looked at in `test_copies` and `test_shadows`."""

import json

import pytest

from chalicelib.deployments import triggers
from chalicelib.experiments.events import SCALE
from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from chalicelib.serving.triggers import answer_shadows
from tests.builders.experiments import make_route, run
from tests.builders.http import send
from tests.builders.models import linear_archive
from tests.builders.queues import failed_ids, sqs_event
from tests.conftest import World

REALTIME = {"kind": "realtime", "instance_type": "ml.m5.large"}


@pytest.fixture
def real_queues(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Queues of the offline cloud that no function reads."""
    urls: dict[str, str] = {}
    for variable in ("OUTCOMES_QUEUE_URL", "SHADOW_QUEUE_URL"):
        name = f"{world.tenant}-{variable.lower().replace('_', '-')}"
        urls[variable] = aws.queues().create_queue(QueueName=name)["QueueUrl"]
        monkeypatch.setenv(variable, urls[variable])
    settings.cache_clear()
    return urls


def _received(url: str) -> list[str]:
    answer = aws.queues().receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [message["Body"] for message in answer.get("Messages", [])]


@pytest.mark.parametrize("hosting", [None, REALTIME], ids=["serverless", "realtime"])
def test_a_shadow_goes_from_the_prediction_through_both_queues(world: World, real_queues, hosting):
    if hosting:
        triggers.on_upload(world.put_settings(hosting=hosting), None)
    world.live("1.0.0", linear_archive(2.0))
    world.live("1.1.0", linear_archive(3.0))
    run(world.tenant, world.model, make_route(mode="shadow"))

    for content in (b"0.0\n", b"1.0\n"):
        path = f"/api/models/{world.model}/predictions"
        headers = {"Content-Type": "text/csv", "Sommelier-Unit": "unit-0"}
        assert send("POST", path, content, headers=headers).status == 200
    copies = _received(real_queues["SHADOW_QUEUE_URL"])

    assert failed_ids(answer_shadows(sqs_event(*copies), None)) == []
    pairs = [
        event
        for body in _received(real_queues["OUTCOMES_QUEUE_URL"])
        for event in json.loads(body)["events"]
        if event["kind"] == "pair"
    ]
    assert sorted(pair["ticks"]["agreements"] for pair in pairs) == [0, SCALE]
    assert {pair["ticks"]["error_difference"] for pair in pairs} == {0}
