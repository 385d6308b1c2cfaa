"""Puts an aws.* event on the default bus, or delivers it to the bus's rules where put is refused.
AWS and faithful emulators let nobody but AWS put an aws.* event, so the second way is the usual."""

import json
import sys
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from localcloud.sagemaker.settings import Settings
from localcloud.sagemaker.wire import JsonObject

if TYPE_CHECKING:
    from datetime import datetime

REFUSED = "NotAuthorizedForSourceException"


class Bus:
    """The default event bus of the offline AWS."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client_by_service: dict[str, Any] = {}

    def send(self, entry: JsonObject) -> None:
        """Raise botocore's errors when the bus cannot be reached."""
        answer = self._events.put_events(Entries=[entry])
        codes = {result.get("ErrorCode") for result in answer["Entries"]} - {None}
        if codes == {REFUSED}:
            self._deliver(self._envelope(entry))
        elif codes:
            print(f"the bus refused an event: {codes}", file=sys.stderr, flush=True)

    def _deliver(self, event: JsonObject) -> None:
        text = json.dumps(event)
        for target in self._matching_targets(text):
            self._call_target(target, _payload(target, text))

    def _matching_targets(self, event: str) -> Iterator[JsonObject]:
        for page in self._events.get_paginator("list_rules").paginate():
            for rule in page["Rules"]:
                pattern = rule.get("EventPattern")
                if rule.get("State") != "ENABLED" or pattern is None:
                    continue
                if self._events.test_event_pattern(EventPattern=pattern, Event=event)["Result"]:
                    yield from self._events.list_targets_by_rule(Rule=rule["Name"])["Targets"]

    def _call_target(self, target: JsonObject, payload: str) -> None:
        arn = target["Arn"]
        service, name = arn.split(":")[2], arn.split(":")[5]
        if service == "lambda":
            self._client("lambda").invoke(
                FunctionName=arn, InvocationType="Event", Payload=payload.encode()
            )
        elif service == "sqs":
            sqs = self._client("sqs")
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            sqs.send_message(QueueUrl=url, MessageBody=payload, **target.get("SqsParameters", {}))
        elif service == "sns":
            self._client("sns").publish(TopicArn=arn, Message=payload)
        else:
            print(f"no way to deliver an event to {arn}", file=sys.stderr, flush=True)

    def _envelope(self, entry: JsonObject) -> JsonObject:
        at: datetime = entry["Time"]
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": entry["DetailType"],
            "source": entry["Source"],
            "account": self._settings.account,
            "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._settings.region,
            "resources": entry["Resources"],
            "detail": json.loads(entry["Detail"]),
        }

    @property
    def _events(self) -> Any:
        return self._client("events")

    def _client(self, service: str) -> Any:
        if service not in self._client_by_service:
            self._client_by_service[service] = self._make_client(service)
        return self._client_by_service[service]

    def _make_client(self, service: str) -> Any:
        factory: Any = boto3.client  # the stubs know no client by a variable's name
        return factory(
            service,
            endpoint_url=self._settings.aws_endpoint,
            region_name=self._settings.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 -- the emulator's
            config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2}),
        )


def _payload(target: JsonObject, event: str) -> str:
    """What the target gets: its constant input, or the event as it is."""
    for name in ("InputPath", "InputTransformer"):
        if name in target:
            print(f"{name} of {target['Arn']} is ignored offline", file=sys.stderr, flush=True)
    return target.get("Input", event)
