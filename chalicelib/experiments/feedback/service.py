"""Outcomes that come back: what may be said of a prediction, and what becomes of each saying.
Counts nothing: what is good goes into the queue, what is not is answered with its reason."""

import json
import time
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, JsonValue, ValidationError, model_validator
from pydantic.functional_validators import WrapValidator

from chalicelib.experiments import queue, store
from chalicelib.experiments.events import Event, subject_of_version, to_ticks
from chalicelib.experiments.model import OutcomeTooLate, UnknownMetric, ValueRefused
from chalicelib.kit.errors import Conflict, Flaw, Invalid, NotFound
from chalicelib.kit.settings import settings
from chalicelib.kit.values import Value
from chalicelib.receipts import service as receipts
from chalicelib.receipts.model import Receipt
from chalicelib.registry import service as registry
from chalicelib.registry.metrics import (
    BUILT_IN,
    SERVED,
    Metric,
    MetricName,
    metrics_by_name,
    outcome_ranges,
)

_MOST_ITEMS = 100
_MOST_CONTEXT_BYTES = 1_000
_MOST_CONTEXT_DEPTH = 20
_KEPT_S = 60.0
_LEAST_KEPT_S = 1.0
"""A metric may have been declared just now: no value is refused by rules that are older."""
_DAY_MS = 24 * 3_600 * 1_000
_LONGEST_DETAIL = 500
_NEVER_SENT = ("\ufffe", "\uffff")
"""No text of a queue's message holds these (SQS, SendMessage)."""


