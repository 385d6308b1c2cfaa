"""An endpoint's life through boto3: states, clock, failures, updates, deletion.
Nothing here injects a fault; test_faults.py does."""

import json

import pytest


def test_an_endpoint_is_creating_until_the_clock_comes_round(bench):
    bench.control.freeze()
    bench.control.set_delays(creating=60, updating=60, deleting=60)
    endpoint = bench.begin_endpoint()
    before = bench.describe(endpoint)["EndpointStatus"]

    bench.control.advance(60)
    bench.control.set_delays(creating=0, updating=0, deleting=0)
    after = bench.settle(endpoint)["EndpointStatus"]

    assert (before, after) == ("Creating", "InService")


def test_the_waiter_of_boto3_sees_the_endpoint_in_service(bench):
    endpoint = bench.begin_endpoint()

    waiter = bench.sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=endpoint, WaiterConfig={"Delay": 1})

    assert bench.describe(endpoint)["EndpointStatus"] == "InService"


def test_the_container_gets_the_model_and_the_environment_and_nothing_else(bench):
    model = bench.make_model(url=bench.put_archive(weights="v7"), Environment={"THREADS": "2"})
    endpoint = bench.make_endpoint(bench.make_config(bench.variant(ModelName=model)))

    facts = json.loads(bench.invoke(endpoint))

    assert facts["model"] == {"weights": "v7"}
    assert facts["model_mode"] == "0o555"
    assert facts["environment"]["THREADS"] == "2"
    assert not [name for name in facts["environment"] if name.startswith("AWS_")]


def test_uncompressed_model_data_is_copied_by_prefix(bench):
    bench.s3.put_object(Bucket="models", Key="plain/weights", Body=b"v8")
    source = {"S3Uri": "s3://models/plain/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    model = bench.name("model")
    bench.sagemaker.create_model(
        ModelName=model,
        PrimaryContainer={"Image": "echo", "ModelDataSource": {"S3DataSource": source}},
        ExecutionRoleArn="arn:aws:iam::123456789012:role/sagemaker",
    )

    endpoint = bench.make_endpoint(bench.make_config(bench.variant(ModelName=model)))

    assert json.loads(bench.invoke(endpoint))["model"] == {"weights": "v8"}


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"image": "sommelier-broken:1"}, "did not pass the ping health check"),
        ({"image": "somebody/elses:1"}, "no container folder 'elses'"),
        ({"url": "s3://models/nothing.tar.gz"}, "Could not find model data at s3://models/nothing"),
        ({"url": "s3://models/plain.txt"}, "Failed to extract model data archive"),
    ],
)
def test_an_endpoint_that_cannot_serve_fails_with_a_reason(bench, model, reason):
    bench.s3.put_object(Bucket="models", Key="plain.txt", Body=b"not an archive")
    config = bench.make_config(bench.variant(ModelName=bench.make_model(**model)))

    described = bench.settle(bench.begin_endpoint(config))

    assert described["EndpointStatus"] == "Failed"
    assert reason in described["FailureReason"]


def test_an_archive_that_leaves_its_folder_is_not_unpacked(bench):
    url = bench.put_archive(**{"../../escaped": "x"})
    model = bench.make_model(url=url)

    described = bench.settle(
        bench.begin_endpoint(bench.make_config(bench.variant(ModelName=model)))
    )

    assert "Failed to extract model data archive" in described["FailureReason"]


def test_a_container_that_never_answers_ping_fails_after_its_time(
    start_server, make_bench, tmp_path
):
    limits = ("--serverless-start-timeout-s", "0.5", "--stop-grace-s", "0.1")
    with start_server(tmp_path, *limits) as server:
        bench = make_bench(server)
        serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}
        mute = bench.make_model(image="sommelier-mute:1")
        config = bench.make_config(bench.variant(ModelName=mute, ServerlessConfig=serverless))

        described = bench.settle(bench.begin_endpoint(config))

    assert "did not pass the ping health check" in described["FailureReason"]


def test_a_failed_endpoint_can_only_be_deleted(bench, raises_code):
    broken = bench.variant(ModelName=bench.make_model(image="sommelier-broken:1"))
    endpoint = bench.make_endpoint(bench.make_config(broken))

    with raises_code("ValidationException", "failed endpoint"):
        bench.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName=bench.make_config()
        )
    bench.sagemaker.delete_endpoint(EndpointName=endpoint)

    bench.await_gone(endpoint)


