"""Thompson shares against closed forms, and the batched statistic against its formula."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from chalicelib.stats.allocation import Batch, BatchedZ, batched_z, thompson_shares
from chalicelib.stats.answers import Inconclusive

arms = st.lists(
    st.tuples(st.floats(-100.0, 100.0), st.one_of(st.just(math.inf), st.floats(0.0, 1e4))),
    min_size=1,
    max_size=5,
)
floors = st.sampled_from([0.0, 0.01, 0.05, 0.2])


def make_batch(**changes: float) -> Batch:
    values = {
        "control_n": 40,
        "control_mean": 0.5,
        "treatment_n": 60,
        "treatment_mean": 0.6,
        "variance": 0.25,
    }
    return Batch(**{**values, **changes})  # type: ignore[arg-type]


def test_two_arms_share_by_the_normal_chance():
    shares = thompson_shares([0.10, 0.12], [0.0001, 0.0003], floor=0.0)

    assert shares == pytest.approx(stats.norm.cdf([-1.0, 1.0]), abs=1e-12)


def test_three_arms_share_by_the_integral():
    means, sds = [0.0, 0.3, 0.1], [1.0, 0.02, 0.4]

    def best(arm: int, x: float) -> float:
        others = [k for k in range(3) if k != arm]
        chance = math.prod(stats.norm.cdf(x, means[k], sds[k]) for k in others)
        return float(stats.norm.pdf(x, means[arm], sds[arm]) * chance)

    expected = [
        integrate.quad(lambda x, arm=arm: best(arm, x), -7, 7, points=[0.2, 0.3, 0.4])[0]
        for arm in range(3)
    ]

    assert thompson_shares(means, [sd * sd for sd in sds], floor=0.0) == pytest.approx(
        expected, abs=1e-5
    )


@given(arms, floors)
def test_shares_add_up_to_one_and_keep_the_floor(found: list[tuple[float, float]], floor: float):
    shares = thompson_shares(*zip(*found, strict=True), floor=floor)

    assert sum(shares) == pytest.approx(1.0, abs=1e-12)
    assert min(shares) >= min(floor, 1.0 / len(found)) - 1e-12


@given(st.lists(st.floats(-10.0, 10.0), min_size=2, max_size=5), floors)
def test_equally_known_arms_share_in_the_order_of_their_means(means: list[float], floor: float):
    shares = thompson_shares(means, [0.3] * len(means), floor=floor)

    for (mean, share), (other_mean, other_share) in itertools.permutations(
        zip(means, shares, strict=True), 2
    ):
        assert mean < other_mean or share >= other_share - 1e-9


@given(arms, st.floats(-1e3, 1e3))
def test_an_offset_of_all_means_changes_nothing(found: list[tuple[float, float]], offset: float):
    means, variances = zip(*found, strict=True)
    moved = [mean + offset for mean in means]

    # To the rounding of the moved means, which matters to arms known exactly.
    known = [max(variance, 1e-9) for variance in variances]
    assert thompson_shares(moved, known) == pytest.approx(thompson_shares(means, known), abs=1e-6)


def test_arms_without_data_have_an_equal_chance():
    shares = thompson_shares([0.2, 0.0, 0.1, 0.0], [1e-6, math.inf, 1e-6, math.inf], floor=0.0)

    assert shares == pytest.approx((0.5, 0.25, 0.0, 0.25), abs=1e-12)


@pytest.mark.parametrize("variances", [[0.0] * 3, [math.inf] * 3], ids=["exact", "unknown"])
def test_arms_that_nothing_tells_apart_share_equally(variances: list[float]):
    assert thompson_shares([2.0] * 3, variances) == pytest.approx((1 / 3,) * 3, abs=1e-15)


def test_an_arm_known_exactly_to_be_best_takes_all_but_the_floor():
    assert thompson_shares([1.0, 2.0, 3.0], [0.0] * 3) == pytest.approx((0.05, 0.05, 0.9))


def test_more_arms_than_the_floor_has_room_for_share_equally():
    assert thompson_shares(list(range(20)), [1.0] * 20, floor=0.05) == (0.05,) * 20


def test_a_share_is_the_floor_plus_its_part_of_the_rest():
    raw = thompson_shares([0.0, 1.0, 0.5], [1.0] * 3, floor=0.0)

    shares = thompson_shares([0.0, 1.0, 0.5], [1.0] * 3, floor=0.1)

    assert shares == pytest.approx([0.1 + 0.7 * share for share in raw], abs=1e-12)


def test_the_batched_statistic_weighs_batches_equally():
    batches = [make_batch(), make_batch(control_n=5, treatment_n=95, treatment_mean=0.4)]

    # Zhang, Janson, Murphy 2020: sqrt(40 60/100) .1/.5 and sqrt(5 95/100) (-.1)/.5, over sqrt 2.
    expected = (math.sqrt(24.0) * 0.2 - math.sqrt(4.75) * 0.2) / math.sqrt(2.0)
    assert batched_z(batches) == BatchedZ(pytest.approx(expected), 2)


@pytest.mark.parametrize(
    "useless", [{"control_n": 0}, {"treatment_n": 0}, {"variance": 0.0}], ids=str
)
def test_a_batch_that_compares_nothing_is_left_out(useless: dict[str, float]):
    assert batched_z([make_batch(), make_batch(**useless)]) == batched_z([make_batch()])


def test_without_a_usable_batch_there_is_no_answer():
    assert batched_z([]) == Inconclusive("no-usable-batch")
    assert batched_z([make_batch(control_n=0)]) == Inconclusive("no-usable-batch")
