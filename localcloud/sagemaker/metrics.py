"""What SageMaker tells CloudWatch about the invocations of each variant, every few seconds.
Nothing here stands in an invocation's way: it counts, and a thread of its own publishes.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sagemaker.settings import Settings
from localcloud.sagemaker.wire import JsonObject

NAMESPACE = "AWS/SageMaker"
PUBLISH_EVERY_S = 2.0
MOST_VALUES = 150
"""What one datum takes."""
MOST_DATA = 100
DIGITS = 3
"""Significant digits of a duration, so that many durations are few values with counts."""


@dataclass
class Tally:
    """The invocations of one variant since the last publication."""

    statuses: Counter[int] = field(default_factory=Counter[int])
    model_us: Counter[int] = field(default_factory=Counter[int])
    overhead_us: Counter[int] = field(default_factory=Counter[int])


class Meter:
    """Counts invocations that reached a container; publishes nothing when there were none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._publish_all, daemon=True)
        self._thread.start()

    def count(
        self, endpoint: str, variant: str, *, status: int, model_s: float, overhead_s: float
    ) -> None:
        """Count one invocation; status is the container's, 0 when it gave none."""
        with self._lock:
            tally = self._tallies.setdefault((endpoint, variant), Tally())
            tally.statuses[status] += 1
            tally.model_us[_rounded_us(model_s)] += 1
            tally.overhead_us[_rounded_us(overhead_s)] += 1

    def stop(self) -> None:
        """Publish what is left, and return soon."""
        self._is_over.set()
        self._thread.join()

    def _publish_all(self) -> None:
        cloudwatch = _client(self._settings)
        while not self._is_over.wait(PUBLISH_EVERY_S):
            self._publish(cloudwatch)
        self._publish(cloudwatch)

    def _publish(self, cloudwatch: Any) -> None:
        with self._lock:
            tallies, self._tallies = self._tallies, {}
        at = time.time()
        data = [
            {**datum, "Dimensions": _dimensions(*names), "Timestamp": at}
            for names, tally in tallies.items()
            for datum in _data(tally)
        ]
        try:
            for start in range(0, len(data), MOST_DATA):
                cloudwatch.put_metric_data(
                    Namespace=NAMESPACE, MetricData=data[start : start + MOST_DATA]
                )
        except (BotoCoreError, ClientError) as error:
            print(f"metrics were lost: {error}", file=sys.stderr, flush=True)


def _data(tally: Tally) -> Iterator[JsonObject]:
    total = tally.statuses.total()
    yield from _datum("Invocations", "None", Counter({1: total}))
    for name, first in (("Invocation4XXErrors", 400), ("Invocation5XXErrors", 500)):
        errors = sum(count for status, count in tally.statuses.items() if _side(status) == first)
        yield from _datum(name, "None", Counter({1: errors, 0: total - errors}))
    yield from _datum("ModelLatency", "Microseconds", tally.model_us)
    yield from _datum("OverheadLatency", "Microseconds", tally.overhead_us)


def _side(status: int) -> int:
    """400 for the caller's errors, 500 for the model's, also when it did not answer; 0 for none."""
    if 200 <= status < 300:
        return 0
    return 400 if 400 <= status < 500 else 500


def _datum(name: str, unit: str, count_by_value: Counter[int]) -> Iterator[JsonObject]:
    counted = sorted((value, count) for value, count in count_by_value.items() if count)
    for start in range(0, len(counted), MOST_VALUES):
        some = counted[start : start + MOST_VALUES]
        yield {
            "MetricName": name,
            "Unit": unit,
            "Values": [float(value) for value, _ in some],
            "Counts": [float(count) for _, count in some],
        }


def _rounded_us(seconds: float) -> int:
    return int(float(f"{max(seconds, 0) * 1e6:.{DIGITS}g}"))


def _dimensions(endpoint: str, variant: str) -> list[JsonObject]:
    return [
        {"Name": "EndpointName", "Value": endpoint},
        {"Name": "VariantName", "Value": variant},
    ]


def _client(settings: Settings) -> Any:
    return boto3.client(
        "cloudwatch",
        endpoint_url=settings.aws_endpoint,
        region_name=settings.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 -- the emulator's
        config=Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1}),
    )
