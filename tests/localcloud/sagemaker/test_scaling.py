"""Application Auto Scaling through boto3: records, and what may not be one.
Nothing here scales."""

import pytest

INSTANCES = "sagemaker:variant:DesiredInstanceCount"
TRACKING = {
    "TargetValue": 70.0,
    "PredefinedMetricSpecification": {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    },
}


@pytest.fixture
def target(endpoint):
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/AllTraffic",
        "ScalableDimension": INSTANCES,
    }


def test_a_target_and_its_policy_are_kept_and_go_together(bench, target):
    bench.scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=4)
    policy = {"PolicyType": "TargetTrackingScaling", "PolicyName": "load"}
    bench.scaling.put_scaling_policy(
        **target, **policy, TargetTrackingScalingPolicyConfiguration=TRACKING
    )
    asked = {"ServiceNamespace": "sagemaker", "ResourceId": target["ResourceId"]}
    (kept,) = bench.scaling.describe_scaling_policies(**asked)["ScalingPolicies"]

    bench.scaling.deregister_scalable_target(**target)

    assert kept["TargetTrackingScalingPolicyConfiguration"] == TRACKING
    assert bench.scaling.describe_scaling_policies(**asked)["ScalingPolicies"] == []
    assert (
        bench.scaling.describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[target["ResourceId"]]
        )["ScalableTargets"]
        == []
    )


def test_registering_again_changes_what_is_given_and_keeps_the_rest(bench, target):
    bench.scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=4)

    bench.scaling.register_scalable_target(**target, MaxCapacity=6)

    (kept,) = bench.scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[target["ResourceId"]]
    )["ScalableTargets"]
    assert (kept["MinCapacity"], kept["MaxCapacity"]) == (1, 6)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ResourceId": "endpoint/none/variant/AllTraffic"}, "doesn't exist"),
        ({"ResourceId": "table/x"}, "Unsupported resource ID"),
        ({"ScalableDimension": "sagemaker:variant:Imaginary"}, "enum value set"),
        ({"ScalableDimension": "ecs:service:DesiredCount"}, "Unsupported scalable dimension"),
        ({"MinCapacity": 5}, "less than minimum"),
    ],
)
def test_a_target_that_breaks_a_rule_is_refused(bench, target, raises_code, change, reason):
    request = target | {"MinCapacity": 1, "MaxCapacity": 4} | change

    with raises_code("ValidationException", reason):
        bench.scaling.register_scalable_target(**request)


def test_a_serverless_variant_has_no_instances_to_scale(bench, target, raises_code):
    endpoint = bench.make_endpoint(bench.make_serverless_config())
    resource = {"ResourceId": f"endpoint/{endpoint}/variant/AllTraffic"}

    with raises_code("ValidationException", "serverless"):
        bench.scaling.register_scalable_target(**target | resource, MinCapacity=1, MaxCapacity=2)


def test_a_policy_needs_a_target(bench, target, raises_code):
    dimension = {"ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}

    with raises_code("ObjectNotFoundException", "No scalable target"):
        bench.scaling.put_scaling_policy(
            **target | dimension,
            PolicyName="load",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=TRACKING,
        )


def test_a_scaled_variant_keeps_its_instance_type_until_it_is_deregistered(
    bench, target, endpoint, raises_code
):
    bench.scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=4)
    config = bench.make_config(bench.variant(InstanceType="ml.c5.large"))

    with raises_code("ValidationException", "must be deregistered"):
        bench.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)


def test_the_targets_of_a_deleted_endpoint_go_with_it(bench, target):
    endpoint = bench.make_endpoint()
    resource = f"endpoint/{endpoint}/variant/AllTraffic"
    bench.scaling.register_scalable_target(
        **target | {"ResourceId": resource}, MinCapacity=1, MaxCapacity=4
    )

    bench.sagemaker.delete_endpoint(EndpointName=endpoint)
    bench.await_gone(endpoint)

    targets = bench.scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[resource]
    )
    assert targets["ScalableTargets"] == []
