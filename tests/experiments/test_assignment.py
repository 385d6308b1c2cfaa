"""Hashing units and dealing them: even, independent of every other experiment, the same everywhere.
How shares, ramps and namespaces move units is in test_assignment_moves."""

import hashlib
import itertools
import random
import subprocess
import sys
import uuid
import zlib
from bisect import bisect_right
from collections.abc import Callable, Mapping
from operator import eq
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from chalicelib.experiments.assignment import Plan, apportion, assign, hash_unit, make_plan

ROOT = Path(__file__).resolve().parents[2]
KEY = b"k" * 32
HALVES = {"champion": 0.5, "rival": 0.5}
UNITS = [hash_unit(KEY, f"user-{number}") for number in range(10_000)]
_random = random.Random(20_260_207)
# Dealt as they are: their keyed hashes would hide how well the dealing itself mixes.
UNITS_BY_STYLE = {
    "sequential numbers": [str(number) for number in range(10_000)],
    "uuids": [str(uuid.UUID(int=_random.getrandbits(128), version=4)) for _ in range(10_000)],
    "emails": [f"user.{number}@example.com" for number in range(10_000)],
}
SALTS = [f"exp_{number}" for number in range(21)]
Dealer = Callable[[str, str], int]


def _plan(shares: Mapping[str, float] = HALVES, **given: object) -> Plan:
    asked: dict[str, object] = {"experiment": "exp_7", "salt_version": 1, **given}
    return make_plan(**{"segments": apportion(shares), **asked})  # type: ignore[arg-type]


def _arms(plan: Plan, units: list[str] = UNITS) -> dict[str, str]:
    """Arm by unit, of those that are in the experiment."""
    found = {unit: assign(plan, unit) for unit in units}
    return {unit: assigned.arm for unit, assigned in found.items() if assigned}


# What a unit's hash is


def test_a_unit_hash_is_keyed_blake2b_in_sixteen_letters():
    digest = hashlib.blake2b(b"user-1", digest_size=12, key=KEY).digest()
    bits = int.from_bytes(digest, "big")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    expected = "".join(letters[bits >> (6 * place) & 63] for place in range(15, -1, -1))

    assert hash_unit(KEY, "user-1") == expected


@pytest.mark.parametrize("unit", ["", "ünïcödé-用户-🙂", "\ud800", "\x00", "u" * 1_000_000])
def test_any_text_is_a_unit(unit: str):
    unit_hash = hash_unit(KEY, unit)

    assert len(unit_hash) == 16
    assert assign(_plan(), unit_hash) is not None


def test_another_key_gives_another_hash():
    assert hash_unit(KEY, "user-1") != hash_unit(b"j" * 32, "user-1")


@pytest.mark.parametrize("key", [b"", b"k" * 65])
def test_a_key_that_would_not_keep_units_secret_is_refused(key: bytes):
    with pytest.raises(ValueError, match="key"):
        hash_unit(key, "user-1")


# Even and independent


def _ours(arms: int) -> Dealer:
    segments = apportion({f"arm_{number:02}": 1 / arms for number in range(arms)})
    plans: dict[str, Plan] = {}

    def deal(salt: str, unit: str) -> int:
        if salt not in plans:
            plans[salt] = make_plan(experiment=salt, salt_version=1, segments=segments)
        assigned = assign(plans[salt], unit)
        assert assigned is not None
        return int(assigned.arm[-2:])

    return deal


def _crc32(arms: int) -> Dealer:
    return lambda salt, unit: zlib.crc32(f"{unit}.{salt}".encode()) * arms >> 32


def _dealt(deal: Dealer, style: str) -> dict[str, np.ndarray]:
    units = UNITS_BY_STYLE[style]
    return {salt: np.array([deal(salt, unit) for unit in units]) for salt in SALTS}


def _pair_p_values(dealt: Mapping[str, np.ndarray]) -> list[float]:
    """p of the chi-square test of independence of a 10x10 table, for each pair of salts."""
    found: list[float] = []
    for one, other in itertools.combinations(dealt.values(), 2):
        table = np.bincount(one * 10 + other, minlength=100).reshape(10, 10)
        expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
        found.append(stats.chi2.sf(((table - expected) ** 2 / expected).sum(), 81))
    return found


def _is_rarely_small(p_values: list[float]) -> bool:
    """No more p < .001 than independence gives in all but one of 10,000 runs of this size."""
    small = sum(p < 0.001 for p in p_values)
    return small <= stats.binom.ppf(0.9999, len(p_values), 0.001)


@pytest.mark.parametrize("style", sorted(UNITS_BY_STYLE))
def test_every_twentieth_of_the_points_gets_a_twentieth_of_the_units(style: str):
    dealt = _dealt(_ours(20), style)

    p_values = [stats.chisquare(np.bincount(arms, minlength=20)).pvalue for arms in dealt.values()]

    assert _is_rarely_small(p_values)
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


