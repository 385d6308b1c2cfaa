"""Which experiment and arm a prediction belongs to, by routes as serving keeps them."""

from typing import Any

import pytest

from chalicelib.experiments import lifecycle, traffic
from chalicelib.experiments.assignment import hash_unit
from chalicelib.experiments.model import CONTROL
from chalicelib.experiments.traffic import Route, Routes, UnknownArm
from tests.builders.analyses import STARTED, running
from tests.builders.experiments import make_route

UNITS = [hash_unit(b"k" * 32, f"user-{number}") for number in range(4_000)]
LEFT, RIGHT = (0.0, 0.5), (0.5, 1.0)


def prepared(*routes: Route) -> tuple[traffic.Prepared, ...]:
    return traffic.prepare(Routes(routes=list(routes)))


def arms(*routes: Route) -> list[tuple[str, str] | None]:
    """Experiment and arm of each unit."""
    ready = prepared(*routes)
    found = [traffic.choose(ready, unit) for unit in UNITS]
    return [(one.route.experiment, one.arm) if one else None for one in found]


def test_without_a_route_no_experiment_takes_a_unit():
    assert traffic.choose(prepared(), UNITS[0]) is None


def test_a_unit_gets_the_version_of_its_arm():
    ready = prepared(make_route())

    found = [traffic.choose(ready, unit) for unit in UNITS]

    assert {(one.arm, one.version, one.propensity) for one in found if one} == {
        ("control", "1.0.0", 0.5),
        ("treatment", "1.1.0", 0.5),
    }


def test_experiments_of_one_namespace_share_no_unit_and_leave_none():
    both = arms(make_route("a", namespace_range=LEFT), make_route("b", namespace_range=RIGHT))
    alone = arms(make_route("b", namespace_range=RIGHT))

    assert None not in both
    assert {one[0] for one in both if one} == {"a", "b"}
    assert [one for one in both if one and one[0] == "b"] == [one for one in alone if one]


@pytest.mark.parametrize(
    ("fields", "share"), [({"holdout": 0.2}, 0.8), ({"exposed": 0.3}, 0.3), ({}, 1.0)]
)
def test_units_held_out_or_not_yet_exposed_are_in_no_experiment(
    fields: dict[str, Any], share: float
):
    taken = [one for one in arms(make_route(**fields)) if one]

    # Four standard errors at most.
    assert len(taken) / len(UNITS) == pytest.approx(share, abs=4 * (0.25 / len(UNITS)) ** 0.5)


def test_the_propensity_is_that_of_the_exposed_part():
    found = [traffic.choose(prepared(make_route(exposed=0.3)), unit) for unit in UNITS]

    assert {one.propensity for one in found if one} == {0.15}


def test_the_control_answers_every_unit_of_a_shadow():
    ready = prepared(make_route(mode="shadow"))

    found = [traffic.choose(ready, unit) for unit in UNITS]

    assert {(one.arm, one.propensity) if one else None for one in found} == {(CONTROL, 1.0)}


def test_a_shadow_takes_no_unit_that_is_not_exposed():
    assert None in arms(make_route(mode="shadow", exposed=0.3))


def test_a_tester_gets_the_arm_asked_for_and_is_not_counted():
    found = traffic.force(prepared(make_route()), "treatment")

    assert (found.arm, found.version, found.propensity) == ("treatment", "1.1.0", 0.0)
    assert found.is_forced


def test_a_tester_may_name_the_experiment():
    ready = prepared(make_route("a", namespace_range=LEFT), make_route("b", namespace_range=RIGHT))

    assert traffic.force(ready, "control").route.experiment == "a"
    assert traffic.force(ready, "b/control").route.experiment == "b"


@pytest.mark.parametrize("asked", ["", "/", "stranger", "b/treatment", "exp-1/", "exp-1/stranger"])
def test_an_arm_that_nobody_has_is_refused(asked: str):
    with pytest.raises(UnknownArm):
        traffic.force(prepared(make_route()), asked)


def test_an_arm_asked_for_is_repeated_only_in_part():
    with pytest.raises(UnknownArm) as refused:
        traffic.force(prepared(), "x" * 10_000)

    assert len(refused.value.detail) < 200


def test_after_an_arm_is_taken_out_its_units_are_dealt_to_the_others():
    before = running(3)
    after = lifecycle.reshare(before, lifecycle.without(before, "second"), now=STARTED)

    old, new = (arms(lifecycle.route_of(one, holdout=0.0)) for one in (before, after))

    moved = {was[1] for was, now in zip(old, new, strict=True) if was and now and was != now}
    assert moved == {"second"}
    assert ("exp_1", "second") not in new
