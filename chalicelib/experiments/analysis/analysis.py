"""From an experiment's sums to its report: arms, comparisons, segments, pairs, the sample ratio.
Says what is known, never what to do; the rule that decides reads the report."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import isfinite, log

from chalicelib.experiments.analysis import estimates
from chalicelib.experiments.analysis.bandit import next_shares
from chalicelib.experiments.analysis.comparisons import Frame, Question, bounds, compare, finite
from chalicelib.experiments.analysis.estimates import Reading, SixByPhase
from chalicelib.experiments.analysis.report import (
    Analysis,
    ArmReport,
    Comparison,
    Paired,
    SampleRatio,
    SegmentReport,
)
from chalicelib.experiments.counting.fold import make_counting
from chalicelib.experiments.counting.sums import Cell, Six, Sums
from chalicelib.experiments.lifecycle import metric_of
from chalicelib.experiments.model import CONTROL, OTHER_SEGMENT, Experiment
from chalicelib.registry.metrics import PAIRED
from chalicelib.stats import sequences, srm, student
from chalicelib.stats.answers import Inconclusive, Interval
from chalicelib.stats.multiplicity import holm

_MISMATCH_AT = log(1.0 / 0.001)
"""log e-value at which the sample ratio alarms."""
_RATIO = Reading("ratio")
_UNDECIDED: dict[str, None] = {"harm_evidence": None, "is_non_inferior": None}
"""Of a segment: nothing is decided there."""

_View = Mapping[str, Mapping[int, Mapping[str, Six]]]
"""Sums of all units, or of one segment: by arm, phase and metric."""


def analyse(experiment: Experiment, sums: Sums, *, now: datetime) -> Analysis:
    """Takes the same time at any number of units.

    Phases are compared each for itself and then combined, each by its share of the units, so that
    a change of the shares is no change of the means. In mode disagreement only units whose two
    answers differ have values. Nothing is adjusted for segments, and nothing there decides.
    """
    definition = experiment.definition
    is_split = definition.mode != "shadow"
    frame = Frame.of(experiment)
    questions = _questions(experiment)
    decisive = [question for question in questions if question.role != "secondary"]
    arms = [_arm(experiment, name, sums, now=now) for name in experiment.versions]
    whole = _view((arm, phase, cell.metrics) for (arm, phase), cell in sums.items())
    return Analysis(
        experiment=experiment.id,
        state=experiment.state,
        at=now,
        units=sum(arm.units for arm in arms),
        planned_units=experiment.planned_units,
        arms=arms,
        comparisons=_adjusted(_compared(frame, whole, questions)) if is_split else [],
        sample_ratio=_sample_ratio(experiment, sums),
        paired=[] if definition.mode == "split" else _pairs(experiment, sums),
        segments=_segments(frame, sums, decisive) if is_split else [],
        shares=next_shares(experiment, sums) if definition.allocation == "bandit" else {},
    )


def _questions(experiment: Experiment) -> list[Question]:
    """A metric that has a role already is not asked again as a secondary one."""
    definition = experiment.definition
    primary = metric_of(experiment, definition.primary)
    found = [Question(primary, "primary")]
    for one in definition.guardrails:
        margin = estimates.Margin(one.margin, one.is_relative)
        found.append(Question(metric_of(experiment, one.metric), "guardrail", margin))
    known = {question.metric.name for question in found}
    rest = [name for name in dict.fromkeys(definition.secondary) if name not in known]
    return found + [Question(metric_of(experiment, name), "secondary") for name in rest]


def _view(cells: Iterable[tuple[str, int, Mapping[str, Six]]]) -> _View:
    found: dict[str, dict[int, Mapping[str, Six]]] = {}
    for arm, phase, metrics in cells:
        found.setdefault(arm, {})[phase] = metrics
    return found


def _compared(frame: Frame, view: _View, questions: Iterable[Question]) -> list[Comparison]:
    challengers = [one.name for one in frame.experiment.definition.challengers]
    return [
        compare(
            frame,
            question,
            arm=arm,
            control=_sixes(view, CONTROL, question.metric.name),
            treatment=_sixes(view, arm, question.metric.name),
        )
        for question in questions
        for arm in challengers
    ]


def _sixes(view: _View, arm: str, metric: str) -> SixByPhase:
    by_phase = view.get(arm, {})
    return {
        phase: metrics[metric]
        for phase, metrics in by_phase.items()
        if metric in metrics and metrics[metric][0]
    }


def _adjusted(comparisons: list[Comparison]) -> list[Comparison]:
    """With Holm's p-values over all challengers and the metrics that decide."""
    p_by_index = {
        index: one.always_valid_p
        for index, one in enumerate(comparisons)
        if one.role != "secondary" and one.always_valid_p is not None
    }
    adjusted = dict(zip(p_by_index, holm(list(p_by_index.values())), strict=True))
    return [
        one.model_copy(update={"adjusted_p": adjusted[index]}) if index in adjusted else one
        for index, one in enumerate(comparisons)
    ]


