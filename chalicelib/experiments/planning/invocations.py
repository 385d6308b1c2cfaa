"""CloudWatch: how often a SageMaker endpoint was asked, a day.
Requests only: how many units they came from is not known there."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from chalicelib.deployments.model import VARIANT
from chalicelib.kit import aws

WINDOW_DAYS = 14
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


class Rate(NamedTuple):
    """Requests a day, and what they were counted over."""

    per_day: float
    over: str


def read(endpoint: str, *, now: datetime) -> Rate | None:
    """Over the last WINDOW_DAYS; None when nobody asked. now: UTC."""
    midnight = _midnight(now)
    named = {"EndpointName": endpoint, "VariantName": VARIANT}
    pages = aws.metrics().get_paginator("get_metric_data")
    found: dict[datetime, float] = {}
    for page in pages.paginate(
        MetricDataQueries=[
            {
                "Id": "requests",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/SageMaker",
                        "MetricName": "Invocations",
                        "Dimensions": [{"Name": k, "Value": v} for k, v in named.items()],
                    },
                    "Period": int(_HOUR.total_seconds()),
                    "Stat": "Sum",
                },
            }
        ],
        StartTime=midnight - WINDOW_DAYS * _DAY,
        EndTime=now,
    ):
        for result in page["MetricDataResults"]:
            hours = [hour.astimezone(UTC) for hour in result.get("Timestamps", [])]
            found.update(zip(hours, result.get("Values", []), strict=True))
    return rate_of(found, now=now)


def rate_of(requests_by_hour: Mapping[datetime, float], *, now: datetime) -> Rate | None:
    """Of whole days (UTC) since the first request, idle ones as well; where there are none, or all
    are idle, of the hours there are. requests_by_hour: by when an hour began; idle ones left out.
    """
    asked = {hour: requests for hour, requests in requests_by_hour.items() if requests > 0}
    if not asked:
        return None
    first = min(asked)
    today = _midnight(now)
    begins = first if first.hour == 0 else first.replace(hour=0) + _DAY
    days = (today - begins) // _DAY
    whole = sum(requests for hour, requests in asked.items() if begins <= hour < today)
    if days >= 1 and whole > 0:
        return Rate(whole / days, f"{days} whole {'day' if days == 1 else 'days'}")
    hours = max((now - first) / _HOUR, 1.0)
    return Rate(sum(asked.values()) / hours * 24.0, f"{hours:.1f} hours, scaled to a day")


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
