"""One challenger against the control by one metric: all that can be said of it, for the report.
One comparison at a time; what several of them say together is `analysis`'s part."""

from math import isfinite, log, sqrt, ulp
from typing import NamedTuple

from chalicelib.experiments.analysis import bandit, estimates
from chalicelib.experiments.analysis.estimates import (
    Contrast,
    Evidence,
    Margin,
    Reading,
    Score,
    Sign,
    SixByPhase,
)
from chalicelib.experiments.analysis.report import Bounds, Comparison, RoleOfMetric
from chalicelib.experiments.counting.sums import Six
from chalicelib.experiments.model import Experiment
from chalicelib.registry.metrics import Metric
from chalicelib.stats import comparison, posterior, proportions, sequences
from chalicelib.stats.answers import Inconclusive, Interval
from chalicelib.stats.comparison import Estimate, Lift

_LEAST_OF_PHASE = 10
"""Units of each arm that a phase must have to be combined with others."""
_FEW = 200
"""Successes, or failures, of an arm below which a rate's posterior is not taken for a normal."""


class Question(NamedTuple):
    """margin: of a guardrail."""

    metric: Metric
    role: RoleOfMetric
    margin: Margin = Margin()

    @property
    def sign(self) -> Sign:
        return 1 if self.metric.better == "higher" else -1


class Frame(NamedTuple):
    """What is the same for all comparisons of an experiment.

    closed: of a bandit, the phases that get no more units; None where shares do not follow
    outcomes.
    """

    experiment: Experiment
    closed: frozenset[int] | None

    @staticmethod
    def of(experiment: Experiment) -> "Frame":
        is_bandit = experiment.definition.allocation == "bandit"
        return Frame(experiment, bandit.closed_phases(experiment) if is_bandit else None)

    @property
    def alpha(self) -> float:
        return self.experiment.definition.alpha


def compare(
    frame: Frame, question: Question, *, arm: str, control: SixByPhase, treatment: SixByPhase
) -> Comparison:
    """Below the least units per arm only means are told; see `report.Comparison` for the rest.

    Phases are combined, each by its share of the units. What is shown of a bandit rests on its
    closed phases one by one (`bandit.evidence`); it has no interval of the lift.
    """
    definition = frame.experiment.definition
    is_bandit = frame.closed is not None
    reading = estimates.reading_of(
        question.metric, covariate=definition.covariate, is_pooled=is_bandit
    )
    all_c, all_t = estimates.total(control.values()), estimates.total(treatment.values())
    told = _told(question, arm, reading, all_c, all_t)
    least = bandit.LEAST_OF_BATCH if is_bandit else _LEAST_OF_PHASE
    least = min(least, definition.least_units_per_arm)
    found = estimates.contrast(control, treatment, reading, least=least)
    if isinstance(found, Inconclusive):
        return told.model_copy(update={"inconclusive": found.reason})
    estimate = found.estimate
    told = told.model_copy(update=_means(estimate))
    if min(estimate.control_n, estimate.treatment_n) < definition.least_units_per_arm:
        return told.model_copy(update={"inconclusive": "too-few-units"})
    evidence = (
        _of_batches(frame, question, reading, control=control, treatment=treatment)
        if is_bandit
        else _of_all_units(frame, question, found)
    )
    if isinstance(evidence, Inconclusive):
        return told.model_copy(update={"inconclusive": evidence.reason})
    numbers = _numbers(frame, question, found, evidence)
    units = (estimate.control_n, estimate.treatment_n)
    if len(found.parts) == 1 and reading == Reading("mean") and units == (all_c[0], all_t[0]):
        numbers |= _exact(frame, question, all_c, all_t)
    return told.model_copy(update=_explained(numbers))


def bounds(found: Interval | Inconclusive | None) -> Bounds | None:
    if found is None or isinstance(found, Inconclusive):
        return None
    return Bounds(low=finite(found.low), high=finite(found.high))


def finite(value: float | Inconclusive | None) -> float | None:
    """JSON has no infinity, and where there is no answer there is no number."""
    if value is None or isinstance(value, Inconclusive):
        return None
    return value if isfinite(value) else None


def _told(
    question: Question, arm: str, reading: Reading, control: Six, treatment: Six
) -> Comparison:
    """What can be told of any sums: the plain means."""
    mean_c, mean_t = estimates.raw_mean(control, reading), estimates.raw_mean(treatment, reading)
    gap = mean_t - mean_c if mean_c is not None and mean_t is not None else None
    return Comparison(
        metric=question.metric.name,
        arm=arm,
        role=question.role,
        better=question.metric.better,
        control_units=control[0],
        units=treatment[0],
        control_mean=finite(mean_c),
        mean=finite(mean_t),
        difference=finite(gap),
        margin=question.margin.width if question.role == "guardrail" else None,
    )


def _means(found: Estimate) -> dict[str, object]:
    base = found.control_mean
    return {
        "lift": finite(found.difference / base) if base else None,
        "control_mean": finite(base),
        "mean": finite(found.treatment_mean),
        "difference": finite(found.difference),
    }


def _of_batches(
    frame: Frame,
    question: Question,
    reading: Reading,
    *,
    control: SixByPhase,
    treatment: SixByPhase,
) -> Evidence | Inconclusive:
    closed = frame.closed or frozenset()
    return bandit.evidence(
        {phase: six for phase, six in control.items() if phase in closed},
        {phase: six for phase, six in treatment.items() if phase in closed},
        reading,
        sign=question.sign,
        margin=question.margin,
        alpha=frame.alpha,
    )


