"""The fault injector through boto3: each kind, its counts, and the log of calls.
The events it loses or doubles are in test_events.py."""

import boto3
import pytest
from botocore.exceptions import ConnectionClosedError
from pydantic import ValidationError

from localcloud.sagemaker import ControlRefused
from localcloud.sagemaker.faults import Fault, Injector


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("throttle", "ThrottlingException", 400),
        ("error_500", "InternalFailure", 500),
        ("service_unavailable", "ServiceUnavailable", 503),
    ],
)
def test_a_call_is_refused_as_often_as_the_rule_says(bench, raises_code, kind, code, status):
    model = bench.make_model()
    rule = {"kind": kind, "operation": "DescribeModel", "resource_prefix": model}
    bench.control.add_faults(rule | {"after": 1, "times": 1})

    bench.sagemaker.describe_model(ModelName=model)
    with raises_code(code) as caught:
        bench.sagemaker.describe_model(ModelName=model)
    bench.sagemaker.describe_model(ModelName=model)

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert bench.outcomes("DescribeModel", model) == ["ok", code, "ok"]


def test_a_rule_spares_other_operations_and_resources(bench):
    model = bench.make_model()
    bench.control.add_faults(
        {"kind": "throttle", "operation": "DeleteModel", "resource_prefix": model},
        {"kind": "throttle", "operation": "DescribeModel", "resource_prefix": "other"},
    )

    assert bench.sagemaker.describe_model(ModelName=model)["ModelName"] == model


def test_a_connection_dropped_before_the_call_leaves_nothing_done(bench, raises_code):
    config = bench.make_config()
    bench.control.add_faults({"kind": "drop_before", "operation": "CreateEndpoint"})

    with pytest.raises(ConnectionClosedError):
        bench.sagemaker.create_endpoint(EndpointName="dropped", EndpointConfigName=config)

    with raises_code("ValidationException", "Could not find endpoint"):
        bench.describe("dropped")


def test_a_connection_dropped_after_the_call_leaves_it_done(bench):
    config, name = bench.make_config(), bench.name("endpoint")
    bench.control.add_faults({"kind": "drop_after", "operation": "CreateEndpoint"})

    with pytest.raises(ConnectionClosedError):
        bench.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)

    assert bench.settle(name)["EndpointStatus"] == "InService"
    assert bench.outcomes("CreateEndpoint", name) == ["dropped"]


def test_an_injected_failure_names_its_reason(bench):
    bench.control.add_faults(
        {"kind": "fail_creation", "operation": "CreateEndpoint", "reason": "no capacity"}
    )

    described = bench.describe(bench.make_endpoint())

    assert (described["EndpointStatus"], described["FailureReason"]) == ("Failed", "no capacity")


def test_a_failed_update_can_end_in_a_failed_rollback_that_can_be_updated_again(bench):
    endpoint, config = bench.make_endpoint(), bench.make_config()
    failed = {"kind": "fail_creation", "times": 1, "status": "UpdateRollbackFailed"}
    bench.control.add_faults(failed | {"operation": "UpdateEndpoint"})

    bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    failed_status = bench.settle(endpoint)["EndpointStatus"]
    bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)

    assert failed_status == "UpdateRollbackFailed"
    assert bench.settle(endpoint)["EndpointConfigName"] == config


def test_a_silent_rollback_is_in_service_on_the_previous_config(bench):
    config = bench.make_config()
    endpoint = bench.make_endpoint(config)
    bench.control.add_faults({"kind": "silent_rollback", "operation": "UpdateEndpoint"})

    bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=bench.make_config())
    described = bench.settle(endpoint)

    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", config)
    assert "FailureReason" not in described
    assert bench.invoke(endpoint, '{"say": "old"}') == "old"


def test_a_creation_can_go_in_service_on_another_config(bench):
    other = bench.make_config()
    bench.control.add_faults(
        {"kind": "silent_rollback", "operation": "CreateEndpoint", "config": other}
    )

    assert bench.describe(bench.make_endpoint())["EndpointConfigName"] == other


def test_an_endpoint_vanishes_behind_our_back(bench, raises_code):
    endpoint = bench.make_endpoint()
    bench.control.add_faults(
        {"kind": "vanish", "operation": "DescribeEndpoint", "resource_prefix": endpoint}
    )

    with raises_code("ValidationException", "Could not find endpoint"):
        bench.describe(endpoint)
    with pytest.raises(bench.runtime.exceptions.ValidationError, match="not found"):
        bench.invoke(endpoint)


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [("throttle", "ThrottlingException", 429), ("service_unavailable", "ServiceUnavailable", 503)],
)
def test_invocations_meet_faults_too(bench, endpoint, raises_code, kind, code, status):
    bench.control.add_faults({"kind": kind, "operation": "InvokeEndpoint"})

    with raises_code(code) as caught:
        bench.invoke(endpoint)

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_a_client_that_retries_gets_over_a_dropped_connection_and_a_slow_call(bench):
    model = bench.make_model()
    rule = {"operation": "DescribeModel", "resource_prefix": model, "times": 1}
    slow = {"kind": "slow", "seconds": 0.05, "after": 1}
    bench.control.add_faults(rule | {"kind": "drop_before"}, rule | slow)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    patient = boto3.client(
        "sagemaker", endpoint_url=bench.server.url, region_name="us-east-1", **keys
    )

    patient.describe_model(ModelName=model)

    assert bench.outcomes("DescribeModel", model) == ["dropped", "ok"]


def test_a_rule_with_an_unknown_field_is_refused(bench):
    with pytest.raises(ControlRefused, match="resource"):
        bench.control.add_faults({"kind": "throttle", "resource": "x"})


def test_an_unknown_kind_is_no_fault():
    with pytest.raises(ValidationError, match="kind"):
        Fault.model_validate({"kind": "explode"})


def test_event_rules_do_not_count_calls():
    injector = Injector()
    injector.add([Fault(kind="lose_event", operation="IN_SERVICE", times=1)])

    assert injector.for_call("IN_SERVICE", "e") == []
    assert [fault.kind for fault in injector.for_event("IN_SERVICE", "e")] == ["lose_event"]
    assert injector.for_event("IN_SERVICE", "e") == []
