"""Running experiments as serving sees them: routes with defaults, and units that fall in an arm.
How an experiment is started and moved is not known here."""

import itertools
from typing import Any

from chalicelib.experiments import assignment, store, traffic
from chalicelib.experiments import service as experiments
from chalicelib.experiments.traffic import Route, Routes
from chalicelib.kit import tables

HALVES = [
    {"start": 0.0, "end": 0.5, "arm": "control"},
    {"start": 0.5, "end": 1.0, "arm": "treatment"},
]


def make_route(experiment: str = "exp-1", **fields: Any) -> Route:
    """Control 1.0.0 against treatment 1.1.0, half and half, on all units."""
    default = {
        "experiment": experiment,
        "mode": "split",
        "namespace": "model/eta",
        "namespace_range": (0.0, 1.0),
        "holdout": 0.0,
        "salt": 1,
        "phase": 1,
        "ranges": HALVES,
        "exposed": 1.0,
        "versions": {"control": "1.0.0", "treatment": "1.1.0"},
        "shadow_share": 1.0,
        "comparing": {},
    }
    return Route.model_validate({**default, **fields})


def run(tenant: str, model: str, *routes: Route) -> None:
    """From now on these, and no others, run on the model."""
    read = store.read_routes(tenant, model)
    tables.commit([store.put_routes(tenant, model, read, Routes(routes=list(routes)))])


def hash_of(unit: str) -> str:
    return assignment.hash_unit(experiments.unit_key(), unit)


def unit_in(arm: str | None, *routes: Route) -> str:
    """The first of made-up units that falls in the arm; None: in no experiment."""
    prepared = traffic.prepare(Routes(routes=list(routes)))
    for number in itertools.count():
        unit = f"unit-{number}"
        plan = assignment.assign(prepared[0].plan, hash_of(unit))
        if (plan.arm if plan else None) == arm:
            return unit
    raise AssertionError
