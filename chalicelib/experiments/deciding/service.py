"""Use cases of decisions: analyse what was counted, ask the rule, carry its verdict out, replay it.
The numbers are made in `analysis`, the verdict in `rule`; nothing here compares arms."""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, assert_never, cast

from chalicelib.experiments import lifecycle
from chalicelib.experiments.analysis.analysis import analyse
from chalicelib.experiments.analysis.bandit import next_shares
from chalicelib.experiments.analysis.report import (
    Analysis,
    Assessment,
    Recommendation,
    Replayed,
    Verdict,
)
from chalicelib.experiments.counting import sums
from chalicelib.experiments.counting.service import read_sums
from chalicelib.experiments.counting.sums import Sums
from chalicelib.experiments.deciding.rule import RULE, Standing, decide
from chalicelib.experiments.model import CONCLUDED, CONTROL, Experiment, State
from chalicelib.experiments.planning import sizing
from chalicelib.experiments.running import saving
from chalicelib.experiments.running import service as running
from chalicelib.experiments.store import ExperimentRow
from chalicelib.kit import tables
from chalicelib.kit.clock import timestamp, utc_now
from chalicelib.kit.telemetry import logger
from chalicelib.ledger import service as ledger
from chalicelib.ledger.model import Entry, Facts
from chalicelib.registry import service as registry
from chalicelib.stats import sequences

RULE_ACTOR = f"rule/{RULE}"
_DECIDED = "experiment.decided"
_ADVISED = "experiment.advised"
_MOST_PLAIN_BYTES = 40_000
_BATCHES = 25
"""A bandit's shares change so often on the way to its planned units."""


class _Seen(NamedTuple):
    """All that a verdict rests on."""

    experiment: Experiment
    sums: Sums
    standing: Standing
    at: datetime


def assess(tenant: str, experiment: str) -> Assessment:
    """Looks, and changes nothing: as often as one likes."""
    found = running.get(tenant, experiment)
    seen = _see(tenant, found)
    analysis, verdict = _judge(seen)
    return Assessment(
        analysis=analysis, verdict=verdict, recommendation=_recommendation(found, verdict)
    )


def advance(tenant: str, experiment: str) -> Verdict | None:
    """Ask the rule and do what it says; None for an experiment that is not running."""
    return tables.until_fresh(lambda: _advance_once(tenant, experiment))


def replay(tenant: str, experiment: str, *, limit: int = 100) -> list[Replayed]:
    """Make the decisions that the ledger keeps again, newest first."""
    running.get(tenant, experiment)
    page = ledger.entries(tenant, saving.subject_of(experiment), limit=limit, cursor=None)
    return list(_replayed(page.items))


def _advance_once(tenant: str, experiment: str) -> Verdict | None:
    row = saving.read(tenant, experiment)
    if row.experiment.state is not State.RUNNING:
        return None
    seen = _see(tenant, row.experiment)
    analysis, verdict = _judge(seen)
    if _is_prepared(tenant, row, analysis, verdict):
        _carry_out(tenant, row, seen, verdict)
        return verdict
    return _advance_once(tenant, experiment)


def _see(tenant: str, found: Experiment) -> _Seen:
    champion = registry.get_model(tenant, found.model).champion
    is_champion = champion is not None and champion.version == found.versions[CONTROL]
    live = [
        arm
        for arm, version in found.versions.items()
        if registry.live(tenant, found.model, version) is not None
    ]
    return _Seen(
        experiment=found,
        sums=read_sums(tenant, found.id),
        standing=Standing(control_is_champion=is_champion, live_arms=live),
        at=utc_now(),
    )


def _judge(seen: _Seen) -> tuple[Analysis, Verdict]:
    analysis = analyse(seen.experiment, seen.sums, now=seen.at)
    if seen.experiment.state in (State.RUNNING, State.PAUSED):
        return analysis, decide(seen.experiment, analysis, seen.standing)
    state = seen.experiment.state.value
    return analysis, Verdict(rule=RULE, action="continue", reasons=[state], harm_threshold=0.0)


def _is_prepared(tenant: str, row: ExperimentRow, analysis: Analysis, verdict: Verdict) -> bool:
    """False after the experiment was given its planned units, or its ramp's next step."""
    planned = _planned(row.experiment, analysis)
    if planned is not None:
        told: Facts = {"planned_units": planned.planned_units}
        saving.save(tenant, row, planned, actor=RULE_ACTOR, action="experiment.planned", facts=told)
        return False
    if verdict.action != "continue" or analysis.sample_ratio.alarms:
        return True  # what may be broken, or do harm, is shown to no more units
    further = lifecycle.next_ramp_step(row.experiment, now=analysis.at)
    if further is None:
        return True
    saving.save(tenant, row, further, actor=RULE_ACTOR, action="experiment.ramped")
    return False


def _planned(found: Experiment, analysis: Analysis) -> Experiment | None:
    """The experiment with its planned units, once the control says how its metric spreads."""
    if found.planned_units is not None:
        return None
    for one in analysis.comparisons:
        if one.role != "primary" or one.standard_error is None or one.control_mean is None:
            continue
        units = sequences.effective_units(one.control_units, one.units)
        planned = sizing.planned_units(
            found.definition, mean=one.control_mean, variance=one.standard_error**2 * units
        )
        if planned is not None:
            return found.model_copy(update={"planned_units": planned, "updated_at": analysis.at})
    return None


