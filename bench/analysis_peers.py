"""Times the peers of bench/analysis_from_sums.py, in their own environment; answers JSON.
Run by it only, and asked on standard input; imports nothing of ours."""

import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any


def main() -> None:
    """First line in: the sums. Then a peer's name on each line asks for one round of it."""
    warnings.simplefilter("ignore")
    asked = json.loads(sys.stdin.readline())
    peers = {"gbstats": gbstats, "spotify-confidence": spotify}
    made = {name: make(asked["control"], asked["treatment"]) for name, make in peers.items()}
    for line in sys.stdin:
        call, read = made[line.strip()]
        calls = asked["calls"][line.strip()]
        start_s = time.perf_counter()
        for _ in range(calls):
            found = call()
        us = (time.perf_counter() - start_s) / calls * 1e6
        print(json.dumps({"us": us, "says": read(found)}), flush=True)


def gbstats(control: list[float], treatment: list[float]) -> tuple[Callable[[], Any], Any]:
    """From statistics made anew, as ours are: the count, the sum, the sum of squares."""
    tests = import_module("gbstats.frequentist.tests")
    mean = import_module("gbstats.models.statistics").SampleMeanStatistic
    config = tests.FrequentistConfig(difference_type="absolute", alpha=0.05)

    def call() -> Any:
        return tests.TwoSidedTTest(mean(*control), mean(*treatment), config).compute_result()

    return call, lambda found: {
        "difference": found.expected,
        "interval": found.ci,
        "p": found.p_value,
    }


def spotify(control: list[float], treatment: list[float]) -> tuple[Callable[[], Any], Any]:
    """From a test made beforehand, which is not timed."""
    frame = import_module("pandas").DataFrame(
        [["control", *control], ["treatment", *treatment]], columns=["arm", "n", "sum", "squares"]
    )
    test = import_module("spotify_confidence").ZTest(
        frame,
        numerator_column="sum",
        numerator_sum_squares_column="squares",
        denominator_column="n",
        categorical_group_columns="arm",
    )

    def read(found: Any) -> dict[str, Any]:
        row = found.iloc[0]
        interval = [row["ci_lower"], row["ci_upper"]]
        return {"difference": row["difference"], "interval": interval, "p": row["p-value"]}

    return lambda: test.difference(level_1="control", level_2="treatment"), read


if __name__ == "__main__":
    main()
