"""What a model's past says of a metric: its mean and spread, who brings outcomes, who comes again.
Sums are read and nothing else: no plan is made here, and no arm is compared with another."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from chalicelib.experiments import store
from chalicelib.experiments.counting.service import read_sums
from chalicelib.experiments.counting.sums import Cell, CellKey, Six
from chalicelib.experiments.events import SCALE, subject_of_version
from chalicelib.experiments.model import CONTROL, Experiment
from chalicelib.registry.metrics import REQUESTS, Metric
from chalicelib.stats.answers import Inconclusive
from chalicelib.stats.moments import moments, pair_moments

_MOST_EXPERIMENTS = 5
"""The newest ones; older ones tell of other days."""
_TAKEN_AS_MEANS = ("mean", "binary")


class Spread(NamedTuple):
    """Of one unit's value. covariate_r2: the share of the variance that a covariate explains; None
    where none was brought."""

    units: int
    mean: float
    variance: float
    covariate_r2: float | None = None


class Past(NamedTuple):
    """What one source tells; None where it cannot.

    outcome_share: of the units, those with a value. requests_per_unit: over the whole experiment.
    """

    source: str
    spread: Spread | None
    outcome_share: float | None = None
    requests_per_unit: float | None = None


def read(tenant: str, model: str, champion: str | None, metric: Metric) -> list[Past]:
    """The newest experiments first, the champion's own predictions last."""
    mine = (one for one in store.experiments(tenant) if one.model == model)
    found = [past_of_experiment(one, read_sums(tenant, one.id), metric) for one in newest_of(mine)]
    if champion is None:
        return found
    own = read_sums(tenant, subject_of_version(model, champion))
    return [*found, past_of_version(champion, own, metric)]


def fullest(pasts: Iterable[Past]) -> tuple[Past, Spread] | None:
    """The one that rests on most units; of equals, the first."""
    telling = [(past, past.spread) for past in pasts if past.spread is not None]
    return max(telling, key=lambda one: one[1].units, default=None)


def newest_of(experiments: Iterable[Experiment]) -> list[Experiment]:
    """Those that took units, of whichever all count: not only where two answers differ."""
    begun = [
        (one.started_at, one)
        for one in experiments
        if one.started_at is not None and one.definition.mode == "split"
    ]
    begun.sort(key=lambda pair: pair[0], reverse=True)
    return [one for _, one in begun[:_MOST_EXPERIMENTS]]


def past_of_experiment(
    experiment: Experiment, sums: Mapping[CellKey, Cell], metric: Metric
) -> Past:
    """Of its control arm."""
    cells = [cell for (arm, _), cell in sums.items() if arm == CONTROL]
    source = f"experiment {experiment.id}"
    requests = _requests_per_unit(experiment, cells)
    if not any(_is_same(one, metric) for one in experiment.metrics):
        return Past(source, None, requests_per_unit=requests)
    six = _six(cells, metric.name)
    units = sum(cell.units for cell in cells)
    share = min(six[0] / units, 1.0) if units > 0 and six[0] > 0 else None
    return Past(source, spread_of(six, metric), share, requests)


def past_of_version(version: str, sums: Mapping[CellKey, Cell], metric: Metric) -> Past:
    """Of predictions outside of experiments, where only those are counted that have an outcome,
    and every outcome as a mean: of sums and ratios nothing is known."""
    source = f"predictions of version {version}"
    if metric.kind not in _TAKEN_AS_MEANS or metric.counts_absent:
        return Past(source, None)
    return Past(source, spread_of(_six(sums.values(), metric.summed), metric))


def spread_of(six: Six, metric: Metric) -> Spread | None:
    """None where the sums say too little. A ratio's variance is that of the delta method (Deng,
    Knoblich, Lu 2018), times the units."""
    if metric.kind == "ratio":
        return _spread_of_ratio(six)
    found = moments(six[0], six[1], six[2], scale=SCALE)
    if isinstance(found, Inconclusive):
        return None
    return Spread(found.n, found.mean, found.variance, _covariate_r2(six))


def _spread_of_ratio(six: Six) -> Spread | None:
    pair = pair_moments(*six, scale=SCALE)
    if isinstance(pair, Inconclusive) or pair.mean_x == 0.0:
        return None
    ratio = pair.mean_y / pair.mean_x
    variance = pair.var_y - 2.0 * ratio * pair.cov + ratio * ratio * pair.var_x
    return Spread(pair.n, ratio, max(variance, 0.0) / pair.mean_x / pair.mean_x)


def _covariate_r2(six: Six) -> float | None:
    pair = pair_moments(*six, scale=SCALE)
    if isinstance(pair, Inconclusive) or pair.var_x <= 0.0 or pair.var_y <= 0.0:
        return None
    return min(pair.cov * pair.cov / pair.var_x / pair.var_y, 1.0)


def _requests_per_unit(experiment: Experiment, cells: Iterable[Cell]) -> float | None:
    """From any ratio by the number of requests; every experiment has one, its error rate."""
    by_requests = [one.name for one in experiment.metrics if one.denominator == REQUESTS]
    six = _six(cells, by_requests[0]) if by_requests else [0] * 6
    return six[3] / six[0] / SCALE if six[0] > 0 and six[3] > 0 else None


def _six(cells: Iterable[Cell], name: str) -> Six:
    found = [cell.metrics[name] for cell in cells if name in cell.metrics]
    return [sum(column) for column in zip(*found, strict=True)] or [0] * 6


def _is_same(one: Metric, other: Metric) -> bool:
    """Do both make the same value of a unit? Ranges and lags say nothing about that."""
    rules = (
        (found.name, found.kind, found.summed, found.denominator, found.cap, found.counts_absent)
        for found in (one, other)
    )
    return len(set(rules)) == 1
