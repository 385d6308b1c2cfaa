"""The actions of the Lambda function `ab-test-manager`, in the payloads teams already send.
One action per event; the use cases are those of HTTP."""

from typing import Annotated, Any, Literal, assert_never

from pydantic import Field, JsonValue, TypeAdapter

from chalicelib.experiments.analysis.report import Assessment, Comparison
from chalicelib.experiments.deciding import service as deciding
from chalicelib.experiments.model import (
    CONTROL,
    Challenger,
    Definition,
    Experiment,
    ExperimentId,
    State,
)
from chalicelib.experiments.running import service as running
from chalicelib.kit.actions import answered
from chalicelib.kit.values import Value
from chalicelib.registry.metrics import MetricName
from chalicelib.registry.model import ModelName
from chalicelib.registry.semver import VersionName

_ACTOR = "ab-test-manager"
Answer = dict[str, JsonValue]


class CreateTest(Value):
    """The test runs from now on; asked for again, it is the same test."""

    action: Literal["create_test"]
    test_name: Annotated[str, Field(min_length=1, max_length=120)]
    test_id: ExperimentId | None = None
    model_name: ModelName
    control_version: VersionName
    treatment_version: VersionName
    traffic_split: Annotated[float, Field(gt=0, lt=100)] = 50
    """Percent of the units that get the treatment."""
    duration_days: Annotated[float, Field(gt=0, le=365)] = 14
    success_metrics: Annotated[list[MetricName], Field(min_length=1, max_length=20)]
    """The first decides; the others are reported."""

    def definition(self) -> Definition:
        share = self.traffic_split / 100
        return Definition(
            name=self.test_name,
            model=self.model_name,
            control_version=self.control_version,
            challengers=[Challenger(version=self.treatment_version, share=share)],
            primary=self.success_metrics[0],
            secondary=self.success_metrics[1:],
            duration_days=self.duration_days,
        )


class _OneTest(Value):
    test_id: ExperimentId


class AnalyzeTest(_OneTest):
    action: Literal["analyze_test"]


class StopTest(_OneTest):
    action: Literal["stop_test"]
    reason: Annotated[str, Field(max_length=500)] = ""


class ListTests(Value):
    action: Literal["list_tests"]
    model_name: ModelName | None = None
    state: State | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: ExperimentId | None = None


Action = Annotated[CreateTest | AnalyzeTest | StopTest | ListTests, Field(discriminator="action")]


def answer(event: dict[str, Any], *, tenant: str) -> Answer:
    actions = TypeAdapter[Action](Action)
    return answered(actions, event, lambda action: _carry_out(action, tenant=tenant))


def _carry_out(action: Action, *, tenant: str) -> Answer:
    match action:
        case CreateTest():
            definition = action.definition()
            return _described(
                running.launch(tenant, definition, experiment=action.test_id, actor=_ACTOR)
            )
        case AnalyzeTest():
            return _analysed(deciding.assess(tenant, action.test_id))
        case StopTest():
            return _described(
                running.stop(tenant, action.test_id, actor=_ACTOR, reason=action.reason)
            )
        case ListTests():
            page = running.list_all(
                tenant,
                model=action.model_name,
                state=action.state,
                limit=action.limit,
                cursor=action.cursor,
            )
            return {"items": [_described(one) for one in page.items], "cursor": page.cursor}
        case _:
            assert_never(action)


def _described(found: Experiment) -> Answer:
    definition = found.definition
    treatments = [name for name in found.versions if name != CONTROL]
    return {
        "test_id": found.id,
        "test_name": definition.name,
        "model_name": definition.model,
        "status": found.state.value,
        "control_version": found.versions[CONTROL],
        "treatment_version": found.versions[treatments[0]],
        "traffic_split": round(definition.shares()[treatments[0]] * 100, 6),
        "duration_days": definition.duration_days,
        "success_metrics": [definition.primary, *definition.secondary],
        "started_at": found.started_at.isoformat() if found.started_at else None,
        "ends_at": found.ends_at.isoformat() if found.ends_at else None,
        "conclusion": found.conclusion,
    }


def _analysed(assessed: Assessment) -> Answer:
    """The words of the teams' own scripts, and below them all that is known."""
    primary = next((one for one in assessed.analysis.comparisons if one.role == "primary"), None)
    return {
        "test_id": assessed.analysis.experiment,
        "recommendation": assessed.recommendation,
        "analysis": _in_their_words(primary) if primary else {},
        "verdict": assessed.verdict.model_dump(mode="json"),
        "report": assessed.analysis.model_dump(mode="json"),
    }


def _in_their_words(one: Comparison) -> Answer:
    """p_value is the one that stays honest however often anyone looks; t_statistic is of one look.

    effect_size: the relative difference, positive when the candidate's mean is higher.
    """
    is_significant = one.always_valid_p is not None and one.always_valid_p < 0.05
    statistic = (
        one.difference / one.standard_error
        if one.difference is not None and one.standard_error
        else None
    )
    return {
        "metric": one.metric,
        "baseline_mean": one.control_mean,
        "candidate_mean": one.mean,
        "difference": one.difference,
        "t_statistic": statistic,
        "p_value": one.always_valid_p,
        "single_look_p_value": one.p_value,
        "is_significant": is_significant,
        "effect_size": one.lift,
        "samples": one.control_units + one.units,
        "baseline_samples": one.control_units,
        "candidate_samples": one.units,
        "inconclusive": one.inconclusive,
    }
