"""Folding ten million outcomes of a hundred thousand units into sums, and reading the sums.
Run as `python -m bench.fold`; exits with 1 when a floor is missed.
Units come for a while and go; how fast units in any order are is told too, for it is memory that
the fold waits for. Dice are thrown while no clock runs.
The peer is a plain loop of Welford updates in a dict by arm and unit: it keeps mean and variance
of outcomes, but no exact sums, no exposures, and not which arm or prediction was a unit's first."""

import functools
import gc
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator

from chalicelib.experiments.counting import sums
from chalicelib.experiments.counting.fold import ONE, Entry, Tally, make_counting
from chalicelib.experiments.counting.sums import Sums
from chalicelib.experiments.events import SCALE
from chalicelib.registry.metrics import BUILT_IN
from chalicelib.stats.moments import moments

FLOOR_PER_S = 1_000_000
"""Least outcomes a second of CPU."""
MOST_GROWTH = 1.5
"""Of the time from kept sums to moments, and of memory, when outcomes are a thousand, or ten, times
as many."""
UNITS = 100_000
ACTIVE = 5_000
"""Units that outcomes come from at one time."""
CHUNK = 1_000
"""Ten messages of a hundred events."""
FEW, SOME, MANY = 1_000, 1_000_000, 10_000_000
ARMS = ("control", "treatment")
METRIC = "quality_score"
SHARDS = 16
READS = 200
Add = Callable[[list[Entry]], None]


def main() -> int:
    gc.disable()  # nothing here is cyclic; collections would be timed with what made them due
    read_us = {FEW: _reading_us(_folded(FEW))}
    tally, rates, peak_mib = _exposed(), dict[str, list[float]](), dict[int, float]()
    ours = rates["ours"] = []
    for number, chunk in enumerate(_outcomes(MANY), start=1):
        ours.append(_rate(tally.add, chunk))
        if number * CHUNK == SOME:
            peak_mib[SOME] = _peak_mib()
    peak_mib[MANY] = _peak_mib()
    started = time.process_time()
    found = tally.sums()
    summing_s = time.process_time() - started
    assert sum(cell.metrics[METRIC][0] for cell in found.values()) == UNITS
    read_us[MANY] = _reading_us(found)
    rates["ours, any order"] = [_rate(tally.add, one) for one in _outcomes(SOME, active=UNITS)]
    for name, active in (("Welford", ACTIVE), ("Welford, any order", UNITS)):
        add = functools.partial(_welford, {})
        rates[name] = [_rate(add, chunk) for chunk in _outcomes(SOME, active=active)]
    return _report(rates, read_us, peak_mib, summing_s)


def _report(
    rates: dict[str, list[float]],
    read_us: dict[int, float],
    peak_mib: dict[int, float],
    summing_s: float,
) -> int:
    reading, memory = read_us[MANY] / read_us[FEW], peak_mib[MANY] / peak_mib[SOME]
    print(f"{MANY:,} outcomes of {UNITS:,} units, {CHUNK:,} at a time, CPU time")
    print("million outcomes a second   overall   best tenth of the chunks")
    for name, found in rates.items():
        print(f"  {name:<24} {_overall(found) / 1e6:9.2f} {_best(found) / 1e6:12.2f}")
    print(f"  floor: at least {FLOOR_PER_S / 1e6} for 'ours' overall")
    print(f"  and {summing_s:.2f} s from units to sums, once at the end")
    print(f"from {SHARDS} kept shards to moments, median of {READS}")
    for events, us in read_us.items():
        print(f"  after {events:>11,}  {us:8.1f} us")
    print(f"  growth {reading:.2f} x (floor: at most {MOST_GROWTH})")
    print("peak memory of the process")
    for events, mib in peak_mib.items():
        print(f"  after {events:>11,}  {mib:8.1f} MiB")
    print(f"  growth {memory:.2f} x (floor: at most {MOST_GROWTH})")
    is_slow = _overall(rates["ours"]) < FLOOR_PER_S
    return int(is_slow or max(reading, memory) > MOST_GROWTH)


def _folded(outcomes: int) -> Sums:
    tally = _exposed()
    for chunk in _outcomes(outcomes):
        tally.add(chunk)
    return tally.sums()


def _exposed() -> Tally:
    tally = Tally(make_counting([BUILT_IN[METRIC], BUILT_IN["error_rate"]]))
    requests = (("requests", SCALE + ONE),)
    for number in range(UNITS):
        at_ms, nonce = 1_000 + number, f"exposure-{number}"
        origin = (at_ms, nonce, ARMS[number % 2], 0)
        tally.add([(_unit(number), origin, requests, ((at_ms, nonce, 0, ""), False))])
    return tally


def _outcomes(many: int, *, active: int = ACTIVE) -> Iterator[list[Entry]]:
    dice = random.Random(1)
    for start in range(0, many, CHUNK):
        numbers = range(start, min(start + CHUNK, many))
        yield [_outcome(dice, number, number * UNITS // many, active) for number in numbers]


def _outcome(dice: random.Random, number: int, oldest: int, active: int) -> Entry:
    unit = (oldest + int(dice.random() * active)) % UNITS
    origin = (10_000_000 + number, f"nonce-{number}", ARMS[unit % 2], 0)
    value = (1 + int(dice.random() * 5)) * SCALE
    return _unit(unit), origin, ((METRIC, value + ONE),), None


def _unit(number: int) -> str:
    return f"{number:032x}"


def _rate(add: Add, chunk: list[Entry]) -> float:
    started_ns = time.process_time_ns()
    add(chunk)
    return len(chunk) * 1e9 / (time.process_time_ns() - started_ns)


def _overall(rates: list[float]) -> float:
    """Of chunks of one size."""
    return len(rates) / sum(1 / rate for rate in rates)


def _best(rates: list[float]) -> float:
    ordered = sorted(rates)
    return ordered[len(ordered) * 9 // 10]


def _welford(by_unit: dict[tuple[str, str, str], list[float]], chunk: list[Entry]) -> None:
    for unit, (_, _, arm, _), ticks, _ in chunk:
        for name, value in ticks:
            key = (arm, unit, name)
            state = by_unit.get(key)
            if state is None:
                state = by_unit[key] = [0.0, 0.0, 0.0]
            outcome = (value - ONE) / SCALE
            state[0] += 1.0
            distance = outcome - state[1]
            state[1] += distance / state[0]
            state[2] += distance * (outcome - state[1])


def _reading_us(found: Sums) -> float:
    """What an analysis does with the rows that one query brings, without the query."""
    rows = [(key, sums.dump(cell)) for key, cell in found.items() for _ in range(SHARDS)]
    spent: list[float] = []
    for _ in range(READS):
        started_ns = time.perf_counter_ns()
        merged: Sums = {}
        for key, doc in rows:
            sums.merge(merged, {key: sums.load(doc)})
        for cell in sums.cells(merged).values():
            for n, sy, syy, *_ in cell.metrics.values():
                moments(n, sy, syy, scale=SCALE)
        spent.append((time.perf_counter_ns() - started_ns) / 1_000)
    return sorted(spent)[READS // 2]


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
