"""The clock by itself, with real time given.
No sleep here."""

from localcloud.sagemaker.clock import Clock, ClockState, Turn


def test_a_frozen_clock_moves_only_by_advance():
    clock = Clock(ClockState(), real_now=iter([100.0, 200.0]).__next__)

    clock.turn(Turn(is_frozen=True))
    clock.turn(Turn(advance_s=5))

    assert clock.now() == 105.0


def test_an_unfrozen_clock_goes_on_from_where_it_stood():
    clock = Clock(ClockState(frozen_at=50.0), real_now=lambda: 1000.0)

    clock.turn(Turn(is_frozen=False))

    assert clock.now() == 50.0
    assert clock.state.offset_s == -950.0


def test_a_stopped_clock_lets_nobody_wait():
    clock = Clock(ClockState(frozen_at=50.0))

    clock.stop()

    assert clock.wait_until(60.0) is False
