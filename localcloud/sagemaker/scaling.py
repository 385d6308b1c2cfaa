"""Application Auto Scaling for endpoint variants: records, held to the rules, that scale nothing.
Nothing here changes an endpoint."""

import re

from localcloud.sagemaker.lists import page_answer, select_page
from localcloud.sagemaker.storage import ScalingRecord, State, Variant
from localcloud.sagemaker.wire import ApiError, JsonObject, ValidationException
from localcloud.sagemaker.world import ApiCall, World

RESOURCE = re.compile(r"endpoint/([a-zA-Z0-9-]+)/variant/([a-zA-Z0-9-]+)")
INSTANCES = "sagemaker:variant:DesiredInstanceCount"
CONCURRENCY = "sagemaker:variant:DesiredProvisionedConcurrency"
DEFAULT_PAGE = 50
CONFIG_BY_POLICY_TYPE = {
    "StepScaling": "StepScalingPolicyConfiguration",
    "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
    "PredictiveScaling": "PredictiveScalingPolicyConfiguration",
}


def register_scalable_target(world: World, call: ApiCall) -> JsonObject:
    """Register, or change what was registered."""
    request = call.parameters
    with world.store.changing() as state:
        _check_variant(state, request)
        key = _target_key(request)
        old = state.scaling_targets.get(key)
        merged = (old.request if old else {}) | request
        if not merged.keys() >= {"MinCapacity", "MaxCapacity"}:
            raise ValidationException("Both MinCapacity and MaxCapacity are required.")
        if not 0 <= merged["MinCapacity"] <= merged["MaxCapacity"]:
            raise ValidationException("Maximum capacity cannot be less than minimum capacity.")
        number = state.next_number()
        state.scaling_targets[key] = ScalingRecord(
            key=key,
            arn=old.arn if old else _arn(world, f"scalable-target/{number:016x}"),
            created_at=old.created_at if old else world.clock.now(),
            request={name: value for name, value in merged.items() if name != "Tags"},
        )
        return {"ScalableTargetARN": state.scaling_targets[key].arn}


def describe_scalable_targets(world: World, call: ApiCall) -> JsonObject:
    asked = call.parameters
    with world.store.reading() as state:
        targets = [one for one in state.scaling_targets.values() if _is_asked(one, asked)]
    page, token = select_page(targets, _asked_page(asked), key=lambda one: (one.key,))
    items = [_describe_target(world, target) for target in page]
    return page_answer("ScalableTargets", items, token)


def deregister_scalable_target(world: World, call: ApiCall) -> JsonObject:
    """The policies of the target go with it, as on AWS."""
    with world.store.changing() as state:
        target = _find_target(state, call.parameters)
        del state.scaling_targets[target.key]
        for key in [key for key in state.scaling_policies if key.startswith(f"{target.key}|")]:
            del state.scaling_policies[key]
    return {}


def put_scaling_policy(world: World, call: ApiCall) -> JsonObject:
    request = {"PolicyType": "StepScaling"} | call.parameters
    needed = CONFIG_BY_POLICY_TYPE[request["PolicyType"]]
    given = request.keys() & set(CONFIG_BY_POLICY_TYPE.values())
    if given != {needed}:
        message = f"A {request['PolicyType']} policy takes {needed} and no other configuration."
        raise ValidationException(message)
    with world.store.changing() as state:
        target = _find_target(state, request)
        key = f"{target.key}|{request['PolicyName']}"
        old = state.scaling_policies.get(key)
        number = state.next_number()
        name = f"scalingPolicy:{number}:resource/sagemaker/{request['ResourceId']}"
        policy = ScalingRecord(
            key=key,
            arn=old.arn if old else _arn(world, f"{name}:policyName/{request['PolicyName']}"),
            created_at=old.created_at if old else world.clock.now(),
            request=request,
        )
        state.scaling_policies[key] = policy
    return {"PolicyARN": policy.arn, "Alarms": []}


def describe_scaling_policies(world: World, call: ApiCall) -> JsonObject:
    asked = call.parameters
    with world.store.reading() as state:
        policies = [one for one in state.scaling_policies.values() if _is_asked(one, asked)]
    page, token = select_page(policies, _asked_page(asked), key=lambda one: (one.key,))
    items = [
        policy.request | {"PolicyARN": policy.arn, "CreationTime": policy.created_at, "Alarms": []}
        for policy in page
    ]
    return page_answer("ScalingPolicies", items, token)


