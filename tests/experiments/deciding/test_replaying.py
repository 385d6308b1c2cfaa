"""Decisions made again from the numbers that the ledger keeps beside them: the same, or not."""

import json

import pytest

from chalicelib.experiments.analysis.report import Replayed
from chalicelib.experiments.deciding import service as deciding
from chalicelib.experiments.events import SCALE
from chalicelib.kit import tables
from chalicelib.ledger import store as ledger_rows
from tests.experiments.conftest import Trial

BETTER = {"control": 3.0, "treatment": 4.0}
WORSE = {"control": 4.0, "treatment": 2.0}
SAME = {"control": 3.0, "treatment": 3.0}
PROMISING = {"control": 3.0, "treatment": 3.175}


def replayed(trial: Trial) -> list[Replayed]:
    return deciding.replay(trial.tenant, trial.get().id)


@pytest.mark.parametrize(
    ("means", "action"),
    [(BETTER, "promote"), (WORSE, "roll_back"), (SAME, "stop"), (PROMISING, "extend")],
    ids=["promote", "roll back", "stop", "extend"],
)
def test_a_decision_is_made_again_from_what_stands_beside_it(
    trial: Trial, means: dict[str, float], action: str
):
    trial.begin(may_extend=True)
    trial.tell(means)
    trial.advance()

    assert [(one.action, one.is_same) for one in replayed(trial)] == [(action, True)]


def test_a_decision_with_another_number_beside_it_is_not_the_same(trial: Trial):
    trial.begin()
    trial.tell(BETTER)
    trial.advance()
    kept = trial.entries()[0]
    cells = json.loads(str(kept.facts["sums"]))
    control = json.loads(cells[0][2])
    control["metrics"]["quality_score"][1] += SCALE
    cells[0][2] = json.dumps(control)
    facts = {**kept.facts, "sums": json.dumps(cells)}

    changed = kept.model_copy(update={"seq": kept.seq + 1, "facts": facts})
    tables.commit([ledger_rows.create(trial.tenant, changed)])

    assert [one.is_same for one in replayed(trial)] == [False, True]


def test_a_decision_of_another_rule_is_not_the_same(trial: Trial):
    trial.begin()
    trial.tell(SAME)
    trial.advance()
    kept = trial.entries()[0]
    verdict = {**kept.facts["verdict"], "rule": "r0"}

    changed = kept.model_copy(
        update={"seq": kept.seq + 1, "facts": {**kept.facts, "verdict": verdict}}
    )
    tables.commit([ledger_rows.create(trial.tenant, changed)])

    assert (replayed(trial)[0].rule, replayed(trial)[0].is_same) == ("r0", False)


def test_many_sums_are_kept_small_and_made_again(trial: Trial):
    secondary = [f"metric_{number}" for number in range(20)]
    segments = [f"segment-{number}" for number in range(20)]
    trial.begin(secondary=secondary, segments=segments)
    trial.put_sums(
        one.model_copy(
            update={
                "kind": "exposure",
                "segment": segments[number % 20],
                "ticks": one.ticks | dict.fromkeys(secondary, 10**19 + number),
            }
        )
        for number, one in enumerate(trial.scores(SAME))
    )

    trial.advance()

    kept = str(trial.entries()[0].facts["sums"])
    assert kept.startswith("zlib:")
    assert len(kept) < 40_000
    assert [one.is_same for one in replayed(trial)] == [True]
