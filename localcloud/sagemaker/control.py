"""The control API of the offline SageMaker: faults, calls, clock, containers, jobs.
Nothing here exists on AWS, so nothing under test may call it."""

from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, ValidationError

from localcloud.sagemaker.clock import Delays, Turn
from localcloud.sagemaker.faults import Fault
from localcloud.sagemaker.storage import Variant
from localcloud.sagemaker.training.runs import job_folder
from localcloud.sagemaker.wire import (
    ApiError,
    JsonObject,
    Request,
    Response,
    json_response,
    parse_object,
)
from localcloud.sagemaker.world import World

PREFIX = "/_control/"


class FaultsBody(BaseModel):
    """Rules to add to those in force."""

    model_config = ConfigDict(extra="forbid")

    rules: Annotated[list[Fault], Field(min_length=1)]


class ClockBody(BaseModel):
    """What to do with the clock; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    frozen: bool | None = None
    advance_s: NonNegativeFloat = 0.0
    delays_s: Delays | None = None


def control(world: World, request: Request) -> Response:
    """Answer a call under /_control/."""
    action = ACTIONS.get((request.method, request.path.removeprefix(PREFIX)))
    if action is None:
        message = f"no control call {request.method} {request.path}"
        raise ApiError("NotFound", message, status=404)
    try:
        return json_response(action(world, request.body))
    except ValidationError as error:
        raise ApiError("Invalid", str(error)) from error


def _health(world: World, _: bytes) -> JsonObject:
    return {"status": "ready", "endpoints": len(world.store.state.endpoints)}


def _add_faults(world: World, body: bytes) -> JsonObject:
    world.injector.add(FaultsBody.model_validate(parse_object(body)).rules)
    return _read_faults(world, body)


def _read_faults(world: World, _: bytes) -> JsonObject:
    return {"rules": world.injector.describe()}


def _clear_faults(world: World, _: bytes) -> JsonObject:
    world.injector.clear()
    return {"rules": []}


def _read_calls(world: World, _: bytes) -> JsonObject:
    return {"calls": world.calls.read()}


def _clear_calls(world: World, _: bytes) -> JsonObject:
    world.calls.clear()
    return {"calls": []}


def _turn_clock(world: World, body: bytes) -> JsonObject:
    asked = ClockBody.model_validate(parse_object(body))
    with world.store.changing() as state:
        state.clock = world.clock.turn(
            Turn(is_frozen=asked.frozen, advance_s=asked.advance_s, delays_s=asked.delays_s)
        )
    return _read_clock(world, body)


def _read_clock(world: World, _: bytes) -> JsonObject:
    clock = world.clock.state
    return {
        "now": world.clock.now(),
        "frozen": clock.frozen_at is not None,
        "delays_s": clock.delays_s.model_dump(),
    }


def _read_containers(world: World, _: bytes) -> JsonObject:
    with world.store.reading() as state:
        endpoints = list(state.endpoints.values())
    return {
        "containers": [
            _describe_container(world, endpoint.name, variant)
            for endpoint in endpoints
            if endpoint.deployment is not None
            for variant in endpoint.deployment.variants
        ]
    }


def _read_jobs(world: World, _: bytes) -> JsonObject:
    """All training jobs, oldest first; pid is None unless the job's process runs."""
    with world.store.reading() as state:
        jobs = sorted(state.training_jobs.values(), key=lambda job: job.created_at)
    return {
        "jobs": [
            {
                "job": job.name,
                "status": job.status,
                "stage": job.stage,
                "pid": world.trainer.pid(job.name.lower()),
                "folder": str(job_folder(world, job).base),
                "log": str(job_folder(world, job).log_path),
            }
            for job in jobs
        ]
    }


def _read_logs(world: World, _: bytes) -> JsonObject:
    """The logs of all generations, also of failed and deleted endpoints; oldest first."""
    paths = (world.settings.state_dir / "endpoints").glob("*/*/container.log")
    return {
        "logs": [
            {
                "endpoint": path.parents[1].name,
                "generation": int(path.parent.name),
                "path": str(path),
            }
            for path in sorted(paths, key=lambda path: int(path.parent.name))
        ]
    }


def _describe_container(world: World, endpoint: str, variant: Variant) -> JsonObject:
    container = world.fleet.container(variant)
    return {
        "endpoint": endpoint,
        "variant": variant.name,
        "generation": variant.generation,
        "port": container.port if container else None,
        "restarts": container.restart_count if container else None,
        "log": str(world.fleet.folder(endpoint, variant) / "container.log"),
    }


ACTIONS: dict[tuple[str, str], Callable[[World, bytes], JsonObject]] = {
    ("GET", "health"): _health,
    ("POST", "faults"): _add_faults,
    ("GET", "faults"): _read_faults,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "calls"): _read_calls,
    ("DELETE", "calls"): _clear_calls,
    ("POST", "clock"): _turn_clock,
    ("GET", "clock"): _read_clock,
    ("GET", "containers"): _read_containers,
    ("GET", "logs"): _read_logs,
    ("GET", "jobs"): _read_jobs,
}
