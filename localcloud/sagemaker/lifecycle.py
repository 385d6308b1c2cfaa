"""How an endpoint changes: containers start, the clock comes round, the new state settles.
Nothing here reads a request; endpoints.py decides which change begins."""

import sys
import threading

from localcloud.sagemaker.artifacts import remove_model
from localcloud.sagemaker.events import endpoint_announcement
from localcloud.sagemaker.fleet import DeploymentFailed
from localcloud.sagemaker.storage import Change, Deployment, Endpoint, State
from localcloud.sagemaker.tags import drop_tags
from localcloud.sagemaker.wire import JsonObject
from localcloud.sagemaker.world import World

MAX_REASON_CHARS = 1024


def put_endpoint(world: World, state: State, endpoint: Endpoint) -> None:
    """Keep the record and announce its status; call it inside store.changing()."""
    state.endpoints[endpoint.name.lower()] = endpoint
    tags = state.tags_by_arn.get(endpoint.arn, {})
    world.announcer.announce(endpoint_announcement(endpoint, tags))


def begin(world: World, endpoint: Endpoint) -> None:
    """Carry the endpoint's change out in a thread of its own."""
    if endpoint.change is not None:
        arguments = (world, endpoint, endpoint.change)
        threading.Thread(target=_carry_out, args=arguments, daemon=True).start()


def resume(world: World) -> None:
    """After a start: serve again what was in service, and go on with the changes under way."""
    with world.store.reading() as state:
        endpoints = list(state.endpoints.values())
    _remove_leftovers(world, endpoints)
    for endpoint in endpoints:
        if endpoint.deployment is not None and endpoint.status != "Deleting":
            try:
                world.fleet.resume(endpoint.name, endpoint.deployment)
            except DeploymentFailed as error:
                print(f"{endpoint.name} is not served: {error}", file=sys.stderr, flush=True)
    world.fleet.await_ready()
    for endpoint in endpoints:
        begin(world, endpoint)


def vanish(world: World, name: str) -> None:
    """Take an endpoint away at once, without a Deleting state and without an event."""
    with world.store.changing() as state:
        endpoint = state.endpoints.get(name.lower())
        if endpoint is None:
            return
        _forget(world, state, endpoint)
    arguments = (world, endpoint, _deployments(endpoint))
    threading.Thread(target=_stop_all, args=arguments, daemon=True).start()


def _carry_out(world: World, endpoint: Endpoint, change: Change) -> None:
    failure_reason = _prepare(world, endpoint, change)
    if not world.clock.wait_until(change.due_at):
        return  # the server stops; the change goes on after the next start
    with world.store.changing() as state:
        current = state.endpoints.get(endpoint.name.lower())
        is_ours = current is not None and current.change == change
        settled = _settle(world, state, endpoint, change, failure_reason) if is_ours else None
    kept = settled.deployment if settled else None
    _stop_all(world, endpoint, [one for one in _deployments(endpoint) if one != kept], keep=kept)


def _prepare(world: World, endpoint: Endpoint, change: Change) -> str | None:
    """Start what the change needs; the reason when that failed."""
    if change.failure_reason is not None:
        return change.failure_reason
    is_starting = change.kind in ("create", "update") and change.deployment != endpoint.deployment
    if not is_starting or change.deployment is None:
        return None
    try:
        world.fleet.start(endpoint.name, change.deployment)
    except DeploymentFailed as error:
        return str(error)[:MAX_REASON_CHARS]
    return None


def _settle(
    world: World, state: State, endpoint: Endpoint, change: Change, failure_reason: str | None
) -> Endpoint | None:
    """Put the state in which the change ends; None when the endpoint is gone."""
    if change.kind == "delete":
        _forget(world, state, endpoint)
        return None
    result: JsonObject = {"modified_at": world.clock.now(), "change": None}
    if failure_reason is not None:
        is_creation = change.kind == "create"
        status = "Failed" if is_creation else change.failure_status or "InService"
        result |= {"status": status, "failure_reason": failure_reason}
    elif change.deployment is not None:
        world.fleet.route(endpoint.name, change.deployment)
        result |= {
            "status": "InService",
            "failure_reason": None,
            "deployment": change.deployment,
            "config_name": change.deployment.config_name,
        }
    settled = endpoint.model_copy(update=result)
    if settled.status == "Failed":
        world.fleet.routes.pop(endpoint.name, None)
    put_endpoint(world, state, settled)
    return settled


def _forget(world: World, state: State, endpoint: Endpoint) -> None:
    world.fleet.routes.pop(endpoint.name, None)
    del state.endpoints[endpoint.name.lower()]
    drop_tags(state, endpoint.arn)
    prefix = f"endpoint/{endpoint.name}/"
    for records in (state.scaling_targets, state.scaling_policies):
        for key in [key for key in records if key.startswith(prefix)]:
            del records[key]


def _deployments(endpoint: Endpoint) -> list[Deployment]:
    """What may run for the endpoint: the present deployment and the one of its change."""
    wanted = endpoint.change.deployment if endpoint.change else None
    return [one for one in (endpoint.deployment, wanted) if one is not None]


def _stop_all(
    world: World,
    endpoint: Endpoint,
    deployments: list[Deployment],
    *,
    keep: Deployment | None = None,
) -> None:
    """Stop the deployments' containers but those of the kept one; a rescale shares them all."""
    kept = {variant.generation for variant in keep.variants} if keep else set[int]()
    for deployment in deployments:
        variants = tuple(one for one in deployment.variants if one.generation not in kept)
        world.fleet.stop(endpoint.name, deployment.model_copy(update={"variants": variants}))


def _remove_leftovers(world: World, endpoints: list[Endpoint]) -> None:
    """Drop the bytes of generations that a killed server left behind; their numbers are unique."""
    deployments = [one for endpoint in endpoints for one in _deployments(endpoint)]
    wanted = {str(variant.generation) for one in deployments for variant in one.variants}
    for folder in (world.settings.state_dir / "endpoints").glob("*/*"):
        if folder.name not in wanted:
            remove_model(folder)
