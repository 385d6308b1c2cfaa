"""Which experiment and arm a prediction belongs to: what serving keeps of running experiments.
Pure; how the routes are read, and what is told of the choice, is not known here."""

from typing import Literal, NamedTuple

from pydantic import Field

from chalicelib.experiments import assignment
from chalicelib.experiments.assignment import Plan, Segment
from chalicelib.experiments.model import CONTROL, ArmName, ArmRange, Comparing, ExperimentId
from chalicelib.kit.errors import Invalid
from chalicelib.kit.values import Value
from chalicelib.registry.semver import VersionName


class Route(Value):
    """A running experiment, as far as a prediction must know it."""

    experiment: ExperimentId
    mode: Literal["split", "shadow", "disagreement"]
    namespace: str
    namespace_range: tuple[float, float]
    holdout: float
    salt: int
    phase: int
    ranges: list[ArmRange]
    exposed: float
    versions: dict[ArmName, VersionName]
    shadow_share: float
    comparing: Comparing


class Routes(Value):
    """Of one model. Its experiments share no unit, so that at most one route takes a prediction."""

    routes: list[Route] = Field(default_factory=list[Route])


class Prepared(NamedTuple):
    """A route with what is the same for every unit."""

    route: Route
    plan: Plan


class Chosen(NamedTuple):
    """propensity: of the arm, among the experiment's units; 1 for a copy's control."""

    route: Route
    arm: str
    version: str
    propensity: float
    is_forced: bool = False


class UnknownArm(Invalid):
    """No running experiment of the model has the arm that a tester asked for."""

    code = "unknown-arm"


def prepare(routes: Routes) -> tuple[Prepared, ...]:
    return tuple(Prepared(route, plan_of(route)) for route in routes.routes)


def plan_of(route: Route) -> Plan:
    return assignment.make_plan(
        experiment=route.experiment,
        salt_version=route.salt,
        segments=[Segment(one.start, one.end, one.arm) for one in route.ranges],
        exposed=route.exposed,
        namespace=route.namespace,
        owned=route.namespace_range,
        holdout=route.holdout,
    )


def choose(prepared: tuple[Prepared, ...], unit_hash: str) -> Chosen | None:
    """None: no experiment takes the unit."""
    for route, plan in prepared:
        assigned = assignment.assign(plan, unit_hash)
        if assigned is None:
            continue
        if route.mode == "shadow":
            return Chosen(route, CONTROL, route.versions[CONTROL], 1.0)
        return Chosen(route, assigned.arm, route.versions[assigned.arm], assigned.propensity)
    return None


def force(prepared: tuple[Prepared, ...], asked: str) -> Chosen:
    """asked: `<arm>` or `<experiment>/<arm>`. Raises UnknownArm."""
    experiment, _, arm = asked.rpartition("/")
    for route, _plan in prepared:
        if arm in route.versions and experiment in ("", route.experiment):
            return Chosen(route, arm, route.versions[arm], 0.0, is_forced=True)
    raise UnknownArm(f"no running experiment of this model has the arm {asked[:100]!r}")
