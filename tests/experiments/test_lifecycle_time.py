"""The clock of an experiment, which stands still in a pause, and the steps of its ramp."""

from datetime import datetime, timedelta

import pytest

from chalicelib.experiments import lifecycle
from chalicelib.experiments.lifecycle import EXTENSION
from chalicelib.experiments.model import (
    CONTROL,
    Look,
)
from tests.builders.analyses import DAYS, STARTED, draft, running

HALVES = {CONTROL: 0.5, "treatment": 0.5}


def at(days: float) -> datetime:
    return STARTED + timedelta(days=days)


def test_time_is_counted_from_the_start():
    assert lifecycle.elapsed(running(), at=at(3)) == timedelta(days=3)


def test_a_draft_has_no_time():
    assert lifecycle.elapsed(draft(), at=at(3)) is None


def test_the_clock_stands_still_in_a_pause():
    paused = lifecycle.pause(running(), now=at(2))

    assert lifecycle.elapsed(paused, at=at(9)) == timedelta(days=2)


@pytest.mark.parametrize("is_reshared", [False, True])
def test_a_pause_moves_the_end(is_reshared: bool):
    paused = lifecycle.pause(running(), now=at(2))
    paused = lifecycle.reshare(paused, HALVES, now=at(4)) if is_reshared else paused

    resumed = lifecycle.resume(paused, now=at(7))

    assert resumed.ends_at == at(DAYS + 5)
    assert lifecycle.elapsed(resumed, at=at(8)) == timedelta(days=3)


def test_a_clock_that_goes_back_makes_no_time_in_a_pause():
    paused = lifecycle.pause(running(), now=at(2))

    assert lifecycle.resume(paused, now=at(1)).ends_at == at(DAYS)


def test_an_extension_is_counted_from_the_start_less_pauses():
    resumed = lifecycle.resume(lifecycle.pause(running(), now=at(2)), now=at(7))

    found = lifecycle.extend(resumed, now=at(15))

    assert (found.is_extended, found.ends_at) == (True, at(EXTENSION * DAYS + 5))
    assert lifecycle.elapsed(found, at=at(16)) == timedelta(days=11)


def test_looks_are_kept_in_their_order():
    looks = [Look(number=n, at=at(n), spending=n / 5, information=n / 5) for n in (1, 2)]

    found = running()
    for look in looks:
        found = lifecycle.take_look(found, look, now=look.at)

    assert found.looks == looks


# The ramp


def test_a_ramp_opens_more_of_every_arm():
    one = running(ramp=[0.01, 0.05, 0.5])

    exposed = [one.model_copy(update={"ramp_step": step}).exposed for step in range(4)]

    assert exposed == pytest.approx([0.02, 0.1, 1.0, 1.0])


def test_without_a_ramp_everything_is_open():
    assert running().exposed == 1.0
    assert not lifecycle.is_ramping(running())


@pytest.mark.parametrize(("hours", "step"), [(23.9, None), (24.0, 1), (99.0, 1)])
def test_a_step_lasts_its_time_and_none_is_left_out(hours: float, step: int | None):
    found = lifecycle.next_ramp_step(running(ramp=[0.1, 0.2, 0.5]), now=at(hours / 24))

    assert (found.ramp_step if found else None) == step


def test_a_ramp_ends_at_its_last_step():
    last = running(ramp=[0.1, 0.5]).model_copy(update={"ramp_step": 1})

    assert lifecycle.next_ramp_step(last, now=at(9)) is None
    assert not lifecycle.is_ramping(last)


def test_a_pause_is_no_time_of_a_step():
    paused = lifecycle.pause(running(ramp=[0.1, 0.5]), now=at(0.5))
    resumed = lifecycle.resume(paused, now=at(3))

    assert lifecycle.next_ramp_step(resumed, now=at(3.4)) is None
    assert lifecycle.next_ramp_step(resumed, now=at(3.5)) is not None
