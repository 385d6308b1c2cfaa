"""Plans that are asked for, and the history that they rest on: requests told to CloudWatch, units
counted as the queue would have them counted."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.deployments.model import VARIANT
from chalicelib.experiments import store
from chalicelib.experiments.counting import service as counting
from chalicelib.experiments.events import Event, subject_of_version
from chalicelib.experiments.planning import service as planning
from chalicelib.experiments.planning.plans import Plan, PlanRequest
from chalicelib.kit import aws, tables
from chalicelib.registry import service as registry
from chalicelib.registry import store as rows
from chalicelib.registry.metrics import BUILT_IN
from chalicelib.registry.model import Live, ModelSettings
from tests.builders.outcomes import exposure, outcome, start_experiment

MODEL = "recommendation"
_METRICS = [BUILT_IN["quality_score"], BUILT_IN["error_rate"]]


def declare_model(tenant: str) -> str:
    registry.put_settings(tenant, MODEL, ModelSettings(), actor="test")
    return MODEL


def plan(tenant: str, **asked: Any) -> Plan:
    return planning.plan(tenant, PlanRequest.model_validate({"model": MODEL, **asked}))


def crown(tenant: str) -> str:
    """Version 1.0.0 becomes champion; the endpoint that serves it."""
    read = rows.read_model(tenant, MODEL)
    assert read is not None
    live = Live(version="1.0.0", endpoint=f"ep-{tenant}", hosting="serverless")
    changed = read.model.model_copy(update={"champion": live})
    tables.commit([rows.put_model(tenant, read, changed)])
    return live.endpoint


def tell_requests(endpoint: str, by_days_ago: Mapping[int, float]) -> None:
    """To CloudWatch, as SageMaker would, at noon."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    named = {"EndpointName": endpoint, "VariantName": VARIANT}
    aws.metrics().put_metric_data(
        Namespace="AWS/SageMaker",
        MetricData=[
            {
                "MetricName": "Invocations",
                "Dimensions": [{"Name": name, "Value": value} for name, value in named.items()],
                "Timestamp": noon - timedelta(days=days),
                "Values": [1.0],
                "Counts": [requests],
                "Unit": "None",
            }
            for days, requests in by_days_ago.items()
        ],
    )


def count(tenant: str, events: Sequence[Event]) -> None:
    left = counting.count(
        tenant, events, rules_of=lambda subject: counting.rules_of(tenant, subject)
    )
    assert left == []


def rate_predictions(tenant: str, scores: Sequence[float]) -> None:
    """Outside of any experiment, of version 1.0.0."""
    at = {"subject": subject_of_version(MODEL, "1.0.0"), "arm": "1.0.0"}
    count(
        tenant,
        [outcome(f"p{n}", values={"quality_score": one}, **at) for n, one in enumerate(scores)],
    )


def run_experiment(
    tenant: str, scores: Sequence[float], *, requests: int = 1, silent: int = 0
) -> None:
    """`exp_1`: its control has units with a score, and silent ones; each makes so many requests."""
    begun = start_experiment(tenant)
    update = {"metrics": _METRICS, "started_at": begun.created_at}
    read = store.read_experiment(tenant, begun.id)
    tables.commit([store.put_experiment(tenant, read, begun.model_copy(update=update))])
    units = [f"u{number}" for number in range(len(scores) + silent)]
    events = [exposure(unit, number) for unit in units for number in range(requests)]
    rated = zip(units, scores, strict=False)
    count(tenant, events + [outcome(u, values={"quality_score": one}) for u, one in rated])
