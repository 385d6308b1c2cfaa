"""HTTP of rewards: what an action would be worth, and the log of episodes.
What is answered and logged is decided in the service."""

from typing import TYPE_CHECKING, Annotated

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.kit.errors import Forbidden
from chalicelib.kit.http import Answer, Call, Raw, Role, endpoint
from chalicelib.kit.later import imported_later
from chalicelib.kit.media import JSON
from chalicelib.kit.paging import Page, PageQuery
from chalicelib.serving.model import PredictionHeaders, PredictionQuery

if TYPE_CHECKING:
    from chalicelib.rewards import batches, model, service
else:
    batches, model, service = (
        imported_later(f"chalicelib.rewards.{room}") for room in ("batches", "model", "service")
    )

bp = Blueprint(__name__)

_ANEW = frozenset({"no-cache", "no-store", "max-age=0"})


class RewardHeaders(PredictionHeaders):
    cache_control: Annotated[str, Field(max_length=200)] = Field("", alias="cache-control")
    """`no-cache` asks the endpoint in any case, as does `max-age=0`, which browsers say for it."""

    @property
    def may_repeat(self) -> bool:
        said = {directive.strip().lower() for directive in self.cache_control.split(",")}
        return said.isdisjoint(_ANEW)


class BatchesQuery(PageQuery):
    cursor: Annotated[str, Field(pattern=r"^[0-9TZa-f-]{1,60}$")] | None = None


@endpoint(
    bp,
    "POST /api/ai/rl/reward",
    role=Role.VIEWER,
    summary="The reward of a proposed action by factor, before it is taken; or a ranking of many",
    answers=lambda: model.RewardAnswer,
)
def predict_reward(
    call: Call, body: "model.RewardQuestion", query: PredictionQuery, headers: RewardHeaders
) -> Raw:
    if headers.arm is not None and call.role < Role.OPERATOR:
        raise Forbidden("to choose an arm needs the role 'operator'")
    found = service.predict_reward(
        call.tenant, body, headers.visit(query), may_repeat=headers.may_repeat
    )
    return Raw(found.content, JSON, headers=found.headers)


@endpoint(
    bp,
    "POST /api/episodes",
    role=Role.OPERATOR,
    summary="Log up to 90 steps of episodes, each of which is written exactly once",
    status=201,
)
def log_episode(call: Call, body: "batches.NewSteps") -> "Answer[service.Logged]":
    logged = service.log_episode(call.tenant, body.steps)
    return Answer(logged, status=201 if logged.written else 200)


@endpoint(
    bp,
    "GET /api/episodes",
    role=Role.VIEWER,
    summary="Batches of logged steps, newest first",
)
def list_batches(call: Call, query: BatchesQuery) -> "Page[batches.Batch]":
    return service.list_batches(call.tenant, limit=query.limit, cursor=query.cursor)
