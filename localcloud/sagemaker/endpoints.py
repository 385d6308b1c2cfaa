"""CreateEndpoint, UpdateEndpoint, UpdateEndpointWeightsAndCapacities, DeleteEndpoint.
They decide which change may begin. Nothing here carries it out; lifecycle.py does."""

from localcloud.sagemaker.configs import find_config, plan_deployment
from localcloud.sagemaker.lifecycle import begin, put_endpoint
from localcloud.sagemaker.storage import (
    Change,
    ChangeKind,
    Deployment,
    Endpoint,
    Resource,
    State,
    Variant,
)
from localcloud.sagemaker.tags import put_tags
from localcloud.sagemaker.wire import JsonObject, ValidationException
from localcloud.sagemaker.world import ApiCall, World

IN_PROGRESS = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
RETAINED = {"DesiredWeight": "weight", "DesiredInstanceCount": "instance_count"}


def create_endpoint(world: World, call: ApiCall) -> JsonObject:
    name = call.parameters["EndpointName"]
    arn = world.settings.arn("endpoint", name)
    with world.store.changing() as state:
        if name.lower() in state.endpoints:
            raise ValidationException(f'Cannot create already existing endpoint "{arn}".')
        config = find_config(state, world, call.parameters["EndpointConfigName"])
        change = _plan(world, state, call, kind="create", config=config, running=None)
        put_tags(state, arn, call.parameters.get("Tags", []))
        endpoint = Endpoint(
            name=name,
            arn=arn,
            config_name=config.name,
            status="Creating",
            created_at=change.started_at,
            modified_at=change.started_at,
            change=change,
        )
        put_endpoint(world, state, endpoint)
    begin(world, endpoint)
    return {"EndpointArn": arn}


def update_endpoint(world: World, call: ApiCall) -> JsonObject:
    with world.store.changing() as state:
        endpoint = _find_changeable(state, world, call.parameters["EndpointName"])
        config = find_config(state, world, call.parameters["EndpointConfigName"])
        running = endpoint.deployment
        change = _plan(world, state, call, kind="update", config=config, running=running)
        if running is not None and change.deployment is not None:
            wanted = config.request["ProductionVariants"]
            if not running.is_serverless and any("ServerlessConfig" in one for one in wanted):
                raise ValidationException(
                    f'Cannot update the real-time endpoint "{endpoint.arn}" to serverless.'
                )
            _check_scaled_variants(state, endpoint, wanted)
        updated = _put_change(world, state, endpoint, change, status="Updating")
    begin(world, updated)
    return {"EndpointArn": endpoint.arn}


def update_endpoint_weights_and_capacities(world: World, call: ApiCall) -> JsonObject:
    with world.store.changing() as state:
        endpoint = _find_changeable(state, world, call.parameters["EndpointName"])
        if endpoint.deployment is None:
            raise ValidationException(f'Endpoint "{endpoint.arn}" has no variants.')
        deployment = _rescale(endpoint.deployment, call.parameters["DesiredWeightsAndCapacities"])
        change = _change(world, state, call, "rescale", endpoint.config_name, deployment)
        updated = _put_change(world, state, endpoint, change, status="Updating")
    begin(world, updated)
    return {"EndpointArn": endpoint.arn}


def delete_endpoint(world: World, call: ApiCall) -> JsonObject:
    with world.store.changing() as state:
        endpoint = find_endpoint(state, world, call.parameters["EndpointName"])
        _refuse_in_progress(endpoint)
        world.fleet.routes.pop(endpoint.name, None)
        change = _change(world, state, call, "delete", endpoint.config_name, None)
        deleting = _put_change(world, state, endpoint, change, status="Deleting")
    begin(world, deleting)
    return {}


def find_endpoint(state: State, world: World, name: str) -> Endpoint:
    endpoint = state.endpoints.get(name.lower())
    if endpoint is None:
        arn = world.settings.arn("endpoint", name)
        raise ValidationException(f'Could not find endpoint "{arn}".')
    return endpoint


OPERATIONS = {
    "CreateEndpoint": create_endpoint,
    "UpdateEndpoint": update_endpoint,
    "UpdateEndpointWeightsAndCapacities": update_endpoint_weights_and_capacities,
    "DeleteEndpoint": delete_endpoint,
}


def _find_changeable(state: State, world: World, name: str) -> Endpoint:
    endpoint = find_endpoint(state, world, name)
    _refuse_in_progress(endpoint)
    if endpoint.status == "Failed":
        raise ValidationException(f'Cannot update the failed endpoint "{endpoint.arn}".')
    return endpoint


