"""Before an experiment: how many units and days it needs, and how small an effect it finds.
Every number says where it comes from; what is not known stays empty, with the reason."""

from math import ceil, floor, inf, isfinite
from typing import NamedTuple

from chalicelib.experiments import lifecycle, store
from chalicelib.experiments.model import Challenger, Definition, ValueRefused
from chalicelib.experiments.planning import assumptions, history, invocations, sizing
from chalicelib.experiments.planning.assumptions import ASSUMED
from chalicelib.experiments.planning.history import Past
from chalicelib.experiments.planning.plans import (
    Baseline,
    Figure,
    FoundEffect,
    NoHistory,
    Plan,
    PlannedLook,
    PlannedTraffic,
    PlanRequest,
)
from chalicelib.experiments.planning.sizing import Design
from chalicelib.kit.clock import utc_now
from chalicelib.kit.errors import Flaw
from chalicelib.registry import service as registry
from chalicelib.registry.metrics import Metric
from chalicelib.registry.model import Live
from chalicelib.stats.answers import Inconclusive

_GIVEN = "given"
_MOST_DAYS = 36_500
_DAY_H = 24.0


class _Known(NamedTuple):
    """All that a plan is made of."""

    request: PlanRequest
    metric: Metric
    design: Design
    baseline: Baseline
    traffic: PlannedTraffic

    @property
    def variance(self) -> float:
        """Of one unit's value, less what the covariate explains."""
        r2 = self.baseline.covariate_r2
        uses_it = r2 is not None and assumptions.uses_covariate(self.request, self.metric)
        return self.baseline.variance.value * (1.0 - (r2.value if r2 and uses_it else 0.0))

    @property
    def units_per_day(self) -> float:
        """That the experiment takes; 0 when nobody knows."""
        found = self.traffic.units_per_day
        return found.value * self.request.traffic if found else 0.0

    @property
    def lag_days(self) -> float:
        return self.metric.lag_h / _DAY_H


def plan(tenant: str, request: PlanRequest) -> Plan:
    """Raises ModelNotFound, ValueRefused, or NoHistory where nobody told mean or variance."""
    model = registry.get_model(tenant, request.model)
    definition = _definition(request)
    metrics = lifecycle.metrics_of(definition, model.settings.metrics)
    metric = next(one for one in metrics if one.name == request.metric)
    _check(request, metric)
    champion = model.champion
    pasts = history.read(tenant, model.name, champion.version if champion else None, metric)
    known = _Known(
        request=request,
        metric=metric,
        design=sizing.design_of(definition),
        baseline=_baseline(request, metric, pasts),
        traffic=_traffic(request, champion, pasts),
    )
    routes = store.read_routes(tenant, model.name)
    return _answer(known, others_run=bool(routes and routes.routes.routes))


def planned_from_history(
    tenant: str, definition: Definition, metric: Metric, *, control: str
) -> int | None:
    """Units with a value that the experiment needs; None when history tells too little.

    metric: the primary one. A covariate's help is not counted on.
    """
    found = history.fullest(history.read(tenant, definition.model, control, metric))
    if found is None or found[1].units < definition.least_units_per_arm:
        return None
    return sizing.planned_units(definition, mean=found[1].mean, variance=found[1].variance)


def _definition(request: PlanRequest) -> Definition:
    """The experiment that is planned, so that it is sized as it will be decided."""
    several = [f"treatment-{number}" for number in range(1, len(request.shares) + 1)]
    names = several if len(several) > 1 else ["treatment"]
    return Definition(
        name="plan",
        model=request.model,
        challengers=[
            Challenger(name=name, version="0.0.0", share=share)
            for name, share in zip(names, request.shares, strict=True)
        ],
        primary=request.metric,
        metrics=request.metrics,
        minimal_effect=request.minimal_effect,
        alpha=request.alpha,
        power=request.power,
        looks=request.looks,
        may_extend=request.may_extend,
    )


def _check(request: PlanRequest, metric: Metric) -> None:
    """Raises ValueRefused for a mean that the metric cannot have."""
    mean = request.baseline_mean
    if mean is None or metric.kind not in ("mean", "binary"):
        return
    least, most = (0.0, 1.0) if metric.kind == "binary" else (metric.minimum, metric.maximum)
    if metric.counts_absent:
        least, most = min(least, 0.0), max(most, 0.0)
    if not least <= mean <= most:
        because = f"{mean!r} is not in {least!r}..{most!r}"
        raise ValueRefused(because, flaws=(Flaw("body.baseline_mean", because),))


def _baseline(request: PlanRequest, metric: Metric, pasts: list[Past]) -> Baseline:
    """From the source with the most units, but for what is given. Raises NoHistory."""
    best, spread = history.fullest(pasts) or (None, None)
    source = best.source if best else ""
    mean = _first((request.baseline_mean, _GIVEN), (spread.mean if spread else None, source))
    p = request.baseline_mean if metric.kind == "binary" else None
    variance = _first(
        (request.variance, _GIVEN),
        (p * (1.0 - p) if p is not None else None, "p(1 - p) of the mean"),
        (spread.variance if spread else None, source),
    )
    if mean is None or variance is None:
        raise _no_history(request, metric)
    shares = [(past.outcome_share, past.source) for past in [*([best] if best else []), *pasts]]
    share = _first((request.outcome_share, _GIVEN), *shares)
    r2s = [(past.spread.covariate_r2, past.source) for past in pasts if past.spread]
    return Baseline(
        mean=mean,
        variance=variance,
        units=spread.units if spread and source in (mean.source, variance.source) else None,
        outcome_share=share or Figure(value=1.0, source=ASSUMED),
        covariate_r2=_first((request.covariate_r2, _GIVEN), *r2s),
    )


