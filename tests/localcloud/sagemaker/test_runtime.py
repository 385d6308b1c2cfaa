"""InvokeEndpoint through boto3: what passes, what is refused, and how errors look.
Nothing here changes an endpoint."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest


def test_content_type_accept_and_attributes_reach_the_container_and_come_back(bench, endpoint):
    answer = bench.runtime.invoke_endpoint(
        EndpointName=endpoint,
        Body=b"a,b",
        ContentType="text/csv",
        Accept="application/x-thing",
        CustomAttributes="trace=1",
    )

    headers = json.loads(answer["Body"].read())["headers"]
    assert headers["content-type"] == "text/csv"
    assert headers["x-amzn-sagemaker-custom-attributes"] == "trace=1"
    assert answer["ContentType"] == "application/x-thing"
    assert answer["CustomAttributes"] == "from-container"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_headers_that_sagemaker_does_not_know_are_stripped(bench, endpoint):
    headers = json.loads(bench.invoke(endpoint))["headers"]

    assert not headers.keys() & {"authorization", "x-amz-date", "user-agent", "amz-sdk-request"}


def test_an_unknown_endpoint_and_one_of_another_case_are_not_found(bench, endpoint):
    for name in ("no-such-endpoint", endpoint.upper()):
        with pytest.raises(bench.runtime.exceptions.ValidationError, match="not found"):
            bench.invoke(name)


def test_an_endpoint_that_is_still_creating_is_not_found(bench):
    bench.control.freeze()
    bench.control.set_delays(creating=60, updating=0, deleting=0)
    creating = bench.begin_endpoint()
    bench.control.set_delays(creating=0, updating=0, deleting=0)

    with pytest.raises(bench.runtime.exceptions.ValidationError, match="not found"):
        bench.invoke(creating)


def test_an_error_of_the_container_is_a_model_error_with_its_own_words(bench, endpoint):
    with pytest.raises(bench.runtime.exceptions.ModelError) as caught:
        bench.invoke(endpoint, '{"status": 422, "say": "no such feature"}')

    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == 422
    assert response["OriginalMessage"] == "no such feature"
    assert f"/aws/sagemaker/Endpoints/{endpoint}" in response["LogStreamArn"]


def test_a_container_that_is_too_slow_is_a_model_error(bench, endpoint):
    with pytest.raises(bench.runtime.exceptions.ModelError, match="timed out") as caught:
        bench.invoke(endpoint, '{"sleep_s": 10}')

    assert caught.value.response["OriginalStatusCode"] == 0


def test_the_largest_body_passes_and_one_byte_more_is_refused(bench, endpoint, raises_code):
    largest = b"x" * 6_291_456

    assert json.loads(bench.invoke(endpoint, largest))["body_bytes"] == len(largest)
    with raises_code("RequestEntityTooLarge", "exceeded 6291456 bytes"):
        bench.invoke(endpoint, largest + b"x")


def test_a_serverless_endpoint_takes_four_mebibytes_only(bench, raises_code):
    endpoint = bench.make_endpoint(bench.make_serverless_config())

    with raises_code("RequestEntityTooLarge", "exceeded 4194304 bytes"):
        bench.invoke(endpoint, b"x" * (4 * 1024 * 1024 + 1))


def test_a_target_variant_that_does_not_exist_is_refused(bench, endpoint):
    with pytest.raises(bench.runtime.exceptions.ValidationError, match="Variant Other"):
        bench.invoke(endpoint, TargetVariant="Other")


def test_traffic_follows_the_weights_and_the_target_variant(bench):
    blue = bench.variant(VariantName="blue", InitialVariantWeight=1)
    green = bench.variant(VariantName="green", InitialVariantWeight=0)
    endpoint = bench.make_endpoint(bench.make_config(blue, green))

    def invoked(**options):
        answer = bench.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"{}", **options)
        answer["Body"].read()
        return answer["InvokedProductionVariant"]

    assert {invoked() for _ in range(10)} == {"blue"}
    assert invoked(TargetVariant="green") == "green"


def test_invocations_run_side_by_side(bench):
    endpoint = bench.make_endpoint()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: bench.invoke(endpoint, '{"sleep_s": 0.3}'), range(8)))

    assert json.loads(bench.invoke(endpoint))["most_in_flight"] > 1


def test_a_serverless_endpoint_throttles_beyond_its_concurrency(bench):
    endpoint = bench.make_endpoint(bench.make_serverless_config(concurrency=1))

    def outcome(_):
        try:
            return bench.invoke(endpoint, '{"sleep_s": 0.5, "say": "ok"}')
        except bench.runtime.exceptions.ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return error.response["Error"]["Code"], status

    with ThreadPoolExecutor(4) as pool:
        outcomes = set(pool.map(outcome, range(4)))

    assert outcomes == {"ok", ("ThrottlingException", 429)}


def test_no_invocation_fails_while_the_endpoint_is_updated(bench):
    endpoint, config = bench.make_endpoint(), bench.make_config()

    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda _: bench.invoke(endpoint, '{"sleep_s": 0.02}'), range(100))
        bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        settled = bench.settle(endpoint)

    assert len(list(answers)) == 100
    assert settled["EndpointConfigName"] == config