def test_an_endpoint_needs_an_existing_config_and_a_free_name(bench, endpoint, raises_code):
    with raises_code("ValidationException", "Cannot create already existing endpoint"):
        bench.sagemaker.create_endpoint(
            EndpointName=endpoint.upper(), EndpointConfigName=bench.make_config()
        )
    with raises_code("ValidationException", "Could not find endpoint configuration"):
        bench.begin_endpoint("no-such-config")


def test_an_update_serves_the_new_model_and_keeps_the_old_until_then(bench):
    endpoint = bench.make_endpoint()
    model = bench.make_model(url=bench.put_archive(weights="v2"))
    config = bench.make_config(bench.variant(ModelName=model))
    bench.control.freeze()
    bench.control.set_delays(creating=0, updating=60, deleting=0)

    bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    during = bench.describe(endpoint)
    served_during = json.loads(bench.invoke(endpoint))["model"]
    bench.control.advance(60)
    bench.control.set_delays(creating=0, updating=0, deleting=0)
    after = bench.settle(endpoint)

    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == config
    assert (served_during, after["EndpointConfigName"]) == ({"weights": "v1"}, config)
    assert json.loads(bench.invoke(endpoint))["model"] == {"weights": "v2"}


def test_a_failed_update_leaves_the_old_config_in_service(bench):
    config = bench.make_config()
    endpoint = bench.make_endpoint(config)
    broken = bench.variant(ModelName=bench.make_model(image="sommelier-broken:1"))

    bench.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=bench.make_config(broken)
    )
    described = bench.settle(endpoint)

    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", config)
    assert "did not pass the ping health check" in described["FailureReason"]
    assert bench.invoke(endpoint, '{"say": "old"}') == "old"


@pytest.mark.parametrize("operation", ["update_endpoint", "delete_endpoint"])
def test_a_change_is_refused_while_another_is_under_way(bench, raises_code, operation):
    config = bench.make_config()
    bench.control.freeze()
    bench.control.set_delays(creating=60, updating=0, deleting=0)
    endpoint = bench.begin_endpoint(config)
    arguments = {"EndpointConfigName": config} if operation == "update_endpoint" else {}

    with raises_code("ValidationException", "Cannot update in-progress endpoint"):
        getattr(bench.sagemaker, operation)(EndpointName=endpoint, **arguments)

    bench.control.set_delays(creating=0, updating=0, deleting=0)
    bench.control.advance(60)
    assert bench.settle(endpoint)["EndpointStatus"] == "InService"


def test_a_real_time_endpoint_cannot_turn_serverless_but_the_reverse_is_allowed(bench, raises_code):
    real_time, serverless = bench.make_config(), bench.make_serverless_config()
    endpoint = bench.make_endpoint(serverless)

    bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=real_time)
    bench.settle(endpoint)

    with raises_code("ValidationException", "to serverless"):
        bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=serverless)


def test_weights_and_counts_change_through_updating(bench):
    endpoint = bench.make_endpoint()
    wish = {"VariantName": "AllTraffic", "DesiredWeight": 3.0, "DesiredInstanceCount": 2}

    bench.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=[wish]
    )

    (variant,) = bench.settle(endpoint)["ProductionVariants"]
    assert (variant["CurrentWeight"], variant["CurrentInstanceCount"]) == (3.0, 2)
    assert bench.invoke(endpoint, '{"say": "same process"}') == "same process"


def test_the_weights_of_an_unknown_variant_are_refused(bench, endpoint, raises_code):
    with raises_code("ValidationException", "not present within endpoint"):
        bench.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "Other", "DesiredWeight": 1}],
        )


def test_a_deleted_endpoint_goes_and_its_name_is_free_again(bench, raises_code):
    config = bench.make_config()
    endpoint = bench.make_endpoint(config)

    bench.sagemaker.delete_endpoint(EndpointName=endpoint)
    bench.await_gone(endpoint)
    with raises_code("ValidationException", "Could not find endpoint"):
        bench.describe(endpoint)
    bench.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)

    assert bench.settle(endpoint)["EndpointStatus"] == "InService"


def test_endpoints_are_listed_by_name_and_status(bench):
    prefix = bench.name("listed")
    config = bench.make_config()
    for letter in "abc":
        name = f"{prefix}-{letter}"
        bench.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        bench.settle(name)

    listed = bench.sagemaker.list_endpoints(
        NameContains=prefix, StatusEquals="InService", SortBy="Name", SortOrder="Ascending"
    )["Endpoints"]

    assert [one["EndpointName"][-1] for one in listed] == ["a", "b", "c"]
    assert not bench.sagemaker.list_endpoints(NameContains=prefix, StatusEquals="Failed")[
        "Endpoints"
    ]
