"""A call under the fault injector, and in the log. Control plane and runtime both pass here.
Nothing here knows what an operation does."""

import time
from collections.abc import Callable
from typing import TypeVar

from localcloud.sagemaker.faults import Fault
from localcloud.sagemaker.lifecycle import vanish
from localcloud.sagemaker.wire import ApiError, DropConnection
from localcloud.sagemaker.world import World

T = TypeVar("T")


def perform(
    world: World,
    operation: str,
    resource: str,
    act: Callable[[tuple[Fault, ...]], T],
    *,
    throttle_status: int = 400,
) -> T:
    """Do the call unless a fault prevents it, and log how it ended."""
    faults = world.injector.for_call(operation, resource)
    outcome = "dropped"
    try:
        _strike(world, faults, resource, throttle_status=throttle_status)
        result = act(tuple(faults))
        if any(fault.kind == "drop_after" for fault in faults):
            raise DropConnection
        outcome = "ok"
        return result
    except ApiError as error:
        outcome = error.code
        raise
    finally:
        world.calls.write(operation, resource, at=world.clock.now(), outcome=outcome, faults=faults)


def _strike(world: World, faults: list[Fault], resource: str, *, throttle_status: int) -> None:
    for fault in faults:
        match fault.kind:
            case "slow":
                time.sleep(fault.seconds)
            case "vanish":
                vanish(world, resource)
            case "drop_before":
                raise DropConnection
            case "throttle":
                raise ApiError("ThrottlingException", "Rate exceeded", status=throttle_status)
            case "error_500":
                raise ApiError("InternalFailure", "An internal failure occurred.", status=500)
            case "service_unavailable":
                message = "The service is currently unavailable."
                raise ApiError("ServiceUnavailable", message, status=503)
            case _:
                pass  # the operation itself, or the event, looks at the other kinds