def _refuse_in_progress(endpoint: Endpoint) -> None:
    if endpoint.status in IN_PROGRESS:
        raise ValidationException(f'Cannot update in-progress endpoint "{endpoint.arn}".')


def _plan(
    world: World,
    state: State,
    call: ApiCall,
    *,
    kind: ChangeKind,
    config: Resource,
    running: Deployment | None,
) -> Change:
    """The change to the config, or to what a silent rollback puts in its place."""
    deployment: Deployment = plan_deployment(state, world, config)
    if running is not None and call.parameters.get("RetainAllVariantProperties", False):
        deployment = _retain(deployment, running, call.parameters)
    rollback = call.fault("silent_rollback")
    if rollback is not None and rollback.config is not None:
        other = find_config(state, world, rollback.config)
        deployment = plan_deployment(state, world, other)
    elif rollback is not None and running is not None:
        deployment = running
    return _change(world, state, call, kind, config.name, deployment)


def _change(
    world: World,
    state: State,
    call: ApiCall,
    kind: ChangeKind,
    wanted_config: str,
    deployment: Deployment | None,
) -> Change:
    delays_s = world.clock.state.delays_s
    delay_s = {"create": delays_s.creating, "delete": delays_s.deleting}.get(
        kind, delays_s.updating
    )
    failing = call.fault("fail_creation")
    now = world.clock.now()
    return Change(
        number=state.next_number(),
        kind=kind,
        started_at=now,
        due_at=now + delay_s,
        wanted_config=wanted_config,
        deployment=deployment,
        failure_reason=failing.reason if failing and kind != "delete" else None,
        failure_status=failing.status if failing else None,
    )


def _put_change(
    world: World, state: State, endpoint: Endpoint, change: Change, *, status: str
) -> Endpoint:
    changed = endpoint.model_copy(
        update={"status": status, "modified_at": change.started_at, "change": change}
    )
    put_endpoint(world, state, changed)
    return changed


def _retain(wanted: Deployment, running: Deployment, parameters: JsonObject) -> Deployment:
    """Keep the running variants' weights and counts, less the excluded properties."""
    excluded = {
        item["VariantPropertyType"]
        for item in parameters.get("ExcludeRetainedVariantProperties", [])
    }
    fields = [field for name, field in RETAINED.items() if name not in excluded]
    running_by_name = {variant.name: variant for variant in running.variants}
    variants = tuple(
        variant.model_copy(
            update={
                field: getattr(running_by_name.get(variant.name, variant), field)
                for field in fields
            }
        )
        for variant in wanted.variants
    )
    return wanted.model_copy(update={"variants": variants})


def _rescale(deployment: Deployment, wishes: list[JsonObject]) -> Deployment:
    wish_by_name = {wish["VariantName"]: wish for wish in wishes}
    unknown = wish_by_name.keys() - {variant.name for variant in deployment.variants}
    if unknown:
        raise ValidationException(
            f'The variant name(s) "{", ".join(sorted(unknown))}" is/are'
            " not present within endpoint configuration."
        )
    variants = tuple(_rescaled(one, wish_by_name.get(one.name, {})) for one in deployment.variants)
    return deployment.model_copy(update={"variants": variants})


def _rescaled(variant: Variant, wish: JsonObject) -> Variant:
    if "DesiredInstanceCount" in wish and variant.serverless is not None:
        message = f"The serverless variant {variant.name!r} has no instance count."
        raise ValidationException(message)
    if "ServerlessUpdateConfig" in wish and variant.serverless is None:
        message = f"The variant {variant.name!r} is not serverless."
        raise ValidationException(message)
    serverless = variant.serverless
    if serverless is not None:
        serverless = serverless | wish.get("ServerlessUpdateConfig", {})
    return variant.model_copy(
        update={
            "weight": wish.get("DesiredWeight", variant.weight),
            "instance_count": wish.get("DesiredInstanceCount", variant.instance_count),
            "serverless": serverless,
        }
    )


def _check_scaled_variants(state: State, endpoint: Endpoint, wanted: list[JsonObject]) -> None:
    """AWS keeps a variant with a scalable target from going or from changing its instance type."""
    type_by_name = {variant["VariantName"]: variant.get("InstanceType") for variant in wanted}
    for variant in endpoint.deployment.variants if endpoint.deployment else ():
        is_same = type_by_name.get(variant.name) == variant.production.get("InstanceType")
        prefix = f"endpoint/{endpoint.name}/variant/{variant.name}"
        if not is_same and any(key.startswith(prefix) for key in state.scaling_targets):
            raise ValidationException(
                f'The variant(s) "[{variant.name}]" must be deregistered as scalable targets with'
                " AWS Auto Scaling before they can be removed or have their instance type updated."
            )