def _carry_out(tenant: str, row: ExperimentRow, seen: _Seen, verdict: Verdict) -> None:
    if verdict.action == "continue" and verdict.look is None:
        _reallocate(tenant, row, seen)
        return
    if not row.experiment.definition.acts and verdict.action != "continue":
        _advise(tenant, row, seen, verdict)
        return
    facts = _facts(seen, verdict)
    if verdict.action == "promote":
        assert verdict.arm is not None, "a promotion names its arm"
        running.crown(
            tenant,
            row.experiment.id,
            verdict.arm,
            actor=RULE_ACTOR,
            reason=_why(verdict),
            facts=facts,
            judged=row,
            look=verdict.look,
        )
    else:
        after = _after(_looked(row.experiment, verdict, seen.at), verdict, seen.at)
        saving.save(tenant, row, after, actor=RULE_ACTOR, action=_DECIDED, facts=facts)
    logger.info("experiment_decided", key=row.experiment.id, action=verdict.action)


def _advise(tenant: str, row: ExperimentRow, seen: _Seen, verdict: Verdict) -> None:
    """Nobody acts by itself: a look that does not promote is spent all the same, and one that does
    is told until a person promotes, or it is true no more."""
    if verdict.look is not None and verdict.action != "promote":
        looked, facts = _looked(row.experiment, verdict, seen.at), _facts(seen, verdict)
        saving.save(tenant, row, looked, actor=RULE_ACTOR, action=_ADVISED, facts=facts)
    logger.info("verdict_not_carried_out", key=row.experiment.id, action=verdict.action)


def _looked(found: Experiment, verdict: Verdict, at: datetime) -> Experiment:
    return lifecycle.take_look(found, verdict.look, now=at) if verdict.look else found


def _after(found: Experiment, verdict: Verdict, at: datetime) -> Experiment:
    match verdict.action:
        case "continue" | "promote":
            return found
        case "extend":
            return lifecycle.extend(found, now=at)
        case "stop":
            return lifecycle.conclude(found, State.STOPPED, why=_why(verdict), now=at)
        case "roll_back":
            others = [arm for arm in lifecycle.challengers_left(found) if arm != verdict.arm]
            if others and verdict.arm is not None:
                return lifecycle.reshare(found, lifecycle.without(found, verdict.arm), now=at)
            return lifecycle.conclude(found, State.ROLLED_BACK, why=_why(verdict), now=at)
        case _:
            assert_never(verdict.action)


def _reallocate(tenant: str, row: ExperimentRow, seen: _Seen) -> None:
    """A bandit's next batch, when the present one is full."""
    found = row.experiment
    if found.definition.allocation != "bandit":
        return
    phase = found.phases[-1].number
    units = sum(cell.units for (_, number), cell in seen.sums.items() if number == phase)
    # Nothing is planned before the first batch is full: only full batches say how units spread.
    batch = max((found.planned_units or 0) // _BATCHES, found.definition.least_units_per_arm)
    if units < batch:
        return
    after = lifecycle.reshare(found, next_shares(found, seen.sums), now=seen.at)
    saving.save(tenant, row, after, actor=RULE_ACTOR, action="experiment.reallocated")


def _why(verdict: Verdict) -> str:
    return f"{', '.join(verdict.reasons)} (rule {verdict.rule})"


def _recommendation(found: Experiment, verdict: Verdict) -> Recommendation:
    """In the words of the teams' own scripts."""
    if found.state in CONCLUDED:
        is_won = found.state is State.PROMOTED
        return "promote_to_production" if is_won else "archive_candidate"
    match verdict.action:
        case "promote":
            return "promote_to_production"
        case "continue" | "extend":
            return "continue_testing"
        case "roll_back" | "stop":
            return "archive_candidate"
        case _:
            assert_never(verdict.action)


def _facts(seen: _Seen, verdict: Verdict) -> Facts:
    """What `replay` makes the same verdict from: nothing else is needed."""
    cells = [[arm, phase, sums.dump(cell)] for (arm, phase), cell in seen.sums.items()]
    return {
        "rule": verdict.rule,
        "verdict": verdict.model_dump(mode="json"),
        "experiment": seen.experiment.model_dump(mode="json"),
        "standing": seen.standing.model_dump(mode="json"),
        "at": timestamp(seen.at),
        "sums": _packed(json.dumps(cells)),
    }


def _replayed(entries: list[Entry]) -> Iterator[Replayed]:
    for entry in entries:
        if "verdict" not in entry.facts:
            continue
        kept = Verdict.model_validate(entry.facts["verdict"])
        is_same = kept.rule == RULE and _judge(_seen_of(entry.facts))[1] == kept
        yield Replayed(
            seq=entry.seq, at=entry.at, action=kept.action, rule=kept.rule, is_same=is_same
        )


def _seen_of(facts: Facts) -> _Seen:
    cells = cast(list[tuple[str, int, str]], json.loads(_unpacked(str(facts["sums"]))))
    return _Seen(
        experiment=Experiment.model_validate(facts["experiment"]),
        sums={(arm, phase): sums.load(doc) for arm, phase, doc in cells},
        standing=Standing.model_validate(facts["standing"]),
        at=datetime.fromisoformat(str(facts["at"])),
    )


def _packed(text: str) -> str:
    """As it is, or compressed when many phases and segments make it long."""
    if len(text) <= _MOST_PLAIN_BYTES:
        return text
    return "zlib:" + b64encode(zlib.compress(text.encode(), 9)).decode()


def _unpacked(text: str) -> str:
    packed = text.removeprefix("zlib:")
    return text if packed == text else zlib.decompress(b64decode(packed)).decode()
