"""The walker over botocore's shapes, where boto3 itself would not let a request through.
Nothing here needs a server."""

import pytest
from botocore.model import OperationModel

from localcloud.sagemaker.server import OPERATIONS
from localcloud.sagemaker.validation import (
    find_faults,
    operation_model,
    service_model,
    validate_parameters,
)
from localcloud.sagemaker.wire import ValidationException


def shape_of(operation):
    model = operation_model("sagemaker", operation)
    assert isinstance(model, OperationModel)
    return model.input_shape


@pytest.mark.parametrize(
    ("operation", "parameters", "message"),
    [
        ("DescribeModel", {}, "Value null at 'modelName'"),
        ("DescribeModel", {"ModelName": 3}, "Member must be of type string"),
        ("DescribeModel", {"ModelName": "m", "Colour": "red"}, "Unknown parameter 'Colour'"),
        ("ListModels", {"MaxResults": True}, "Member must be of type integer"),
        ("ListModels", {"MaxResults": 101}, "value less than or equal to 100"),
        ("AddTags", {"ResourceArn": "x", "Tags": [{"Key": "k"}]}, "tags.1.member.value"),
    ],
)
def test_parameters_that_break_the_shape_are_named(operation, parameters, message):
    with pytest.raises(ValidationException, match=r"validation error") as caught:
        validate_parameters(shape_of(operation), parameters)

    assert message in caught.value.message.replace("'null'", "null")


def test_a_null_member_counts_as_absent():
    validate_parameters(shape_of("ListModels"), {"NameContains": None})


def test_tags_may_hold_letters_of_any_script():
    tags = [{"Key": "équipe", "Value": "東京 1"}]
    arn = "arn:aws:sagemaker:us-east-1:123456789012:model/m"

    validate_parameters(shape_of("AddTags"), {"ResourceArn": arn, "Tags": tags})


@pytest.mark.parametrize("service", ["sagemaker", "application-autoscaling", "sagemaker-runtime"])
def test_every_pattern_of_the_offered_operations_compiles(service):
    names = [name for name in service_model(service).operation_names if name in OPERATIONS]
    names += ["InvokeEndpoint"] if service == "sagemaker-runtime" else []

    for name in names:
        for member in operation_model(service, name).input_shape.members.values():
            if member.type_name == "string":
                list(find_faults(member, "x", at=name))
