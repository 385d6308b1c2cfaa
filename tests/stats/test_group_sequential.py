"""Boundaries of planned looks against published tables, multivariate normals and themselves."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chalicelib.stats import group_sequential
from chalicelib.stats.group_sequential import Look, boundary, crossing_probabilities


def equal_looks(count: int) -> list[Look]:
    return [Look(k / count, k / count) for k in range(1, count + 1)]


def going_on(looks: list[Look], bounds: tuple[float, ...], *, drift: float = 0.0) -> float:
    """P(no look crosses) by scipy's multivariate normal distribution."""
    information = [look.information for look in looks]
    covariance = [[math.sqrt(min(i, j) / max(i, j)) for i in information] for j in information]
    mean = [drift * math.sqrt(i) for i in information]
    normal = stats.multivariate_normal(mean, covariance, abseps=1e-7, maxpts=2_000_000, seed=1)
    return float(normal.cdf(list(bounds)))


@st.composite
def any_looks(draw: st.DrawFn) -> list[Look]:
    steps = st.one_of(st.just(0.0), st.floats(0.05, 1.0))
    gains = draw(st.lists(steps, min_size=1, max_size=7))
    times = sorted(draw(st.lists(st.floats(0.0, 1.0), min_size=len(gains), max_size=len(gains))))
    return [Look(s, i) for s, i in zip(times, itertools.accumulate(gains), strict=True)]


def test_five_equal_looks_have_the_published_bounds():
    # Lan-DeMets O'Brien-Fleming-type, two-sided 5 %: R ldbounds and gsDesign print these.
    published = (4.8769, 3.3570, 2.6803, 2.2898, 2.0310)

    assert boundary(equal_looks(5), alpha=0.025) == pytest.approx(published, abs=6e-5)


def test_a_single_look_has_the_textbooks_bound():
    (bound,) = boundary([Look(1.0, 40.0)], alpha=0.025)

    assert bound == pytest.approx(1.959963984540054, abs=1e-12)


@pytest.mark.parametrize("drift", [0.0, 1.5])
def test_unequal_information_gives_what_the_multivariate_normal_gives(drift: float):
    looks = [Look(0.3, 2.0), Look(0.5, 2.3), Look(0.8, 7.0)]
    bounds = boundary(looks, alpha=0.05)

    crossed = crossing_probabilities(looks, bounds, drift=drift)

    for count in (1, 2, 3):
        expected = 1.0 - going_on(looks[:count], bounds[:count], drift=drift)
        assert sum(crossed[:count]) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("looks", [equal_looks(10), equal_looks(25), [Look(1, 3), Look(2, 3.01)]])
def test_a_finer_grid_moves_no_bound(looks: list[Look], monkeypatch: pytest.MonkeyPatch):
    coarse = boundary(looks, alpha=0.025, reserve=0.2)

    # The grid is a constant of the module, and the accuracy of its choice is what is tested here.
    monkeypatch.setattr(group_sequential, "_NODES_PER_SD", 6.0)
    monkeypatch.setattr(group_sequential, "_REACH", 12.0)

    assert boundary(looks, alpha=0.025, reserve=0.2) == pytest.approx(coarse, abs=1e-6)


@given(any_looks(), st.sampled_from([0.005, 0.025, 0.1]))
@settings(max_examples=30, deadline=None)
def test_the_looks_spend_exactly_what_is_allowed_so_far(looks: list[Look], alpha: float):
    bounds = boundary(looks, alpha=alpha)

    crossed = list(itertools.accumulate(crossing_probabilities(looks, bounds, drift=0.0)))

    for look, bound, total in zip(looks, bounds, crossed, strict=True):
        allowed = group_sequential.spent(alpha, look.spending)
        # The grid of the next look is another one: what is passed on is right to a part in 1e7.
        assert total <= allowed + 1e-8
        assert bound == math.inf or total == pytest.approx(allowed, abs=1e-8)


@given(any_looks())
@settings(max_examples=30, deadline=None)
def test_a_bound_never_moves_when_looks_are_added(looks: list[Look]):
    whole = boundary(looks, alpha=0.025)

    for count in range(len(looks)):
        assert boundary(looks[:count], alpha=0.025) == whole[:count]


