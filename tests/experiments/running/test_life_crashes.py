"""A process dies before and after each mutating call of a move; then the move is made again.
The end is that of a run without a crash: nothing is half done, told twice, or leaked."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from chalicelib.experiments import watching
from chalicelib.experiments.deciding import service as deciding
from chalicelib.experiments.running import service as running
from tests.builders.crashes import die_at, moments, mutating_calls
from tests.experiments.conftest import Trial

Step = Callable[[Trial], object]


@dataclass(frozen=True)
class Scenario:
    given: tuple[Step, ...]
    act: Step
    """What the process does that dies; it is done again after the crash."""
    least_calls: int = 1


def begin(**fields: object) -> Step:
    return lambda trial: trial.begin(**fields)


def tell(**means: float) -> Step:
    return lambda trial: trial.tell(means)


def named(use_case: Callable[..., object], **given: object) -> Step:
    return lambda trial: use_case(trial.tenant, trial.get().id, actor="test", **given)


def advance(trial: Trial) -> object:
    return deciding.advance(trial.tenant, trial.get().id)


REASON = {"reason": "because"}
BETTER = tell(control=3.0, treatment=4.0)
LIVE = (lambda trial: trial.put_live("1.2.0"), lambda trial: trial.put_live("1.3.0"))
FOUR = [
    {"name": "a", "version": "1.1.0"},
    {"name": "b", "version": "1.2.0"},
    {"name": "c", "version": "1.3.0"},
]
SCENARIOS = {
    "create": Scenario((), lambda trial: trial.draft()),
    "create and start": Scenario((), begin(), least_calls=2),
    "launch": Scenario(
        (), lambda trial: running.launch(trial.tenant, trial.define(), actor="test")
    ),
    "pause": Scenario((begin(),), named(running.pause, **REASON)),
    "promote by hand": Scenario((begin(),), named(running.promote, arm=None, **REASON)),
    "promote by the rule": Scenario((begin(), BETTER), advance),
    "plan and promote": Scenario(
        (begin(planned_units=None, minimal_effect=5.0), BETTER), advance, least_calls=2
    ),
    "reshare": Scenario(
        (begin(),), named(running.reshare, shares={"control": 0.9, "treatment": 0.1}, **REASON)
    ),
    "retire losers": Scenario(
        (*LIVE, begin(challengers=FOUR), named(running.promote, arm="a", **REASON)),
        lambda trial: watching.retire_losers(trial.tenant, trial.get().id),
        least_calls=3,
    ),
    "roll back by the rule": Scenario((begin(), tell(control=4.0, treatment=2.0)), advance),
    "start": Scenario((lambda trial: trial.draft(),), named(running.start)),
    "stop": Scenario((begin(),), named(running.stop, **REASON)),
}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_crash_anywhere_ends_as_no_crash(name: str, make_trial: Callable[[int], Trial]):
    scenario = SCENARIOS[name]
    whole = prepared(scenario, make_trial(0))
    calls = mutating_calls(partial(scenario.act, whole))

    for number, moment in enumerate(moments(calls), start=1):
        trial = prepared(scenario, make_trial(number))
        died = die_at(moment, partial(scenario.act, trial))
        scenario.act(trial)

        assert died
        assert trial.ending() == whole.ending(), f"{moment} of {calls}"
    assert len(calls) >= scenario.least_calls, calls


def prepared(scenario: Scenario, trial: Trial) -> Trial:
    for step in scenario.given:
        step(trial)
    return trial
