"""Ten thousand units, and which arm of a plan each of them is in.
No expectation lives here."""

from collections.abc import Sequence

from chalicelib.experiments.assignment import (
    Plan,
    Segment,
    apportion,
    assign,
    hash_unit,
    make_plan,
)

UNITS = [hash_unit(b"k" * 32, f"user-{number}") for number in range(10_000)]
HALVES = {"champion": 0.5, "rival": 0.5}


def plan_of(segments: Sequence[Segment] | None = None, **given: object) -> Plan:
    asked: dict[str, object] = {"experiment": "exp_7", "salt_version": 1, **given}
    return make_plan(segments=segments or apportion(HALVES), **asked)  # type: ignore[arg-type]


def arms_of(plan: Plan) -> dict[str, str]:
    """Arm by unit, of those that are in the experiment."""
    found = {unit: assign(plan, unit) for unit in UNITS}
    return {unit: assigned.arm for unit, assigned in found.items() if assigned}
