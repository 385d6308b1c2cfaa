"""Who answers a prediction: an experiment's arm, the version that was asked for, or the champion.
No endpoint is asked here, and nothing is told of the choice."""

from functools import cache
from typing import NamedTuple

from botocore.exceptions import ClientError

from chalicelib.experiments import assignment, traffic
from chalicelib.experiments import service as experiments
from chalicelib.experiments.model import ArmNotLive
from chalicelib.experiments.traffic import Chosen, Prepared
from chalicelib.kit import aws
from chalicelib.kit.errors import NotFound
from chalicelib.kit.secrets import BadSecret
from chalicelib.kit.settings import settings
from chalicelib.kit.telemetry import logger
from chalicelib.registry import service as registry
from chalicelib.registry.model import Live
from chalicelib.serving.model import NoChampion, Visit
from chalicelib.serving.routing import Question, RoutingTable


class Choice(NamedTuple):
    """chosen: in which experiment; None outside of any.

    copied: as whose answer the answer is copied to the experiment's other arm, if it is."""

    question: Question
    live: Live
    unit_hash: str | None = None
    chosen: Chosen | None = None
    copied: Chosen | None = None

    @property
    def is_counted(self) -> bool:
        return self.chosen is not None and not self.chosen.is_forced


def choose(tenant: str, model: str, visit: Visit, *, nonce: str) -> Choice:
    """nonce: of the prediction; stands for the unit of a copy where none was told.

    Raises NoChampion, ArmNotLive or UnknownArm (for a tester's arm only), or the registry's."""
    unit_hash = _hash(visit.unit)
    if visit.version is not None:
        question = Question(tenant, model, visit.version)
        return Choice(question, find_live(question), unit_hash)
    champion = Question(tenant, model)
    live = find_live(champion)  # first, so that nothing is kept of models that are none
    prepared = _prepared(tenant, model)
    if visit.arm is not None:
        return _forced(tenant, model, traffic.force(prepared, visit.arm), unit_hash)
    if unit_hash is None:
        return Choice(champion, live, copied=_shadowed(prepared, nonce, live.version))
    return _assigned(prepared, unit_hash, champion) or Choice(champion, live, unit_hash)


def find_live(question: Question) -> Live:
    """Raises NoChampion when nothing, or not the version, is in service."""
    table = _lives()
    live = table.find(question)
    if live is not None:
        return live
    try:
        live = registry.live(question.tenant, question.model, question.version)
    except (ClientError, *aws.NO_ANSWER):
        live = table.find_stale(question)
        if live is None:
            raise
        return live
    if live is None:
        asked = f"version {question.version!r}" if question.version else "no version"
        raise NoChampion(f"{asked} of model {question.model!r} is in service")
    table.put(question, live)
    return live


def forget(question: Question) -> None:
    _lives().forget(question)


def forget_all() -> None:
    for table in (_lives, _experiments, _absences):
        table.cache_clear()


def _hash(unit: str | None) -> str | None:
    """None also while the key of units cannot be read: the champion answers, nobody is counted."""
    if unit is None:
        return None
    try:
        return assignment.hash_unit(experiments.unit_key(), unit)
    except (ClientError, BadSecret, *aws.NO_ANSWER) as error:
        logger.error("unit_key_unreadable", error=type(error).__name__)
        return None


def _prepared(tenant: str, model: str) -> tuple[Prepared, ...]:
    """The model's running experiments; the last that were known while they cannot be read."""
    table, key = _experiments(), (tenant, model)
    prepared = table.find(key)
    if prepared is None:
        try:
            prepared = traffic.prepare(experiments.routes_of(tenant, model))
        except (ClientError, *aws.NO_ANSWER) as error:
            logger.warning("routes_unreadable", model=model, error=type(error).__name__)
            prepared = table.find_stale(key) or ()
        table.put(key, prepared)
    return prepared


def _assigned(prepared: tuple[Prepared, ...], unit_hash: str, champion: Question) -> Choice | None:
    chosen = traffic.choose(prepared, unit_hash)
    live = _find_arm(champion.tenant, champion.model, chosen.version) if chosen else None
    if chosen is None or live is None:
        return None
    question = champion._replace(version=chosen.version)
    copied = None if chosen.route.mode == "split" else chosen
    return Choice(question, live, unit_hash, chosen, copied)


def _forced(tenant: str, model: str, chosen: Chosen, unit_hash: str | None) -> Choice:
    live = _find_arm(tenant, model, chosen.version)
    if live is None:
        raise ArmNotLive(f"version {chosen.version!r} of arm {chosen.arm!r} is not in service")
    return Choice(Question(tenant, model, chosen.version), live, unit_hash, chosen)


def _find_arm(tenant: str, model: str, version: str) -> Live | None:
    """None when the arm's version is not in service, which is looked at once per time to live."""
    question = Question(tenant, model, version)
    if _absences().find(question):
        return None
    try:
        return find_live(question)
    except (NoChampion, NotFound, ClientError, *aws.NO_ANSWER) as error:
        logger.warning("arm_not_live", model=model, version=version, error=type(error).__name__)
        _absences().put(question, True)
        return None


def _shadowed(prepared: tuple[Prepared, ...], nonce: str, version: str) -> Chosen | None:
    """The copied control of a prediction without a unit: its nonce is a unit that comes once."""
    chosen = traffic.choose(prepared, nonce) if prepared else None
    is_control = chosen is not None and chosen.route.mode == "shadow" and chosen.version == version
    return chosen if is_control else None


@cache
def _lives() -> RoutingTable[Question, Live]:
    return RoutingTable(ttl_s=settings().routing_ttl_s)


@cache
def _experiments() -> RoutingTable[tuple[str, str], tuple[Prepared, ...]]:
    return RoutingTable(ttl_s=settings().routing_ttl_s)


@cache
def _absences() -> RoutingTable[Question, bool]:
    return RoutingTable(ttl_s=settings().routing_ttl_s)
