"""CreateModel, DescribeModel, DeleteModel, ListModels.
Nothing here fetches the model's data: AWS looks at it when an endpoint is created."""

from localcloud.sagemaker.lists import matches_times, page_answer, select_page
from localcloud.sagemaker.storage import Resource, State
from localcloud.sagemaker.tags import drop_tags, put_tags
from localcloud.sagemaker.wire import JsonObject, ValidationException
from localcloud.sagemaker.world import ApiCall, World


def create_model(world: World, call: ApiCall) -> JsonObject:
    name = call.parameters["ModelName"]
    arn = world.settings.arn("model", name)
    _check_containers(call.parameters)
    if "ExecutionRoleArn" not in call.parameters:
        raise ValidationException("ExecutionRoleArn is required to create a model.")
    with world.store.changing() as state:
        if name.lower() in state.models:
            raise ValidationException(f'Cannot create already existing model "{arn}".')
        request = {key: value for key, value in call.parameters.items() if key != "Tags"}
        put_tags(state, arn, call.parameters.get("Tags", []))
        state.models[name.lower()] = Resource(
            name=name, arn=arn, created_at=world.clock.now(), request=request
        )
    return {"ModelArn": arn}


def describe_model(world: World, call: ApiCall) -> JsonObject:
    with world.store.reading() as state:
        model = find_model(state, world, call.parameters["ModelName"])
    return {
        "EnableNetworkIsolation": False,
        **model.request,
        "ModelArn": model.arn,
        "CreationTime": model.created_at,
    }


def delete_model(world: World, call: ApiCall) -> JsonObject:
    with world.store.changing() as state:
        model = find_model(state, world, call.parameters["ModelName"])
        del state.models[model.name.lower()]
        drop_tags(state, model.arn)
    return {}


def list_models(world: World, call: ApiCall) -> JsonObject:
    asked = call.parameters
    with world.store.reading() as state:
        models = [
            model
            for model in state.models.values()
            if asked.get("NameContains", "").lower() in model.name.lower()
            and matches_times(asked, created_at=model.created_at)
        ]
    by_name = asked.get("SortBy") == "Name"
    page, token = select_page(
        models, asked, key=lambda m: (m.name,) if by_name else (m.created_at, m.name)
    )
    items = [{"ModelName": m.name, "ModelArn": m.arn, "CreationTime": m.created_at} for m in page]
    return page_answer("Models", items, token)


def find_model(state: State, world: World, name: str) -> Resource:
    model = state.models.get(name.lower())
    if model is None:
        raise ValidationException(f'Could not find model "{world.settings.arn("model", name)}".')
    return model


OPERATIONS = {
    "CreateModel": create_model,
    "DescribeModel": describe_model,
    "DeleteModel": delete_model,
    "ListModels": list_models,
}


def _check_containers(request: JsonObject) -> None:
    if ("PrimaryContainer" in request) == ("Containers" in request):
        raise ValidationException("Specify either PrimaryContainer or Containers, not both.")
    if "PrimaryContainer" not in request:
        raise ValidationException("Inference pipelines of several Containers do not run offline.")
    container = request["PrimaryContainer"]
    if "Image" not in container:
        raise ValidationException("Image is required for the primary container.")
    if "ModelDataUrl" in container and "ModelDataSource" in container:
        raise ValidationException("Specify either ModelDataUrl or ModelDataSource, not both.")
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    uri = container.get("ModelDataUrl") or source.get("S3Uri", "s3://")
    if not uri.startswith("s3://"):
        raise ValidationException(f"Model data must lie in S3, not at {uri!r}.")
