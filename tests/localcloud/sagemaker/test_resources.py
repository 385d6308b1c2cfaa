"""Models, endpoint configs and tags through boto3: what is refused, and in which words.
Nothing here starts an endpoint."""

import pytest

ROLE = "arn:aws:iam::123456789012:role/sagemaker"
SERVERLESS = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}


def test_a_model_is_described_as_it_was_created(bench):
    url = bench.put_archive()
    name = bench.make_model(url=url, Environment={"THREADS": "1"})

    described = bench.sagemaker.describe_model(ModelName=name)

    assert described["PrimaryContainer"] == {
        "Image": "sommelier-echo:1",
        "ModelDataUrl": url,
        "Environment": {"THREADS": "1"},
    }
    assert described["ModelArn"] == f"arn:aws:sagemaker:us-east-1:123456789012:model/{name}"


def test_a_second_model_of_the_same_name_is_refused_whatever_its_case(bench, raises_code):
    name = bench.make_model()

    with raises_code("ValidationException", "Cannot create already existing model"):
        bench.sagemaker.create_model(
            ModelName=name.upper(), PrimaryContainer={"Image": "x"}, ExecutionRoleArn=ROLE
        )


def test_a_missing_model_is_not_found(bench, raises_code):
    with raises_code("ValidationException", 'Could not find model "arn:aws:sagemaker:.*/nothing"'):
        bench.sagemaker.describe_model(ModelName="nothing")


def test_a_deleted_model_is_gone(bench, raises_code):
    name = bench.make_model()

    bench.sagemaker.delete_model(ModelName=name)

    with raises_code("ValidationException", "Could not find model"):
        bench.sagemaker.delete_model(ModelName=name)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ModelName": "two--hyphens-"}, "regular expression pattern"),
        ({"ModelName": "m" * 64}, "length less than or equal to 63"),
        ({"ExecutionRoleArn": "arn:aws:iam::1:role/short"}, "executionRoleArn"),
        ({"PrimaryContainer": {"Image": "has a space"}}, "primaryContainer.image"),
        ({"PrimaryContainer": {}}, "Image is required"),
        ({"PrimaryContainer": {"Image": "x", "Mode": "ManyModels"}}, "enum value set"),
        ({"PrimaryContainer": {"Image": "x", "ModelDataUrl": "https://a/b"}}, "must lie in S3"),
        ({"PrimaryContainer": {"Image": "x", "Environment": {"A B": "1"}}}, "environment.key"),
        ({"Tags": [{"Key": "aws:mine", "Value": "1"}]}, "aws: prefixed"),
    ],
)
def test_a_model_that_breaks_a_rule_is_refused(bench, raises_code, change, reason):
    request = {"ModelName": "m", "PrimaryContainer": {"Image": "x"}, "ExecutionRoleArn": ROLE}

    with raises_code("ValidationException", reason):
        bench.sagemaker.create_model(**request | change)


def test_models_are_listed_by_pages_without_gap_or_repeat(bench):
    prefix = bench.name("paged")
    names = [f"{prefix}-{number}" for number in range(5)]
    for name in names:
        bench.sagemaker.create_model(
            ModelName=name, PrimaryContainer={"Image": "x"}, ExecutionRoleArn=ROLE
        )

    pages = bench.sagemaker.get_paginator("list_models").paginate(
        NameContains=prefix, SortBy="Name", SortOrder="Ascending", MaxResults=2
    )

    assert [[m["ModelName"] for m in page["Models"]] for page in pages] == [
        names[:2],
        names[2:4],
        names[4:],
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ModelName": "no-such-model"}, "Could not find model"),
        ({"InstanceType": "ml.imaginary.large"}, "enum value set"),
        ({"InitialInstanceCount": 0}, "greater than or equal to 1"),
        ({"ServerlessConfig": SERVERLESS, "InstanceType": "ml.m5.large"}, "both"),
        ({"ServerlessConfig": SERVERLESS | {"MemorySizeInMB": 1500}}, "multiple of 1024"),
        ({"ServerlessConfig": SERVERLESS | {"MaxConcurrency": 201}}, "less than or equal to 200"),
        ({"ServerlessConfig": SERVERLESS | {"ProvisionedConcurrency": 6}}, "must not exceed"),
    ],
)
def test_a_variant_that_breaks_a_rule_is_refused(bench, raises_code, change, reason):
    variant = bench.variant(**change)

    with raises_code("ValidationException", reason):
        bench.make_config(variant)


def test_a_serverless_config_takes_no_data_capture(bench, raises_code):
    capture = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://models/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }

    with raises_code("ValidationException", "Data capture is not supported"):
        bench.make_config(bench.variant(ServerlessConfig=SERVERLESS), DataCaptureConfig=capture)


def test_what_does_not_run_offline_is_refused(bench, raises_code):
    shadow = bench.variant(VariantName="Shadow")

    with raises_code("ValidationException", "ShadowProductionVariants does not run offline"):
        bench.make_config(ShadowProductionVariants=[shadow])


def test_a_second_config_of_the_same_name_is_refused(bench, raises_code):
    name = bench.make_config()

    with raises_code("ValidationException", "Cannot create already existing endpoint config"):
        bench.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[bench.variant()]
        )


def test_a_config_in_use_is_deleted_and_its_endpoint_serves_on(bench):
    config = bench.make_config()
    endpoint = bench.make_endpoint(config)

    bench.sagemaker.delete_endpoint_config(EndpointConfigName=config)

    assert bench.invoke(endpoint, '{"say": "still here"}') == "still here"


def test_tags_are_added_replaced_listed_and_deleted(bench):
    config = bench.make_config(Tags=[{"Key": "team", "Value": "a"}])
    arn = bench.sagemaker.describe_endpoint_config(EndpointConfigName=config)["EndpointConfigArn"]

    tags = [{"Key": "team", "Value": "b"}, {"Key": "cost", "Value": "1"}]
    bench.sagemaker.add_tags(ResourceArn=arn, Tags=tags)
    bench.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["cost"])

    listed = bench.sagemaker.list_tags(ResourceArn=arn)["Tags"]
    assert listed == [{"Key": "team", "Value": "b"}]


def test_tags_of_nothing_are_refused(bench, raises_code):
    with raises_code("ValidationException", "Could not find resource"):
        bench.sagemaker.list_tags(ResourceArn="arn:aws:sagemaker:us-east-1:123456789012:model/no")


def test_an_operation_that_is_not_built_says_so(bench, raises_code):
    with raises_code("UnknownOperationException", "ListClusters"):
        bench.sagemaker.list_clusters()