def _segments(frame: Frame, sums: Sums, questions: list[Question]) -> list[SegmentReport]:
    declared = frame.experiment.definition.segments
    names = dict.fromkeys([*declared, OTHER_SEGMENT]) if declared else ()
    found: list[SegmentReport] = []
    for name in names:
        view = _view(
            (arm, phase, cell.segments[name])
            for (arm, phase), cell in sums.items()
            if name in cell.segments
        )
        if view:
            compared = [
                one.model_copy(update=_UNDECIDED) for one in _compared(frame, view, questions)
            ]
            found.append(SegmentReport(segment=name, comparisons=compared))
    return found


def _arm(experiment: Experiment, name: str, sums: Sums, *, now: datetime) -> ArmReport:
    cells = [cell for (arm, _), cell in sums.items() if arm == name]
    units = sum(cell.units for cell in cells)
    is_differing = experiment.definition.mode == "disagreement"
    differing = sum(cell.differing for cell in cells)
    primary = experiment.definition.primary
    with_value = sum(cell.metrics[primary][0] for cell in cells if primary in cell.metrics)
    asked = differing if is_differing else units
    return ArmReport(
        name=name,
        version=experiment.versions[name],
        share=_shares(experiment).get(name, 0.0),
        units=units,
        crossed=sum(cell.crossed for cell in cells),
        # Units whose answers agree are not asked for an outcome.
        outcome_share=with_value / asked if asked else 0.0,
        matured_share=_matured_share(experiment, cells, now=now),
        differing=differing if is_differing else None,
    )


def _shares(experiment: Experiment) -> dict[str, float]:
    if experiment.definition.mode == "shadow":
        return {CONTROL: 1.0}
    return experiment.phases[-1].shares() if experiment.phases else experiment.definition.shares()


def _matured_share(experiment: Experiment, cells: list[Cell], *, now: datetime) -> float:
    """An hour, or a day where exposures are counted by the day, is mature when all of it is."""
    lag_h = metric_of(experiment, experiment.definition.primary).lag_h
    if lag_h <= 0.0:
        return 1.0
    counting = make_counting(experiment.metrics, duration_days=experiment.definition.duration_days)
    latest = now.timestamp() / 3600.0 - lag_h - counting.bin_h
    hours = [(hour, units) for cell in cells for hour, units in cell.hours.items()]
    units = sum(units for _, units in hours)
    return sum(units for hour, units in hours if hour <= latest) / units if units else 0.0


def _sample_ratio(experiment: Experiment, sums: Sums) -> SampleRatio:
    """Each phase by its own shares. The p-value of several is by the shares they had on average,
    under which counts would vary no less: it is not too small."""
    if experiment.definition.mode == "shadow":
        return SampleRatio(evidence=0.0, alarms=False, p_value=None)
    arms = list(experiment.versions)
    phases: list[tuple[list[int], list[float]]] = []
    for phase in experiment.phases:
        shares = phase.shares()
        cells = [sums.get((arm, phase.number)) for arm in arms]
        counts = [cell.units if cell else 0 for cell in cells]
        phases.append((counts, [shares.get(arm, 0.0) for arm in arms]))
    evidence = srm.log_evidence_of_phases(phases)
    return SampleRatio(
        evidence=finite(evidence), alarms=evidence >= _MISMATCH_AT, p_value=_chi_square(phases)
    )


def _chi_square(phases: list[tuple[list[int], list[float]]]) -> float | None:
    if not phases:
        return None
    counts = [sum(column) for column in zip(*(counts for counts, _ in phases), strict=True)]
    expected = [
        sum(column)
        for column in zip(
            *([sum(counts) * share for share in shares] for counts, shares in phases), strict=True
        )
    ]
    p = srm.chi_square_p(counts, expected) if sum(counts) else Inconclusive("too-few-units")
    return None if isinstance(p, Inconclusive) else finite(p)


def _pairs(experiment: Experiment, sums: Sums) -> list[Paired]:
    """Of all arms together: what differs is the challenger's answer less the control's in each."""
    return [
        _paired(
            experiment,
            metric.name,
            estimates.total(
                cell.metrics[metric.name] for cell in sums.values() if metric.name in cell.metrics
            ),
        )
        for metric in PAIRED
    ]


def _paired(experiment: Experiment, metric: str, six: Six) -> Paired:
    definition = experiment.definition
    found = estimates.mean_of(six, _RATIO)
    told = Paired(
        metric=metric,
        mean=finite(estimates.raw_mean(six, _RATIO)),
        interval=None,
        sequence=None,
        units=six[0],
    )
    if isinstance(found, Inconclusive):
        return told.model_copy(update={"inconclusive": found.reason})
    if found.n < definition.least_units_per_arm:
        return told.model_copy(update={"inconclusive": "too-few-units"})
    if found.variance <= 0.0 or not isfinite(found.variance):
        return told.model_copy(update={"inconclusive": "no-variance"})
    g = sequences.information_ratio(
        found.n, tuned_for_units=experiment.tuned_for_units, alpha=definition.alpha
    )
    half = student.upper_quantile(0.5 * definition.alpha, found.n - 1.0) * found.variance**0.5
    wide = sequences.half_width(found.variance, g, alpha=definition.alpha)
    return told.model_copy(
        update={
            "interval": bounds(Interval(found.value - half, found.value + half)),
            "sequence": bounds(Interval(found.value - wide, found.value + wide)),
        }
    )