@pytest.mark.parametrize(
    "silent",
    [Look(0.6, 5.0), Look(0.6, 4.0), Look(0.6, 5.001), Look(0.5, 8.0), Look(0.4, 8.0)],
    ids=["no gain", "a loss", "hardly a gain", "no time passed", "time turned back"],
)
def test_a_look_that_may_spend_nothing_has_an_infinite_bound(silent: Look):
    assert boundary([Look(0.5, 5.0), silent], alpha=0.025)[1] == math.inf


def test_what_a_silent_look_does_not_spend_is_kept_for_the_next():
    heard = [Look(0.5, 5.0), Look(1.0, 10.0)]
    with_a_silent_one = [heard[0], Look(0.7, 5.0), heard[1]]

    assert boundary(with_a_silent_one, alpha=0.025)[2] == boundary(heard, alpha=0.025)[1]


def test_looks_before_any_unit_are_silent():
    assert boundary([Look(0.0, 0.0), Look(0.1, 0.0)], alpha=0.025) == (math.inf, math.inf)
    assert boundary([], alpha=0.025) == ()


@pytest.mark.parametrize("s", [-1.0, 0.0])
def test_nothing_is_spent_before_the_start(s: float):
    assert group_sequential.spent(0.025, s) == 0.0


def test_spending_is_lan_and_demets_function():
    # 2 - 2 Phi(2.2414 / sqrt .5) = 0.00153, as ldbounds prints for two looks.
    assert group_sequential.spent(0.025, 0.5) == pytest.approx(0.00152532, rel=1e-5)
    assert group_sequential.spent(0.025, 1.0) == 0.025


def test_the_reserve_is_spent_in_the_extension_only():
    looks = [*equal_looks(4), Look(1.5, 1.5)]
    bounds = boundary(looks, alpha=0.05, reserve=0.2)

    crossed = crossing_probabilities(looks, bounds, drift=0.0)

    assert sum(crossed[:4]) == pytest.approx(0.04, abs=1e-9)
    assert sum(crossed) == pytest.approx(0.05, abs=1e-9)


def test_a_second_extension_has_nothing_left_to_spend():
    looks = [Look(1.0, 1.0), Look(1.5, 1.5), Look(2.0, 2.0)]

    assert boundary(looks, alpha=0.05, reserve=0.2)[2] == math.inf


def test_without_a_reserve_the_extension_never_rejects():
    assert boundary([Look(1.0, 1.0), Look(2.0, 2.0)], alpha=0.05)[1] == math.inf


@pytest.mark.parametrize("drift", [-40.0, 40.0])
def test_an_extreme_drift_is_decided_at_the_first_look_or_never(drift: float):
    looks = [Look(0.5, 1.0), Look(1.0, 2.0)]

    crossed = crossing_probabilities(looks, boundary(looks, alpha=0.025), drift=drift)

    assert crossed == pytest.approx((1.0, 0.0) if drift > 0.0 else (0.0, 0.0), abs=1e-12)


def test_power_at_no_drift_is_alpha():
    found = group_sequential.power(equal_looks(6), alpha=0.025, drift=0.0)

    assert found == pytest.approx(0.025, abs=1e-9)


def test_power_of_a_single_look_is_the_textbooks():
    found = group_sequential.power([Look(1.0, 1.0)], alpha=0.025, drift=2.8015852)

    assert found == pytest.approx(0.8, abs=1e-7)


def test_predictive_power_is_conditional_power_over_the_plausible_drifts():
    z, information = 1.2, 0.3
    plausible = stats.norm(z / math.sqrt(information), 1.0 / math.sqrt(information))

    def conditional(drift: float) -> float:
        """What is still to come is normal around drift * left (Jennison and Turnbull, 10.2)."""
        left = 1.0 - information
        missing = 2.0 - z * math.sqrt(information)
        return float(stats.norm(drift * left, math.sqrt(left)).sf(missing))

    predictive = group_sequential.predictive_power(
        z, information, horizon_information=1.0, horizon_boundary=2.0
    )
    assert predictive == pytest.approx(plausible.expect(conditional), abs=1e-7)


@pytest.mark.parametrize(("z", "expected"), [(1.99, 0.0), (2.0, 1.0)])
def test_at_the_horizon_power_is_the_fact(z: float, expected: float):
    horizon = {"horizon_information": 1.0, "horizon_boundary": 2.0}

    assert group_sequential.predictive_power(z, 1.0, **horizon) == expected


def test_a_horizon_that_can_never_reject_has_no_power():
    predictive = group_sequential.predictive_power(
        9.0, 0.5, horizon_information=1.0, horizon_boundary=math.inf
    )

    assert predictive == 0.0