def delete_scaling_policy(world: World, call: ApiCall) -> JsonObject:
    with world.store.changing() as state:
        key = f"{_target_key(call.parameters)}|{call.parameters['PolicyName']}"
        if key not in state.scaling_policies:
            raise _not_found("scaling policy", call.parameters)
        del state.scaling_policies[key]
    return {}


OPERATIONS = {
    "RegisterScalableTarget": register_scalable_target,
    "DescribeScalableTargets": describe_scalable_targets,
    "DeregisterScalableTarget": deregister_scalable_target,
    "PutScalingPolicy": put_scaling_policy,
    "DescribeScalingPolicies": describe_scaling_policies,
    "DeleteScalingPolicy": delete_scaling_policy,
}


def _check_variant(state: State, request: JsonObject) -> None:
    resource, dimension = request["ResourceId"], request["ScalableDimension"]
    if request["ServiceNamespace"] != "sagemaker":
        raise ValidationException("Only the service namespace sagemaker is known offline.")
    variant = _find_variant(state, resource)
    if dimension == INSTANCES and variant.serverless is not None:
        message = f"The variant of {resource!r} is serverless and has no instance count to scale."
        raise ValidationException(message)
    if dimension == CONCURRENCY and "ProvisionedConcurrency" not in (variant.serverless or {}):
        message = f"The variant of {resource!r} has no provisioned concurrency to scale."
        raise ValidationException(message)
    if dimension not in (INSTANCES, CONCURRENCY):
        raise ValidationException(f"Unsupported scalable dimension for a variant: {dimension}")


def _find_variant(state: State, resource: str) -> Variant:
    match = RESOURCE.fullmatch(resource)
    if match is None:
        raise ValidationException(f"Unsupported resource ID for sagemaker: {resource}")
    endpoint = state.endpoints.get(match[1].lower())
    if endpoint is None or endpoint.name != match[1] or endpoint.deployment is None:
        raise ValidationException(f"SageMaker resource doesn't exist or isn't ready: {resource}")
    for variant in endpoint.deployment.variants:
        if variant.name == match[2]:
            return variant
    raise ValidationException(f"SageMaker variant doesn't exist: {resource}")


def _find_target(state: State, request: JsonObject) -> ScalingRecord:
    target = state.scaling_targets.get(_target_key(request))
    if target is None:
        raise _not_found("scalable target", request)
    return target


def _not_found(what: str, request: JsonObject) -> ApiError:
    return ApiError(
        "ObjectNotFoundException",
        f"No {what} found for service namespace: {request['ServiceNamespace']}, resource ID:"
        f" {request['ResourceId']}, scalable dimension: {request['ScalableDimension']}",
    )


def _target_key(request: JsonObject) -> str:
    return f"{request['ResourceId']}|{request['ScalableDimension']}"


def _is_asked(record: ScalingRecord, asked: JsonObject) -> bool:
    request = record.request
    resources = asked.get("ResourceIds") or [asked.get("ResourceId", request["ResourceId"])]
    names = asked.get("PolicyNames") or [request.get("PolicyName")]
    return (
        request["ServiceNamespace"] == asked["ServiceNamespace"]
        and request["ResourceId"] in resources
        and request.get("PolicyName") in names
        and asked.get("ScalableDimension", request["ScalableDimension"])
        == request["ScalableDimension"]
    )


def _asked_page(asked: JsonObject) -> JsonObject:
    return {"MaxResults": DEFAULT_PAGE} | asked | {"SortOrder": "Ascending"}


def _describe_target(world: World, target: ScalingRecord) -> JsonObject:
    role = (
        f"arn:aws:iam::{world.settings.account}:role/aws-service-role/"
        "sagemaker.application-autoscaling.amazonaws.com/"
        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    )
    return (
        {"RoleARN": role}
        | target.request
        | {"ScalableTargetARN": target.arn, "CreationTime": target.created_at}
    )


def _arn(world: World, name: str) -> str:
    settings = world.settings
    prefix = "autoscaling" if name.startswith("scalingPolicy") else "application-autoscaling"
    return f"arn:aws:{prefix}:{settings.region}:{settings.account}:{name}"
