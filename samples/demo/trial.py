"""One experiment of the demo: users and labels in steps, and after each the schedule's function.
The script never decides: it waits until the rule has, and fails when the rule does not."""

import time
from dataclasses import dataclass, field
from typing import Any

from samples.demo.doors import DemoFailed, Doors, say, until
from samples.demo.traffic import Ask, Item, give, give_as_file

ROUTES_ARE_KNOWN_AFTER_S = 2.5
"""Serving keeps what it knows of experiments for two seconds."""
_FIRST_USERS = 4
"""Asked and counted before all others: functions start cold, and a rush would start many."""
_CONCLUDED = {"promoted", "rolled_back", "stopped"}
_SCHEDULED = {
    "version": "0",
    "id": "00000000-0000-0000-0000-000000000000",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:events:us-east-1:123456789012:rule/advance-experiments"],
    "detail": {},
}
"""What the schedule sends; nothing of it is used."""
_COLUMNS = (
    f"  {'units':>6}  {'control':>7}  {'treatm.':>7}  {'lift':>6}  {'always-valid 95 %':<17}  "
    f"{'p':>7}  {'chance':>6}  {'z / boundary':<13}  verdict"
)


@dataclass
class Trial:
    """What is known of one experiment while it runs, and of its end."""

    doors: Doors
    id: str
    ask: Ask
    asked: int = 0
    analyses: list[Any] = field(default_factory=list[Any])
    """One for each step, with the verdict that was carried out."""
    last: Any = None
    """The experiment as it stands."""
    seconds: float = 0.0

    @property
    def units(self) -> int:
        return self.analyses[-1]["analysis"]["units"]

    @property
    def planned_units(self) -> int | None:
        return self.last["planned_units"] if self.last else None

    def path(self, rest: str = "") -> str:
        return f"/api/experiments/{self.id}{rest}"


def start(doors: Doors, ask: Ask, *, payload: Item) -> Trial:
    """payload: of the action `create_test`, as the Lambda function takes it."""
    answer = doors.invoke("ab-test-manager", payload)
    if answer["status"] != "ok":
        raise DemoFailed(f"ab-test-manager answered {answer}")
    test = answer["result"]
    say(f"  {test['test_id']}: {test['status']}, {test['traffic_split']:g} % of the users")
    time.sleep(ROUTES_ARE_KNOWN_AFTER_S)
    return Trial(doors, test["test_id"], ask)


def define(doors: Doors, ask: Ask, *, definition: Item) -> Trial:
    """definition: of `POST /api/experiments`, which takes more than the Lambda function does."""
    made = doors.http("POST", "/api/experiments", definition)
    say(f"  {made['id']}: {made['state']}")
    time.sleep(ROUTES_ARE_KNOWN_AFTER_S)
    return Trial(doors, made["id"], ask)


def run(trial: Trial, *, step: int, until_state: str, most_units: int) -> None:
    """Users in steps until the rule concludes; DemoFailed when it says another thing, or too late.

    most_units: until the rule has planned a number; then the planned one counts.
    """
    started_at = time.monotonic()
    items = _begin(trial, step=step)
    say(_COLUMNS)
    while trial.asked <= (trial.planned_units or most_units):
        give(trial.doors, items)
        say(_decide(trial))
        trial.seconds = time.monotonic() - started_at
        if trial.last["state"] == until_state:
            return
        if trial.last["state"] in _CONCLUDED:
            raise DemoFailed(f"{trial.id} is {trial.last['state']}: {trial.last['conclusion']}")
        items = _asked(trial, step)
    raise DemoFailed(f"{trial.id} is not {until_state} after {trial.units} units")


def _begin(trial: Trial, *, step: int) -> list[Item]:
    """A few users, then the others of the first step; what is not yet said of these is left."""
    give(trial.doors, _asked(trial, _FIRST_USERS))
    until(lambda: _counted(trial), what="the count of the first labels")
    return _send_some_as_file(trial, _asked(trial, step - _FIRST_USERS))


def _asked(trial: Trial, count: int) -> list[Item]:
    """The labels of so many more users."""
    users = range(trial.asked + 1, trial.asked + count + 1)
    told = trial.ask(users)
    strangers = [user for user, its in told.experiment_by_user.items() if its != trial.id]
    if strangers:
        raise DemoFailed(f"users {strangers[:5]} are not in the experiment {trial.id}")
    trial.asked += count
    return told.items


def _send_some_as_file(trial: Trial, items: list[Item]) -> list[Item]:
    """The first fifty go as a file, the rest is left."""
    report = give_as_file(trial.doors, items[:50], name=trial.id)
    say(
        f"    feedback-reports/{report['key']}.json: {report['lines']} lines, "
        f"{report['accepted']} accepted, {report['refused']} refused"
    )
    return items[50:]


def _decide(trial: Trial) -> str:
    """Wait until all is counted, let the rule act, and tell what it saw and did as one line."""
    seen = until(lambda: _counted(trial), what=f"the count of {trial.asked} labels")
    looks = len(trial.last["looks"]) if trial.last else 0
    answer = trial.doors.invoke("advance-experiments", _SCHEDULED)
    if answer != {"failed": 0}:
        raise DemoFailed(f"advance-experiments answered {answer}")
    trial.last = trial.doors.http("GET", trial.path())
    if len(trial.last["looks"]) > looks or trial.last["state"] in _CONCLUDED:
        seen = {**seen, "verdict": last_decision(trial)["facts"]["verdict"]}
    trial.analyses.append(seen)
    return _line(seen)


def _counted(trial: Trial) -> Any:
    seen = trial.doors.http("GET", trial.path("/analysis"))
    told = seen["analysis"]
    primary = next(one for one in told["comparisons"] if one["role"] == "primary")
    labelled = primary["control_units"] + primary["units"]
    return seen if told["units"] >= trial.asked and labelled >= trial.asked else None


def last_decision(trial: Trial) -> Any:
    """The newest entry of the ledger that holds a verdict."""
    page = trial.doors.http("GET", f"/api/ledger?subject=experiment/{trial.id}&limit=20")
    for entry in page["items"]:
        if "verdict" in entry["facts"]:
            return entry
    raise DemoFailed(f"the ledger holds no decision of {trial.id}")


def _line(seen: Any) -> str:
    told, verdict = seen["analysis"], seen["verdict"]
    one = next(each for each in told["comparisons"] if each["role"] == "primary")
    looked = verdict["look"] is not None
    boundary = "none" if verdict["boundary"] is None else f"{verdict['boundary']:.2f}"
    at_look = f"{verdict['z']:.2f} / {boundary}" if looked else "-"
    return (
        f"  {told['units']:>6}  {_number(one['control_mean'], '.3f'):>7}  "
        f"{_number(one['mean'], '.3f'):>7}  {_number(one['lift'], '+.1%'):>6}  "
        f"{_bounds(one['lift_sequence']):<17}  {_number(one['always_valid_p'], '.1g'):>7}  "
        f"{_number(one['chance_to_beat'], '.3f'):>6}  {at_look:<13}  "
        f"{verdict['action']}: {', '.join(verdict['reasons'])}"
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _bounds(interval: Any) -> str:
    if interval is None:
        return "-"
    return f"{_number(interval['low'], '+.1%')} .. {_number(interval['high'], '+.1%')}"