def _of_all_units(frame: Frame, question: Question, found: Contrast) -> Evidence | Inconclusive:
    """Where shares do not follow outcomes: g goes by the effective units of all phases."""
    estimate = found.estimate
    plain = estimates.combined(found, estimates.scores(found, sign=question.sign))
    if plain.variance <= 0.0:
        return Inconclusive("no-variance")
    margin = question.margin
    above = estimates.combined(found, estimates.scores(found, sign=question.sign, margin=margin))
    g = sequences.information_ratio(
        found.effective_units,
        tuned_for_units=frame.experiment.tuned_for_units,
        alpha=frame.alpha,
    )
    half = sequences.half_width(plain.variance, g, alpha=frame.alpha)
    p = comparison.p_value(estimate)
    at_one_look = comparison.interval(estimate, alpha=frame.alpha)
    return Evidence(
        z=_z(plain),
        above=_z(above),
        g=g,
        p=None if isinstance(p, Inconclusive) else p,
        at_one_look=None if isinstance(at_one_look, Inconclusive) else at_one_look,
        always=Interval(estimate.difference - half, estimate.difference + half),
    )


def _z(score: Score) -> float:
    return score.difference / sqrt(score.variance) if score.variance > 0.0 else 0.0


def _numbers(
    frame: Frame, question: Question, found: Contrast, evidence: Evidence
) -> dict[str, object]:
    estimate, g = found.estimate, evidence.g
    return {
        "standard_error": finite(sqrt(estimate.variance)) if estimate.variance > 0.0 else None,
        "interval": bounds(evidence.at_one_look),
        "sequence": bounds(evidence.always),
        "p_value": _rounded_up(evidence.p),
        "always_valid_p": sequences.always_valid_p(sequences.log_evidence(evidence.z, g)),
        "z": finite(evidence.z),
        "information_ratio": finite(g),
        "variance_reduction": _reduction(frame, question, estimate),
        **_decisive(frame, question, estimate, evidence),
        **_posterior(question, estimate),
        **(_lifts(frame, found, evidence) if frame.closed is None else {}),
    }


def _rounded_up(p: float | None) -> float | None:
    """What a float cannot hold is not zero."""
    return None if p is None else max(p, ulp(0.0))


def _decisive(
    frame: Frame, question: Question, estimate: Estimate, evidence: Evidence
) -> dict[str, object]:
    if question.role == "secondary":
        return {}
    harm = {"harm_evidence": finite(sequences.log_evidence_above(-evidence.above, evidence.g))}
    # Where neither arm varies, what was seen is no measure of what may still come.
    if question.role == "primary" or estimate.variance <= 0.0:
        return {**harm}
    kept = sequences.log_evidence_above(evidence.above, evidence.g)
    return {**harm, "is_non_inferior": kept >= -log(frame.alpha)}


def _reduction(frame: Frame, question: Question, estimate: Estimate) -> float | None:
    is_adjusted = frame.experiment.definition.covariate and question.metric.kind != "ratio"
    return finite(estimate.variance_reduction) if is_adjusted else None


def _explained(numbers: dict[str, object]) -> dict[str, object]:
    """Two arms of one constant each have evidence, by what is between them, but no interval."""
    return numbers if numbers["interval"] else {**numbers, "inconclusive": "no-variance"}


def _posterior(question: Question, estimate: Estimate) -> dict[str, object]:
    """Shares that follow outcomes change no posterior."""
    signed = estimate if question.sign > 0 else comparison.flipped(estimate)
    loss = posterior.expected_loss(signed.difference, signed.variance)
    return {
        "chance_to_beat": finite(posterior.chance_to_beat(signed.difference, signed.variance)),
        "expected_loss": None if isinstance(loss, Inconclusive) else finite(loss.treatment),
    }


def _lifts(frame: Frame, found: Contrast, evidence: Evidence) -> dict[str, object]:
    estimate = found.estimate
    at_one_look = comparison.relative_lift(estimate, alpha=frame.alpha)
    always: Lift | Inconclusive = Inconclusive("no-variance")
    if estimate.variance > 0.0:
        critical = sequences.critical(evidence.g, alpha=frame.alpha)
        # In the lift's own standard errors, the difference's cautious one is so much wider.
        width = (evidence.always.high - evidence.always.low) / 2.0 / sqrt(estimate.variance)
        always = comparison.lift_interval(estimate, critical=max(critical, width))
    return {"lift_interval": _spread(at_one_look), "lift_sequence": _spread(always)}


def _spread(found: Lift | Inconclusive) -> Bounds | None:
    """An interval of no width is none: an arm of zeros says nothing of its own error."""
    if isinstance(found, Inconclusive) or found.interval.low >= found.interval.high:
        return None
    return bounds(found.interval)


def _exact(frame: Frame, question: Question, control: Six, treatment: Six) -> dict[str, object]:
    """Of units that all are 0 or 1, in one phase: what needs no normal approximation of a mean."""
    won_c, won_t = estimates.successes(control), estimates.successes(treatment)
    if question.metric.kind != "binary" or won_c is None or won_t is None:
        return {}
    n_c, n_t = control[0], treatment[0]
    p = proportions.p_value(won_c, n_c, won_t, n_t)
    interval = proportions.interval(won_c, n_c, won_t, n_t, alpha=frame.alpha)
    if isinstance(p, Inconclusive):
        return {}
    exact: dict[str, object] = {"p_value": _rounded_up(p), "interval": bounds(interval)}
    if min(won_c, n_c - won_c, won_t, n_t - won_t) < _FEW:
        c, t = (won_c, n_c), (won_t, n_t)
        ahead = (*c, *t) if question.sign > 0 else (*t, *c)
        exact["chance_to_beat"] = finite(posterior.beta_chance_to_beat(*ahead))
    return exact