def _no_history(request: PlanRequest, metric: Metric) -> NoHistory:
    names = ["baseline_mean"] if request.baseline_mean is None else []
    names += ["variance"] if request.variance is None and metric.kind != "binary" else []
    detail = f"nothing is known of {metric.name!r} of model {request.model!r} yet"
    flaws = tuple(Flaw(f"body.{name}", "must be given, history does not tell") for name in names)
    return NoHistory(f"{detail}: give {' and '.join(names)}", flaws=flaws)


def _traffic(request: PlanRequest, champion: Live | None, pasts: list[Past]) -> PlannedTraffic:
    if request.units_per_day is not None:
        return PlannedTraffic(units_per_day=Figure(value=request.units_per_day, source=_GIVEN))
    rate = invocations.read(champion.endpoint, now=utc_now()) if champion else None
    if rate is None:
        return PlannedTraffic()
    told = [(past.requests_per_unit, past.source) for past in pasts]
    per_unit = _first(*told) or Figure(value=1.0, source=ASSUMED)
    source = f"CloudWatch, {rate.over}"
    return PlannedTraffic(
        units_per_day=Figure(value=rate.per_day / per_unit.value, source=source),
        requests_per_day=Figure(value=rate.per_day, source=source),
        requests_per_unit=per_unit,
    )


def _first(*choices: tuple[float | None, str]) -> Figure | None:
    """The first that is known, with its source."""
    found = ((value, source) for value, source in choices if value is not None)
    return next((Figure(value=value, source=source) for value, source in found), None)


def _answer(known: _Known, *, others_run: bool) -> Plan:
    request, mean = known.request, known.baseline.mean.value
    needed = _needed(known, known.design)
    arms = _to_assign(known, needed)
    units = _sum(arms)
    answers = {
        "units_per_arm": arms,
        "units": units,
        "planned_units": needed,
        "fixed_units": _sum(_to_assign(known, _needed(known, sizing.fixed(known.design)))),
        "duration_days": _days(known, units),
        "minimal_effect_at_duration": _found_effect(known),
    }
    plan = Plan.model_validate(
        {
            **{at: None if isinstance(one, Inconclusive) else one for at, one in answers.items()},
            "model": request.model,
            "metric": request.metric,
            "minimal_effect": request.minimal_effect,
            "absolute_effect": abs(mean) * request.minimal_effect if mean else None,
            "inflation": sizing.inflation(known.design),
            "looks": _looks(known, units),
            "baseline": known.baseline,
            "traffic": known.traffic,
            "unknown": [
                f"{at}:{one.reason}" for at, one in answers.items() if isinstance(one, Inconclusive)
            ],
            "assumptions": [],
        }
    )
    said = assumptions.sentences(
        plan, request, metric=known.metric, design=known.design, others_run=others_run
    )
    return plan.model_copy(update={"assumptions": said})


def _needed(known: _Known, design: Design) -> int | Inconclusive:
    """Units with a value."""
    mean = known.baseline.mean.value
    if mean == 0.0:
        return Inconclusive("zero-baseline")
    effect = abs(mean) * known.request.minimal_effect
    return sizing.needed_units(design, variance=known.variance, effect=effect)


def _to_assign(known: _Known, needed: int | Inconclusive) -> dict[str, int] | Inconclusive:
    if isinstance(needed, Inconclusive):
        return needed
    return sizing.by_arm(known.design, needed / known.baseline.outcome_share.value)


def _sum(arms: dict[str, int] | Inconclusive) -> int | Inconclusive:
    return arms if isinstance(arms, Inconclusive) else sum(arms.values())


def _days(known: _Known, units: int | Inconclusive) -> int | Inconclusive:
    if isinstance(units, Inconclusive):
        return units
    if known.units_per_day <= 0.0:
        return Inconclusive("no-traffic")
    days = units / known.units_per_day + known.lag_days
    return ceil(days) if days <= _MOST_DAYS else Inconclusive("too-little-traffic")


def _found_effect(known: _Known) -> FoundEffect | Inconclusive:
    if known.units_per_day <= 0.0:
        return Inconclusive("no-traffic")
    days = known.request.duration_days
    units = floor(known.units_per_day * max(days - known.lag_days, 0.0))
    valued = floor(units * known.baseline.outcome_share.value)
    found = sizing.found_effect(known.design, variance=known.variance, units=valued)
    if isinstance(found, Inconclusive):
        return found
    mean = abs(known.baseline.mean.value)
    relative = found / mean if mean else inf
    return FoundEffect(
        duration_days=days,
        units=units,
        relative=relative if isfinite(relative) else None,
        absolute=found,
    )


def _looks(known: _Known, units: int | Inconclusive) -> list[PlannedLook]:
    whole = None if isinstance(units, Inconclusive) else units
    planned = zip(sizing.looks_of(known.design), sizing.bounds_of(known.design), strict=True)
    return [
        PlannedLook(
            number=number,
            spending=look.spending,
            units=ceil(whole * look.spending) if whole else None,
            day=_day(known, whole * look.spending) if whole else None,
            boundary=bound if isfinite(bound) else None,
        )
        for number, (look, bound) in enumerate(planned, start=1)
    ]


def _day(known: _Known, units: float) -> int | None:
    found = _days(known, ceil(units))
    return None if isinstance(found, Inconclusive) else found
