"""The EventBridge events of state changes, told to the offline AWS's default bus.
Best effort, as on AWS: an event may be lost or come twice, and nothing waits for it."""

import json
import queue
import re
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sagemaker.delivery import Bus
from localcloud.sagemaker.faults import Injector
from localcloud.sagemaker.storage import Endpoint
from localcloud.sagemaker.wire import JsonObject

SOURCE = "aws.sagemaker"


@dataclass(frozen=True)
class Announcement:
    """A state change to be told: whose, which status rules for faults name, and when it was."""

    detail_type: str
    name: str
    arn: str
    status: str
    at: float
    detail: JsonObject


def event_status(status: str) -> str:
    """The status as events spell it: InService becomes IN_SERVICE.

    https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", status).upper()


def event_detail(endpoint: Endpoint, tags: dict[str, str]) -> JsonObject:
    """The documented detail; times are epoch milliseconds, unlike the API's seconds."""
    running = endpoint.deployment or (endpoint.change and endpoint.change.deployment)
    variants = running.variants if running else ()
    detail: JsonObject = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.config_name,
        "ProductionVariants": [
            {"DesiredWeight": variant.weight}
            | (
                {}
                if variant.instance_count is None
                else {"DesiredInstanceCount": float(variant.instance_count)}
            )
            for variant in variants
        ],
        "EndpointStatus": event_status(endpoint.status),
        "CreationTime": float(int(endpoint.created_at * 1000)),
        "LastModifiedTime": float(int(endpoint.modified_at * 1000)),
        "Tags": tags,
    }
    if endpoint.failure_reason is not None:
        detail["FailureReason"] = endpoint.failure_reason
    return detail


def endpoint_announcement(endpoint: Endpoint, tags: dict[str, str]) -> Announcement:
    return Announcement(
        detail_type="SageMaker Endpoint State Change",
        name=endpoint.name,
        arn=endpoint.arn,
        status=event_status(endpoint.status),
        at=endpoint.modified_at,
        detail=event_detail(endpoint, tags),
    )


class Announcer:
    """Sends the events in order from a thread of its own."""

    def __init__(self, bus: Bus, injector: Injector) -> None:
        self._bus = bus
        self._injector = injector
        self._queue: queue.SimpleQueue[JsonObject] = queue.SimpleQueue()
        threading.Thread(target=self._send_all, daemon=True).start()

    def announce(self, change: Announcement) -> None:
        """Tell the bus of the change, soon."""
        faults = {fault.kind for fault in self._injector.for_event(change.status, change.name)}
        if "lose_event" in faults:
            return
        entry: JsonObject = {
            "Source": SOURCE,
            "DetailType": change.detail_type,
            "Detail": json.dumps(change.detail),
            "Resources": [change.arn],
            "Time": datetime.fromtimestamp(change.at, UTC),
        }
        for _ in range(2 if "duplicate_event" in faults else 1):
            self._queue.put(entry)

    def _send_all(self) -> None:
        while True:
            entry = self._queue.get()
            try:
                self._bus.send(entry)
            except (BotoCoreError, ClientError, LookupError) as error:
                print(f"an event was lost: {error}", file=sys.stderr, flush=True)
