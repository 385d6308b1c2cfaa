"""What CloudWatch knows of invocations, read as a caller of AWS would read it.
Nothing here waits for a day to pass."""

from datetime import UTC, datetime, timedelta

import pytest

MINUTE_S, DAY_S = 60, 86_400


@pytest.fixture(scope="session")
def total(make_emulator_client):
    """Read the sum of a metric of one endpoint over the last two days, or nothing."""
    cloudwatch = make_emulator_client("cloudwatch")

    def read(endpoint, name, *, statistic="Sum", period_s=DAY_S):
        now = datetime.now(UTC)
        dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic"}
        named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        metric = {"Namespace": "AWS/SageMaker", "MetricName": name, "Dimensions": named}
        query = {"Metric": metric, "Period": period_s, "Stat": statistic}
        answer = cloudwatch.get_metric_data(
            MetricDataQueries=[{"Id": "asked", "MetricStat": query}],
            StartTime=now - timedelta(days=2),
            EndTime=now + timedelta(minutes=1),
        )
        return sum(answer["MetricDataResults"][0]["Values"])

    return read


@pytest.mark.parametrize("period_s", [MINUTE_S, DAY_S])
def test_invocations_are_counted_by_endpoint_and_variant(bench, total, period_s):
    endpoint, other = bench.make_endpoint(), bench.make_endpoint()
    for _ in range(7):
        bench.invoke(endpoint)
    bench.invoke(other)

    bench.await_true(lambda: total(other, "Invocations"), "the metrics")

    assert total(endpoint, "Invocations", period_s=period_s) == 7
    assert total(other, "Invocations", period_s=period_s) == 1


def test_errors_are_counted_by_whose_they_are(bench, total):
    endpoint = bench.make_endpoint()
    bench.invoke(endpoint)
    for wish in ('{"status": 422}', '{"status": 503}', '{"status": 500}', '{"sleep_s": 10}'):
        with pytest.raises(bench.runtime.exceptions.ModelError):
            bench.invoke(endpoint, wish)

    bench.await_true(lambda: total(endpoint, "Invocations") == 5, "the metrics")

    assert total(endpoint, "Invocation4XXErrors") == 1
    assert total(endpoint, "Invocation5XXErrors") == 3  # the last one did not answer in time
    assert total(endpoint, "Invocation5XXErrors", statistic="Average") == pytest.approx(0.6)


def test_latency_is_the_models_in_microseconds_and_the_rest_is_overhead(bench, total):
    endpoint = bench.make_endpoint()
    bench.invoke(endpoint, '{"sleep_s": 0.25}')

    bench.await_true(lambda: total(endpoint, "ModelLatency"), "the metrics")

    assert 250_000 <= total(endpoint, "ModelLatency") < 2_000_000
    assert total(endpoint, "OverheadLatency") < 250_000
    assert total(endpoint, "ModelLatency", statistic="SampleCount") == 1


def test_an_endpoint_that_nobody_asked_has_no_metrics(bench, total, make_emulator_client):
    idle, asked = bench.make_endpoint(), bench.make_endpoint()
    bench.invoke(asked)
    bench.await_true(lambda: total(asked, "Invocations"), "the metrics")

    dimensions = [{"Name": "EndpointName", "Value": idle}]
    listed = make_emulator_client("cloudwatch").list_metrics(
        Namespace="AWS/SageMaker", Dimensions=dimensions
    )

    assert listed["Metrics"] == []


def test_what_was_counted_is_published_when_the_server_stops(
    start_server, make_bench, total, tmp_path
):
    with start_server(tmp_path) as server:
        bench = make_bench(server)
        endpoint = bench.make_endpoint()
        bench.invoke(endpoint)

    assert total(endpoint, "Invocations") == 1
