"""The shipped template: references instead of placeholders, names of functions, no aliases."""

import yaml

from tools.template import dump, finish, kebab, orphans, with_references


def test_a_placeholder_alone_becomes_a_reference() -> None:
    assert with_references("${Bucket}") == {"Ref": "Bucket"}
    assert with_references("${AWS::StackName}") == {"Ref": "AWS::StackName"}
    assert with_references("${Role.Arn}") == {"Fn::GetAtt": ["Role", "Arn"]}


def test_a_placeholder_inside_text_is_substituted() -> None:
    assert with_references("${Bucket.Arn}/models/*") == {"Fn::Sub": "${Bucket.Arn}/models/*"}


def test_a_policy_variable_is_left_to_iam() -> None:
    assert with_references("${aws:username}") == "${aws:username}"
    assert with_references("${Bucket.Arn}/${aws:username}/*") == {
        "Fn::Sub": "${Bucket.Arn}/${!aws:username}/*"
    }


def test_references_are_found_deep_and_intrinsics_stay() -> None:
    node = {"a": [{"b": "${Bucket}"}, {"Fn::Sub": "${Bucket}/x"}, {"Ref": "Bucket"}, 7, None]}

    assert with_references(node) == {
        "a": [{"b": {"Ref": "Bucket"}}, {"Fn::Sub": "${Bucket}/x"}, {"Ref": "Bucket"}, 7, None]
    }


def test_functions_get_names_that_people_can_type() -> None:
    names = ("APIHandler", "OnUpload", "ModelVersionManager", "Reconcile")

    spelt = [kebab(name) for name in names]

    assert spelt == ["api-handler", "on-upload", "model-version-manager", "reconcile"]


def test_the_finished_template_has_no_placeholder_left_where_chalice_writes_text() -> None:
    finished = finish(make_template(), stage="prod")

    function = finished["Resources"]["OnUpload"]["Properties"]
    role = finished["Resources"]["OnUploadRole"]["Properties"]
    assert function["FunctionName"] == {"Fn::Sub": "${AWS::StackName}-on-upload"}
    assert function["Environment"]["Variables"] == {"BUCKET": {"Ref": "Bucket"}, "LEVEL": "INFO"}
    pattern = function["Events"]["Uploaded"]["Properties"]["Pattern"]
    assert pattern == {"detail": {"bucket": {"name": [{"Ref": "Bucket"}]}}}
    statement = role["Policies"][0]["PolicyDocument"]["Statement"][0]
    assert statement["Resource"] == {"Fn::Sub": "${Bucket.Arn}/*"}
    assert finished["Parameters"]["Stage"]["Default"] == "prod"


def test_finishing_changes_nothing_in_place_and_once_is_enough() -> None:
    raw = make_template()

    finished = finish(raw, stage="dev")

    assert raw == make_template()
    assert finish(finished, stage="dev") == finished


def test_the_template_is_written_without_aliases() -> None:
    shared = {"Version": "2012-10-17"}

    text = dump({"one": shared, "two": shared})

    assert "&" not in text
    assert "*" not in text
    assert yaml.safe_load(text) == {"one": shared, "two": shared}


def test_a_resource_that_only_the_merge_file_knows_is_named() -> None:
    template = {"Resources": {"Gone": {"Properties": {}}, "Bucket": {"Type": "AWS::S3::Bucket"}}}

    assert orphans(template) == ["Gone"]


def make_template() -> dict[str, object]:
    statement = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "${Bucket.Arn}/*"}
    return {
        "Parameters": {"Stage": {"Type": "String", "Default": "dev"}},
        "Resources": {
            "OnUpload": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "Environment": {"Variables": {"BUCKET": "${Bucket}", "LEVEL": "INFO"}},
                    "Events": {
                        "Uploaded": {
                            "Type": "CloudWatchEvent",
                            "Properties": {
                                "Pattern": {"detail": {"bucket": {"name": ["${Bucket}"]}}}
                            },
                        }
                    },
                },
            },
            "OnUploadRole": {
                "Type": "AWS::IAM::Role",
                "Properties": {"Policies": [{"PolicyDocument": {"Statement": [statement]}}]},
            },
        },
    }