@pytest.mark.parametrize("style", sorted(UNITS_BY_STYLE))
def test_the_arm_in_one_experiment_says_nothing_about_the_arm_in_another(style: str):
    p_values = _pair_p_values(_dealt(_ours(10), style))

    assert len(p_values) == 210
    assert _is_rarely_small(p_values)


@pytest.mark.parametrize("style", sorted(UNITS_BY_STYLE))
def test_the_test_of_independence_finds_out_a_checksum(style: str):
    p_values = _pair_p_values(_dealt(_crc32(10), style))

    assert not _is_rarely_small(p_values)


def test_another_salt_version_deals_all_units_anew():
    once, again = _plan(salt_version=1), _plan(salt_version=2)

    same = sum(assign(once, unit) == assign(again, unit) for unit in UNITS)

    assert stats.binomtest(same, len(UNITS), 0.5).pvalue > 0.001


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("exp_7", 1, "2"), ("exp_7", 12, "")),
        (("exp_7", 12, ""), ("exp_71", 2, "")),
        (("exp_7", 1, "user"), ("exp_71user", 1, "")),
    ],
)
def test_a_letter_that_moves_to_the_next_part_deals_anew(
    one: tuple[str, int, str], other: tuple[str, int, str]
):
    def arms(experiment: str, salt_version: int, before: str) -> list[object]:
        plan = _plan(experiment=experiment, salt_version=salt_version)
        return [assign(plan, before + unit) for unit in UNITS]

    same = sum(map(eq, arms(*one), arms(*other)))

    assert stats.binomtest(same, len(UNITS), 0.5).pvalue > 0.001


def test_namespace_holdout_and_arm_are_drawn_apart_even_under_one_name():
    name = "checkout"
    inside = _plan(experiment=name, namespace=name, owned=(0.0, 0.5), holdout=0.5)

    arms = list(_arms(inside).values())

    assert stats.binomtest(len(arms), len(UNITS), 0.25).pvalue > 0.001
    assert stats.binomtest(arms.count("champion"), len(arms), 0.5).pvalue > 0.001


# The same everywhere

THREE = {"champion": 0.5, "a": 0.3, "b": 0.2}
GOLDEN = {
    "user-1": "a",
    "user-2": "a",
    "user-3": "b",
    "user-4": "champion",
    "user-5": "b",
    "user-6": "champion",
    "user-7": "a",
    "user-8": "champion",
}
"""Arm by unit in exp_7, salt version 12, by a script of hashlib calls that follows the layout in
the docstring of `assignment` and imports nothing of ours (Python 3.11, 2026-11-21)."""


def _documented_point(unit_hash: str, *parts: str) -> int:
    """The layout in the module's docstring, written out: a number of 0 up to 2**64."""
    written = b"".join(len(part).to_bytes(4, "big") + part.encode() for part in parts)
    digest = hashlib.blake2b(written + unit_hash.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _documented_arm(unit_hash: str) -> str | None:
    if _documented_point(unit_hash, "holdout", "checkout") < 0.1 * 2**64:
        return None
    if not 0.25 * 2**64 <= _documented_point(unit_hash, "namespace", "checkout") < 0.75 * 2**64:
        return None
    point = _documented_point(unit_hash, "arm", "exp_7", "12")
    return list(THREE)[bisect_right([0.5 * 2**64, 0.8 * 2**64], point)]


def test_assignment_follows_the_documented_bytes():
    plan = _plan(THREE, salt_version=12, namespace="checkout", owned=(0.25, 0.75), holdout=0.1)

    documented = {unit: _documented_arm(unit) for unit in UNITS}

    assert _arms(plan) == {unit: arm for unit, arm in documented.items() if arm}


def test_assignments_that_were_given_once_are_given_for_ever():
    plan = _plan(THREE, salt_version=12)

    found = _arms(plan, [hash_unit(KEY, unit) for unit in GOLDEN])

    assert list(found.values()) == list(GOLDEN.values())


def test_the_first_and_the_last_point_belong_to_arms():
    _, _, cuts, answers = _plan()

    ends = [answers[bisect_right(cuts, digest)] for digest in (b"\x00" * 8, b"\xff" * 8)]

    assert [assigned.arm for assigned in ends if assigned] == ["champion", "rival"]


@pytest.mark.parametrize("seed", ["0", "4242"])
def test_another_process_gives_the_same_answers(seed: str):
    code = (
        "from chalicelib.experiments.assignment import *\n"
        "plan = make_plan(experiment='exp_7', salt_version=12,"
        " segments=apportion({'champion': .5, 'a': .3, 'b': .2}))\n"
        f"print(*(assign(plan, hash_unit(b'k' * 32, unit)).arm for unit in {list(GOLDEN)!r}))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.split() == list(GOLDEN.values())