def _checked_context(context: dict[str, JsonValue]) -> dict[str, JsonValue]:
    text = json.dumps(context, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > _MOST_CONTEXT_BYTES:
        raise ValueError(f"the context has more than {_MOST_CONTEXT_BYTES} bytes as JSON")
    # Every message nests it deeper, and what takes messages reads JSON to a depth of 200.
    if _depth(context) > _MOST_CONTEXT_DEPTH:
        raise ValueError(f"the context is nested deeper than {_MOST_CONTEXT_DEPTH}")
    if any(letter in text for letter in _NEVER_SENT):
        raise ValueError("the context holds a code point that is no character")
    return context


class Feedback(Value):
    """What is said of one prediction; each of the metric, the score and the judgement is an
    outcome of its own."""

    request_id: Annotated[str, Field(min_length=1, max_length=1_000)]
    """The prediction's receipt."""
    metric_name: MetricName | None = None
    metric_value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    quality_score: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """1 to 5."""
    is_correct: bool | None = None
    outcome_id: Annotated[str, Field(pattern=r"^[ -~]{1,40}$")] | None = None
    """Tells outcomes of one name and prediction apart; without one there is one, and saying it
    again changes nothing."""
    context: Annotated[dict[str, JsonValue], AfterValidator(_checked_context)] | None = None
    """Kept with the outcomes, at most 1,000 bytes as JSON."""

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> "Feedback":
        if (self.metric_name is None) != (self.metric_value is None):
            raise ValueError("metric_name and metric_value come together")
        members = [value for _, value in self.said().values()]
        if not members:
            raise ValueError("metric_name with metric_value, quality_score or is_correct is needed")
        if self.metric_name in BUILT_IN and getattr(self, self.metric_name, None) is not None:
            raise ValueError(f"{self.metric_name} is said twice")
        return self

    def said(self) -> dict[str, tuple[str, float]]:
        """By outcome name: the member that says it, and the value."""
        found: dict[str, tuple[str, float]] = {}
        if self.metric_name is not None and self.metric_value is not None:
            found[self.metric_name] = ("metric_value", self.metric_value)
        if self.quality_score is not None:
            found["quality_score"] = ("quality_score", self.quality_score)
        if self.is_correct is not None:
            found["is_correct"] = ("is_correct", float(self.is_correct))
        return found


class FeedbackBatch(Value):
    items: Annotated[
        list[Annotated[Feedback | JsonValue, Field(union_mode="left_to_right")]],
        Field(min_length=1, max_length=_MOST_ITEMS),
    ]
    """Whatever else stands among them is refused by itself, and keeps no other from being taken."""


def _one_or_many(body: Any, _handler: object) -> Feedback | FeedbackBatch:
    """Flaws are told of the form that was meant, not of both."""
    is_batch = isinstance(body, dict) and "items" in body
    return (FeedbackBatch if is_batch else Feedback).model_validate(body, strict=True)


FeedbackBody = Annotated[Feedback | FeedbackBatch, WrapValidator(_one_or_many)]


class Became(Value):
    """What became of one item: `outcomes` are the ids under which it is counted, once each."""

    status: Literal["accepted", "not_counted", "refused"]
    outcomes: list[str] = Field(default_factory=list[str])
    code: str | None = None
    detail: str | None = None


class FeedbackAnswer(Value):
    """accepted: how many items were; taken is not counted yet, that follows within seconds."""

    accepted: int
    items: list[Became]


class Judged(NamedTuple):
    """What became of one item, and what must be sent for that to be true."""

    became: Became
    events: tuple[Event, ...] = ()


class _Rules(NamedTuple):
    """Which outcomes an experiment, or a model, knows."""

    ranges: dict[str, tuple[float, float]]
    binary: frozenset[str]


class _Kept(NamedTuple):
    rules: _Rules
    read_at: float


_kept: dict[tuple[str, str, str | None], _Kept] = {}


def take(tenant: str, body: Feedback | FeedbackBatch) -> FeedbackAnswer:
    """Returns once the queue has what is accepted. Of one item alone a refusal is raised:
    ReceiptRefused, OutcomeTooLate, UnknownMetric, ValueRefused."""
    if isinstance(body, Feedback):
        judged = [_judged(tenant, body)]
    else:
        judged = [judge(tenant, item) for item in body.items]
    events = [event for one in judged for event in one.events]
    if events:
        queue.send(tenant, events)
    accepted = sum(one.became.status == "accepted" for one in judged)
    return FeedbackAnswer(accepted=accepted, items=[one.became for one in judged])


def judge(tenant: str, item: Feedback | JsonValue) -> Judged:
    """Raises nothing for a bad item: it is refused."""
    try:
        read = item if isinstance(item, Feedback) else Feedback.model_validate(item, strict=True)
        return _judged(tenant, read)
    except ValidationError as error:
        return Judged(refused(Invalid.code, _flaws_of(error)))
    except (Invalid, Conflict, NotFound) as error:
        return Judged(refused(error.code, error.detail))


def refused(code: str, detail: str) -> Became:
    return Became(status="refused", code=code, detail=detail[:_LONGEST_DETAIL])


def _judged(tenant: str, feedback: Feedback) -> Judged:
    receipt = receipts.verify(tenant, feedback.request_id)
    if receipt.is_forced:
        detail = "a tester chose the arm, nothing of this prediction is counted"
        return Judged(Became(status="not_counted", code="forced-arm", detail=detail))
    days = settings().outcome_window_days
    if time.time_ns() // 1_000_000 - receipt.issued_at_ms > days * _DAY_MS:
        raise OutcomeTooLate(f"the prediction is older than {days!r} days")
    try:
        events = _events(receipt, feedback, _rules_of(tenant, receipt, at_most_s=_KEPT_S))
    except (UnknownMetric, ValueRefused):
        events = _events(receipt, feedback, _rules_of(tenant, receipt, at_most_s=_LEAST_KEPT_S))
    return Judged(Became(status="accepted", outcomes=[event.id for event in events]), events)


def _events(receipt: Receipt, feedback: Feedback, rules: _Rules) -> tuple[Event, ...]:
    return tuple(
        _event(receipt, name, value, member=member, feedback=feedback, rules=rules)
        for name, (member, value) in feedback.said().items()
    )


def _event(
    receipt: Receipt,
    name: str,
    value: float,
    *,
    member: str,
    feedback: Feedback,
    rules: _Rules,
) -> Event:
    """In an experiment what it does not use, but everyone may say, is the version's own."""
    is_aside = name not in rules.ranges and name in _EVERYWHERE.ranges
    _check(receipt, name, value, member=member, rules=_EVERYWHERE if is_aside else rules)
    is_own = receipt.experiment is None or is_aside
    own = subject_of_version(receipt.model, receipt.version)
    parts = [receipt.nonce, name, *([feedback.outcome_id] if feedback.outcome_id else [])]
    return Event(
        id="/".join(parts),
        kind="outcome",
        subject=own if is_own else receipt.experiment or own,
        arm=receipt.version if is_own else receipt.arm or receipt.version,
        phase=0 if is_own else receipt.phase or 0,
        unit=receipt.unit_hash or receipt.nonce,
        predicted_at_ms=receipt.issued_at_ms,
        nonce=receipt.nonce,
        ticks={name: to_ticks(value)},
        context=feedback.context,
    )


def _check(receipt: Receipt, name: str, value: float, *, member: str, rules: _Rules) -> None:
    if name in SERVED:
        because = f"{name!r} is measured by serving itself"
        raise UnknownMetric(because, flaws=(Flaw("body.metric_name", because),))
    if name not in rules.ranges:
        about = receipt.experiment or receipt.model
        because = f"{about!r} knows no outcome {name!r}, but {sorted(rules.ranges)!r}"
        raise UnknownMetric(because[:_LONGEST_DETAIL], flaws=(Flaw("body.metric_name", because),))
    least, most = rules.ranges[name]
    if not least <= value <= most:
        because = f"{value!r} is not in {least!r}..{most!r}"
    elif name in rules.binary and value not in (0, 1):
        because = f"{value!r} is neither 0 nor 1"
    else:
        return
    raise ValueRefused(
        f"the value of {name!r}: {because}", flaws=(Flaw(f"body.{member}", because),)
    )


def _rules_of(tenant: str, receipt: Receipt, *, at_most_s: float) -> _Rules:
    """at_most_s: how old they may be."""
    key = (tenant, receipt.model, receipt.experiment)
    found = _kept.get(key)
    if found is None or time.monotonic() - found.read_at >= at_most_s:
        found = _kept[key] = _Kept(_read_rules(tenant, receipt), time.monotonic())
    return found.rules


def _read_rules(tenant: str, receipt: Receipt) -> _Rules:
    if receipt.experiment is None:
        declared = registry.get_model(tenant, receipt.model).settings.metrics
        return _rules(metrics_by_name(declared).values())
    read = store.read_experiment(tenant, receipt.experiment)
    if read is None:
        return _rules(())
    return _rules(read.experiment.metrics)


def _rules(metrics: Iterable[Metric]) -> _Rules:
    known = list(metrics)
    binary = frozenset(metric.summed for metric in known if metric.kind == "binary")
    return _Rules(outcome_ranges(known), binary)


def _flaws_of(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{'.'.join(str(part)[:80] for part in one['loc']) or 'the item'}: {one['msg']}"
        for one in found[:5]
    )


def _depth(value: JsonValue) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


_EVERYWHERE = _rules(BUILT_IN.values())
"""What may be said of any prediction."""
