"""The second part: an experiment that promotes, one that rolls back, and a shadow.
How users ask and how the rule is let act is in `traffic` and `trial`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samples.demo import trial as trials
from samples.demo.doors import STATE, DemoFailed, Doors, say, step
from samples.demo.traffic import Holdout, Item, asking, read_holdout
from samples.demo.trial import Trial
from samples.demo.versions import upload, wait_until_live
from samples.picture import draw

MODEL = "recommendation"
PICTURE, ANALYSES = STATE / "experiment.svg", STATE / "experiment.json"
STEP_UNITS, BROKEN_STEP_UNITS = 350, 100
MOST_UNITS, BROKEN_MOST_UNITS = 1_000, 800
"""To go on to while the rule has not planned a number of units yet."""


@dataclass
class Outcome:
    """What the last lines print of this part."""

    promoted: Trial
    rolled_back: Trial


def play(doors: Doors, samples: Path) -> Outcome:
    holdout = read_holdout(samples, MODEL)
    promoted = _promote(doors, holdout)
    rolled_back = _roll_back(doors, samples, holdout)
    return Outcome(promoted, rolled_back)


def _payload(name: str, control: str, treatment: str) -> Item:
    """The guide's own, for every test of the demo."""
    return {
        "action": "create_test",
        "test_name": name,
        "model_name": MODEL,
        "control_version": control,
        "treatment_version": treatment,
        "traffic_split": 50,
        "duration_days": 14,
        "success_metrics": ["recommendation_accuracy", "user_satisfaction"],
    }


def _promote(doors: Doors, holdout: Holdout) -> Trial:
    step("Experiment: recommendation 1.1.0 against the champion 1.0.0")
    say(
        f"  {len(holdout.rows):,} held-out rows, made by samples/recommendation.py, play the users;"
    )
    say("  user_satisfaction follows from prediction and truth, and one user in three tells it")
    payload = _payload("recommendation_v1_vs_v2", "1.0.0", "1.1.0")
    trial = trials.start(doors, asking(doors, MODEL, holdout), payload=payload)
    trials.run(trial, step=STEP_UNITS, until_state="promoted", most_units=MOST_UNITS)
    say(f"  {trial.asked:,} users on {len(holdout.rows):,} rows: {_reuse(trial, holdout)}")
    _show_satisfaction(trial)
    _require_champion(doors, "1.1.0")
    _show_decision(trial)
    ANALYSES.write_text(json.dumps(trial.analyses, indent=1))
    draw(trial.analyses, PICTURE)
    say(f"  picture: {PICTURE}")
    return trial


def _roll_back(doors: Doors, samples: Path, holdout: Holdout) -> Trial:
    step("Experiment: a broken 1.2.0, trained on columns in another order, against 1.1.0")
    upload(doors, samples, MODEL, "1.2.0")
    wait_until_live(doors, MODEL, "1.2.0")
    payload = _payload("recommendation_v2_vs_broken", "1.1.0", "1.2.0")
    trial = trials.start(doors, asking(doors, MODEL, holdout), payload=payload)
    trials.run(
        trial, step=BROKEN_STEP_UNITS, until_state="rolled_back", most_units=BROKEN_MOST_UNITS
    )
    if not trial.analyses[-1]["verdict"]["reasons"][0].startswith("harm:"):
        raise DemoFailed(f"{trial.id} was rolled back for {trial.last['conclusion']}")
    say(f"  rolled back after {trial.units} units and {trial.seconds:.0f} s")
    _require_champion(doors, "1.1.0")
    _show_decision(trial)
    return trial


def _reuse(trial: Trial, holdout: Holdout) -> str:
    more = trial.asked - len(holdout.rows)
    return f"{more:,} rows served two users" if more > 0 else "no row served two users"


def _show_satisfaction(trial: Trial) -> None:
    told = trial.analyses[-1]["analysis"]["comparisons"]
    one = next(each for each in told if each["metric"] == "user_satisfaction")
    say(
        f"  user_satisfaction: {one['control_mean']:.2f} and {one['mean']:.2f} of 5, told by "
        f"{one['control_units']} and {one['units']} users"
    )


def _require_champion(doors: Doors, version: str) -> None:
    champion = doors.http("GET", f"/api/models/{MODEL}")["champion"]["version"]
    if champion != version:
        raise DemoFailed(f"the champion is {champion}, not {version}")
    say(f"  champion of {MODEL}: {champion}")


def _show_decision(trial: Trial) -> None:
    """The ledger's entry, and the same decision made again from what stands in it."""
    entry = trials.last_decision(trial)
    verdict = entry["facts"]["verdict"]
    say(
        f"  ledger {entry['seq']} {entry['action']} by {entry['actor']}: "
        f"{verdict['action']}, {', '.join(verdict['reasons'])}"
    )
    again: list[Any] = trial.doors.http("GET", trial.path("/replay"))["items"]
    if not again or not all(one["is_same"] for one in again):
        raise DemoFailed(f"replay says {again}")
    say(f"  replay: {len(again)} decisions made again, all the same")
