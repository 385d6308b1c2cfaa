"""Shares that follow the outcomes, and what may still be said of arms that got such shares.
No share is put to use here; when shares change is the life cycle's part."""

from collections.abc import Mapping, Sequence
from math import inf, sqrt

from chalicelib.experiments.analysis import estimates
from chalicelib.experiments.analysis.estimates import (
    Evidence,
    Margin,
    Reading,
    Score,
    Sign,
    SixByPhase,
)
from chalicelib.experiments.counting.sums import Six, Sums
from chalicelib.experiments.lifecycle import challengers_left, metric_of
from chalicelib.experiments.model import CONCLUDED, CONTROL, Experiment
from chalicelib.stats import allocation, sequences
from chalicelib.stats.allocation import Batch
from chalicelib.stats.answers import Inconclusive, Interval
from chalicelib.stats.comparison import Estimate
from chalicelib.stats.normal import two_sided_p, upper_quantile
from chalicelib.stats.sequences import effective_units

FLOOR = 0.05
LEAST_OF_BATCH = 2
"""Units of each arm in a batch that counts."""
TUNED_FOR_BATCHES = 12
"""Where a bandit's sequences are tightest: fixed for all bandits, in batches."""


def next_shares(experiment: Experiment, sums: Sums) -> dict[str, float]:
    """By arm: its chance to be the best by the primary metric, lifted to the floor; they sum to 1.

    An arm's mean is over phases, each weighted by the units of all arms, so that a change of the
    times is not taken for one of the arm. Its variance is at least that of all arms together: two
    units that happen to agree do not make an arm certain.
    """
    name = experiment.definition.primary
    metric = metric_of(experiment, name)
    reading = estimates.reading_of(metric, covariate=False)
    arms = [CONTROL, *_challengers(experiment)]
    by_phase: dict[int, dict[str, Six]] = {}
    for (arm, phase), cell in sorted(sums.items(), key=lambda item: item[0]):
        if arm in arms and name in cell.metrics:
            by_phase.setdefault(phase, {})[arm] = cell.metrics[name]
    found = [_mean(arm, by_phase, reading) for arm in arms]
    sign = 1.0 if metric.better == "higher" else -1.0
    shares = allocation.thompson_shares(
        [sign * mean for mean, _ in found], [variance for _, variance in found], floor=FLOOR
    )
    return dict(zip(arms, shares, strict=True))


def closed_phases(experiment: Experiment) -> frozenset[int]:
    """Those that get no more units: to look inside a batch is to look at it more than once."""
    numbers = [phase.number for phase in experiment.phases]
    return frozenset(numbers if experiment.state in CONCLUDED else numbers[:-1])


def evidence(
    control: SixByPhase,
    treatment: SixByPhase,
    reading: Reading,
    *,
    sign: Sign,
    margin: Margin,
    alpha: float,
) -> Evidence | Inconclusive:
    """Of the sums of closed phases.

    An arm that was unlucky early gets few units and stays unlucky: neither the fixed test nor the
    sequence of all sums is valid. But each closed phase is a batch with shares fixed at its start;
    its z is standard normal whatever came before, so their sum is a martingale
    (`allocation.batched_z`), and the sequence's clock g goes by batches.
    """
    found = estimates.contrast(control, treatment, reading, least=LEAST_OF_BATCH)
    if isinstance(found, Inconclusive):
        return Inconclusive("no-usable-batch")
    plain = batches(found.parts, estimates.scores(found, sign=sign))
    shifted = batches(found.parts, estimates.scores(found, sign=sign, margin=margin))
    z, above = allocation.batched_z(plain), allocation.batched_z(shifted)
    if isinstance(z, Inconclusive) or isinstance(above, Inconclusive):
        return Inconclusive("no-usable-batch")
    g = sequences.information_ratio(z.batches, tuned_for_units=TUNED_FOR_BATCHES, alpha=alpha)
    once, always = (
        _unsigned(interval(plain, critical=critical), sign)
        for critical in (upper_quantile(0.5 * alpha), sequences.critical(g, alpha=alpha))
    )
    return Evidence(z=z.z, above=above.z, g=g, p=two_sided_p(z.z), at_one_look=once, always=always)


def batches(parts: Sequence[Estimate], by_part: Sequence[Score]) -> list[Batch]:
    """Of the closed phases; by_part: what is scored of each."""
    return [
        Batch(
            control_n=part.control_n,
            control_mean=0.0,
            treatment_n=part.treatment_n,
            treatment_mean=score.difference,
            variance=score.variance * effective_units(part.control_n, part.treatment_n),
        )
        for part, score in zip(parts, by_part, strict=True)
    ]


def interval(found: Sequence[Batch], *, critical: float) -> Interval:
    """The differences, the same in every batch, whose batched z is within the critical one.

    found: at least one batch with a variance, in none of which an arm is empty.
    """
    usable = [batch for batch in found if batch.variance > 0.0]
    weights = [
        sqrt(effective_units(batch.control_n, batch.treatment_n) / batch.variance)
        for batch in usable
    ]
    scale = sum(weights)
    middle = sum(
        weight * (batch.treatment_mean - batch.control_mean)
        for weight, batch in zip(weights, usable, strict=True)
    )
    half = critical * sqrt(len(usable)) / scale
    return Interval(middle / scale - half, middle / scale + half)


def _unsigned(found: Interval, sign: Sign) -> Interval:
    return found if sign > 0 else Interval(-found.high, -found.low)


def _challengers(experiment: Experiment) -> list[str]:
    """One that was taken out gets no share again."""
    if not experiment.phases:
        return [one.name for one in experiment.definition.challengers]
    return challengers_left(experiment)


def _mean(
    arm: str, by_phase: Mapping[int, Mapping[str, Six]], reading: Reading
) -> tuple[float, float]:
    """The arm's mean and the mean's variance; infinite with fewer than two units."""
    weight = value = variance = 0.0
    for sixes in by_phase.values():
        found = estimates.mean_of(sixes[arm], reading) if arm in sixes else None
        if found is None or isinstance(found, Inconclusive):
            continue
        together = estimates.mean_of(estimates.total(sixes.values()), reading)
        spread = 0.0 if isinstance(together, Inconclusive) else together.variance * together.n
        units = sum(six[0] for six in sixes.values())
        weight += units
        value += units * found.value
        variance += units * units * max(found.variance, spread / found.n)
    return (value / weight, variance / weight / weight) if weight else (0.0, inf)
