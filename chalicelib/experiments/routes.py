"""HTTP of experiments: their life, their analysis, and the outcomes that come back.
What may be said, and what becomes of it, is the other rooms' to decide."""

from typing import TYPE_CHECKING, Annotated

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.experiments.model import ArmName, Definition, Experiment, ExperimentId, State
from chalicelib.kit.http import Answer, Call, Role, endpoint
from chalicelib.kit.later import imported_later
from chalicelib.kit.paging import Page, PageQuery
from chalicelib.ledger.model import Justification
from chalicelib.registry.model import ModelName

if TYPE_CHECKING:
    from chalicelib.experiments.analysis import report
    from chalicelib.experiments.deciding import service as deciding
    from chalicelib.experiments.feedback import service as feedback
    from chalicelib.experiments.planning import plans
    from chalicelib.experiments.planning import service as planning
    from chalicelib.experiments.running import service as running
else:
    deciding, feedback, planning, plans, report, running = (
        imported_later(f"chalicelib.experiments.{room}")
        for room in (
            "deciding.service",
            "feedback.service",
            "planning.service",
            "planning.plans",
            "analysis.report",
            "running.service",
        )
    )

bp = Blueprint(__name__)


class NewExperiment(Definition):
    id: ExperimentId | None = None
    """Made from the name when it is not given."""
    start: bool = False
    """Take units at once, instead of waiting as a draft."""

    def definition(self) -> Definition:
        return Definition.model_validate(self.model_dump(exclude={"id", "start"}))


class ExperimentsQuery(PageQuery):
    model: ModelName | None = None
    state: State | None = None


class Promotion(Justification):
    arm: ArmName | None = None
    """Which challenger, when there are several."""


class NewShares(Justification):
    """Of the experiment's units, for every arm; 0 drops one."""

    shares: dict[ArmName, Annotated[float, Field(ge=0, le=1)]]


@endpoint(
    bp,
    "POST /api/experiments",
    role=Role.OPERATOR,
    summary="Define an experiment between live versions of a model",
    status=201,
)
def create_experiment(call: Call, body: NewExperiment) -> Answer[Experiment]:
    make = running.launch if body.start else running.create
    made = make(call.tenant, body.definition(), experiment=body.id, actor=call.caller)
    return Answer(made, headers={"Location": f"/api/experiments/{made.id}"})


@endpoint(
    bp, "GET /api/experiments", role=Role.VIEWER, summary="Experiments by id, of a model or a state"
)
def list_experiments(call: Call, query: ExperimentsQuery) -> "Page[Experiment]":
    return running.list_all(
        call.tenant,
        model=query.model,
        state=query.state,
        limit=query.limit,
        cursor=query.cursor,
    )


@endpoint(
    bp,
    "POST /api/experiments/plan",
    role=Role.VIEWER,
    summary="How many units, how small an effect, how many days: from the model's own history",
)
def plan_experiment(call: Call, body: "plans.PlanRequest") -> "plans.Plan":
    return planning.plan(call.tenant, body)


@endpoint(
    bp,
    "GET /api/experiments/{experiment}",
    role=Role.VIEWER,
    summary="An experiment: its definition, shares, looks and conclusion",
)
def get_experiment(call: Call, experiment: ExperimentId) -> Experiment:
    return running.get(call.tenant, experiment)


@endpoint(
    bp,
    "GET /api/experiments/{experiment}/analysis",
    role=Role.VIEWER,
    summary="Numbers that stay honest however often anyone looks, and what the rule makes of them",
)
def analyse_experiment(call: Call, experiment: ExperimentId) -> "report.Assessment":
    return deciding.assess(call.tenant, experiment)


@endpoint(
    bp,
    "GET /api/experiments/{experiment}/replay",
    role=Role.VIEWER,
    summary="Make every recorded decision again from the numbers recorded with it",
)
def replay_decisions(call: Call, experiment: ExperimentId) -> "report.Replay":
    return report.Replay(items=deciding.replay(call.tenant, experiment))


@endpoint(
    bp,
    "POST /api/experiments/{experiment}/start",
    role=Role.OPERATOR,
    summary="Take units from now on, for the first time or after a pause",
)
def start_experiment(call: Call, experiment: ExperimentId) -> Experiment:
    return running.start(call.tenant, experiment, actor=call.caller)


@endpoint(
    bp,
    "POST /api/experiments/{experiment}/pause",
    role=Role.OPERATOR,
    summary="The champion answers everybody until the experiment is started again",
)
def pause_experiment(call: Call, experiment: ExperimentId, body: Justification) -> Experiment:
    return running.pause(call.tenant, experiment, actor=call.caller, reason=body.reason)


@endpoint(
    bp,
    "POST /api/experiments/{experiment}/stop",
    role=Role.OPERATOR,
    summary="End the experiment; the champion stays",
)
def stop_experiment(call: Call, experiment: ExperimentId, body: Justification) -> Experiment:
    return running.stop(call.tenant, experiment, actor=call.caller, reason=body.reason)


@endpoint(
    bp,
    "POST /api/experiments/{experiment}/promote",
    role=Role.OPERATOR,
    summary="End the experiment with a challenger as champion, whatever the numbers say",
)
def promote_challenger(call: Call, experiment: ExperimentId, body: Promotion) -> Experiment:
    return running.promote(
        call.tenant, experiment, arm=body.arm, actor=call.caller, reason=body.reason
    )


@endpoint(
    bp,
    "PUT /api/experiments/{experiment}/shares",
    role=Role.OPERATOR,
    summary="Other shares while the experiment runs; only boundary units move",
)
def put_shares(call: Call, experiment: ExperimentId, body: NewShares) -> Experiment:
    return running.reshare(
        call.tenant, experiment, body.shares, actor=call.caller, reason=body.reason
    )


@endpoint(
    bp,
    "POST /api/feedback",
    role=Role.VIEWER,
    summary="Say what came of a prediction, or of up to 100",
    status=202,
)
def give_feedback(call: Call, body: "feedback.FeedbackBody") -> "feedback.FeedbackAnswer":
    return feedback.take(call.tenant, body)


@endpoint(
    bp,
    "POST /production/feedback",
    role=Role.VIEWER,
    summary="The same as POST /api/feedback",
    status=202,
)
def production_feedback(call: Call, body: "feedback.FeedbackBody") -> "feedback.FeedbackAnswer":
    return feedback.take(call.tenant, body)
