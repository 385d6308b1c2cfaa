"""Time to assign a unit to an arm, beside two public recipes that do the same.
Run as `python -m bench.assignment`; exits with 1 when the floor is missed.
Every contestant turns the text of a unit into one of four arms; none writes or reads anything."""

import gc
import hashlib
import sys
import time
from bisect import bisect_right
from collections.abc import Callable

from chalicelib.experiments.assignment import apportion, assign, hash_unit, make_plan

FLOOR_US = 1.5
"""Most time of one assignment in an experiment that has its namespace to itself."""
UNITS = 2_000
ROUNDS = 60
SHARES = {"champion": 0.4, "a": 0.3, "b": 0.2, "c": 0.1}
ARMS = tuple(SHARES)
ENDS = (0.4, 0.7, 0.9)
OURS = "ours"
PLAN = make_plan(experiment="exp_7", salt_version=1, segments=apportion(SHARES))
NARROW = make_plan(
    experiment="exp_7",
    salt_version=1,
    segments=apportion(SHARES),
    exposed=0.5,
    namespace="checkout",
    owned=(0.05, 1.0),
    holdout=0.05,
)
Contestant = Callable[[str], object]


def sha1_15_hex(unit: str) -> str:
    """The recipe of PlanOut: sixty bits of sha1 over their largest number."""
    digest = hashlib.sha1(f"checkout.exp_7.{unit}".encode()).hexdigest()
    return ARMS[bisect_right(ENDS, int(digest[:15], 16) / 0xFFFFFFFFFFFFFFF)]


def md5_10_000(unit: str) -> str:
    """The recipe of Eppo's SDKs: thirty-two bits of md5, in 10,000 shards."""
    digest = hashlib.md5(f"exp_7-{unit}".encode()).hexdigest()
    return ARMS[bisect_right(ENDS, int(digest[:8], 16) % 10_000 / 10_000)]


CONTESTANTS: dict[str, Contestant] = {
    OURS: lambda unit: assign(PLAN, unit),
    "ours, holdout and namespace": lambda unit: assign(NARROW, unit),
    "sha1, 15 hex (PlanOut)": sha1_15_hex,
    "md5, 10,000 shards (Eppo)": md5_10_000,
    "blake2b, keyed unit hash": lambda unit: hash_unit(b"k" * 32, unit),
}


def main() -> int:
    best_us = measure()
    print(f"us a unit, best of {ROUNDS} rounds of {UNITS} units, in turns, with the calling loop")
    for name, us in best_us.items():
        print(f"  {name:<28} {us:6.3f}   {us / best_us[OURS]:5.2f} x ours")
    print(f"  floor: at most {FLOOR_US} us for {OURS!r}")
    return int(best_us[OURS] > FLOOR_US)


def measure() -> dict[str, float]:
    units = [hash_unit(b"k" * 32, f"user-{number}") for number in range(UNITS)]
    best_us = dict.fromkeys(CONTESTANTS, float("inf"))
    gc.disable()
    for _ in range(ROUNDS):
        for name, contestant in CONTESTANTS.items():
            best_us[name] = min(best_us[name], _time_us(contestant, units))
    return best_us


def _time_us(contestant: Contestant, units: list[str]) -> float:
    started_ns = time.perf_counter_ns()
    for unit in units:
        contestant(unit)
    return (time.perf_counter_ns() - started_ns) / 1_000 / len(units)


if __name__ == "__main__":
    sys.exit(main())
