"""AddTags, ListTags and DeleteTags, and the tags that a creation brings.
Nothing here knows what the tagged things are."""

from localcloud.sagemaker.lists import page_answer, select_page
from localcloud.sagemaker.storage import State
from localcloud.sagemaker.wire import JsonObject, ValidationException
from localcloud.sagemaker.world import ApiCall, World

MAX_TAGS = 50
TAGS_PAGE = 50


def put_tags(state: State, arn: str, tags: list[JsonObject]) -> None:
    """Add the tags of a request; an existing key gets the new value."""
    keys = [tag["Key"] for tag in tags]
    if len(set(keys)) < len(keys):
        raise ValidationException("Duplicate tag keys found. Please note that Tag keys are unique.")
    if any(key.lower().startswith("aws:") for key in keys):
        raise ValidationException("aws: prefixed tag key names are not allowed for external use.")
    merged = state.tags_by_arn.get(arn, {}) | {tag["Key"]: tag["Value"] for tag in tags}
    if len(merged) > MAX_TAGS:
        raise ValidationException(f"Number of tags should not be more than {MAX_TAGS}.")
    state.tags_by_arn[arn] = merged


def drop_tags(state: State, arn: str) -> None:
    state.tags_by_arn.pop(arn, None)


def add_tags(world: World, call: ApiCall) -> JsonObject:
    with world.store.changing() as state:
        arn = _existing(state, call.parameters["ResourceArn"])
        put_tags(state, arn, call.parameters["Tags"])
        return {"Tags": _pairs(state.tags_by_arn[arn])}


def list_tags(world: World, call: ApiCall) -> JsonObject:
    with world.store.reading() as state:
        arn = _existing(state, call.parameters["ResourceArn"])
        pairs = _pairs(state.tags_by_arn.get(arn, {}))
    asked = {"MaxResults": TAGS_PAGE} | call.parameters | {"SortOrder": "Ascending"}
    page, token = select_page(pairs, asked, key=lambda pair: (pair["Key"],))
    return page_answer("Tags", page, token)


def delete_tags(world: World, call: ApiCall) -> JsonObject:
    with world.store.changing() as state:
        arn = _existing(state, call.parameters["ResourceArn"])
        gone = set(call.parameters["TagKeys"])
        kept = {k: v for k, v in state.tags_by_arn.get(arn, {}).items() if k not in gone}
        state.tags_by_arn[arn] = kept
    return {}


OPERATIONS = {"AddTags": add_tags, "ListTags": list_tags, "DeleteTags": delete_tags}


def _existing(state: State, arn: str) -> str:
    wanted = arn.lower()
    records = (state.models, state.configs, state.endpoints, state.training_jobs)
    if all(one.arn != wanted for by_name in records for one in by_name.values()):
        raise ValidationException(f'Could not find resource "{arn}".')
    return wanted


def _pairs(tags: dict[str, str]) -> list[JsonObject]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
