"""CreateEndpointConfig, DescribeEndpointConfig, DeleteEndpointConfig, ListEndpointConfigs.
Nothing here starts an endpoint; a config is a record that endpoints copy."""

from localcloud.sagemaker.lists import matches_times, page_answer, select_page
from localcloud.sagemaker.models import find_model
from localcloud.sagemaker.storage import Deployment, Resource, State, Variant
from localcloud.sagemaker.tags import drop_tags, put_tags
from localcloud.sagemaker.wire import JsonObject, ValidationException
from localcloud.sagemaker.world import ApiCall, World

SERVERLESS_MEMORY_STEP_MB = 1024
NOT_RUN_OFFLINE = {"AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants"}


def create_endpoint_config(world: World, call: ApiCall) -> JsonObject:
    name = call.parameters["EndpointConfigName"]
    arn = world.settings.arn("endpoint-config", name)
    _check_variants(call.parameters)
    with world.store.changing() as state:
        if name.lower() in state.configs:
            message = f'Cannot create already existing endpoint configuration "{arn}".'
            raise ValidationException(message)
        for variant in call.parameters["ProductionVariants"]:
            find_model(state, world, variant["ModelName"])
        request = {key: value for key, value in call.parameters.items() if key != "Tags"}
        put_tags(state, arn, call.parameters.get("Tags", []))
        state.configs[name.lower()] = Resource(
            name=name, arn=arn, created_at=world.clock.now(), request=request
        )
    return {"EndpointConfigArn": arn}


def describe_endpoint_config(world: World, call: ApiCall) -> JsonObject:
    with world.store.reading() as state:
        config = find_config(state, world, call.parameters["EndpointConfigName"])
    variants = [{"InitialVariantWeight": 1.0} | v for v in config.request["ProductionVariants"]]
    return {
        "EnableNetworkIsolation": False,
        **config.request,
        "ProductionVariants": variants,
        "EndpointConfigArn": config.arn,
        "CreationTime": config.created_at,
    }


def delete_endpoint_config(world: World, call: ApiCall) -> JsonObject:
    """AWS deletes a config that is in use, too."""
    with world.store.changing() as state:
        config = find_config(state, world, call.parameters["EndpointConfigName"])
        del state.configs[config.name.lower()]
        drop_tags(state, config.arn)
    return {}


def list_endpoint_configs(world: World, call: ApiCall) -> JsonObject:
    asked = call.parameters
    with world.store.reading() as state:
        configs = [
            config
            for config in state.configs.values()
            if asked.get("NameContains", "").lower() in config.name.lower()
            and matches_times(asked, created_at=config.created_at)
        ]
    by_name = asked.get("SortBy") == "Name"
    page, token = select_page(
        configs, asked, key=lambda c: (c.name,) if by_name else (c.created_at, c.name)
    )
    items = [
        {
            "EndpointConfigName": config.name,
            "EndpointConfigArn": config.arn,
            "CreationTime": config.created_at,
        }
        for config in page
    ]
    return page_answer("EndpointConfigs", items, token)


def find_config(state: State, world: World, name: str) -> Resource:
    config = state.configs.get(name.lower())
    if config is None:
        arn = world.settings.arn("endpoint-config", name)
        raise ValidationException(f'Could not find endpoint configuration "{arn}".')
    return config


def plan_deployment(state: State, world: World, config: Resource) -> Deployment:
    """What an endpoint on this config will run; raises when a model is gone meanwhile."""
    return Deployment(
        config_name=config.name,
        variants=tuple(
            _plan_variant(state, world, variant) for variant in config.request["ProductionVariants"]
        ),
        data_capture=config.request.get("DataCaptureConfig"),
    )


OPERATIONS = {
    "CreateEndpointConfig": create_endpoint_config,
    "DescribeEndpointConfig": describe_endpoint_config,
    "DeleteEndpointConfig": delete_endpoint_config,
    "ListEndpointConfigs": list_endpoint_configs,
}


def _plan_variant(state: State, world: World, variant: JsonObject) -> Variant:
    model = find_model(state, world, variant["ModelName"])
    return Variant(
        name=variant["VariantName"],
        generation=state.next_number(),
        container=model.request["PrimaryContainer"],
        production=variant,
        weight=variant.get("InitialVariantWeight", 1.0),
        instance_count=variant.get("InitialInstanceCount"),
        serverless=variant.get("ServerlessConfig"),
    )


def _check_variants(request: JsonObject) -> None:
    for name in NOT_RUN_OFFLINE & request.keys():
        raise ValidationException(f"{name} does not run offline.")
    variants = request["ProductionVariants"]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise ValidationException("Production variant names must be unique within a config.")
    for variant in variants:
        _check_variant(variant)
    if any("ServerlessConfig" in variant for variant in variants):
        _check_serverless(request, variants)


def _check_variant(variant: JsonObject) -> None:
    name = variant["VariantName"]
    if "ModelName" not in variant:
        raise ValidationException(f"ModelName is required for the variant {name!r}.")
    if "ServerlessConfig" in variant:
        if variant.keys() & {"InstanceType", "InitialInstanceCount"}:
            message = f"The variant {name!r} has both a serverless config and instances."
            raise ValidationException(message)
        return
    if not variant.keys() >= {"InstanceType", "InitialInstanceCount"}:
        message = f"InstanceType and InitialInstanceCount are required for the variant {name!r}."
        raise ValidationException(message)


def _check_serverless(request: JsonObject, variants: list[JsonObject]) -> None:
    if len(variants) > 1:
        raise ValidationException("A serverless endpoint has one production variant only.")
    if "DataCaptureConfig" in request:
        raise ValidationException("Data capture is not supported for serverless endpoints.")
    serverless = variants[0]["ServerlessConfig"]
    if serverless["MemorySizeInMB"] % SERVERLESS_MEMORY_STEP_MB:
        raise ValidationException("MemorySizeInMB must be a multiple of 1024 from 1024 to 6144.")
    if serverless.get("ProvisionedConcurrency", 1) > serverless["MaxConcurrency"]:
        raise ValidationException("ProvisionedConcurrency must not exceed MaxConcurrency.")
