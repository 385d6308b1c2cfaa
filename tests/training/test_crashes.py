"""A process dies before and after each mutating call it makes; then its event comes again.
The end is that of a run without a crash: one job in SageMaker, one version, one entry each."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from tests.builders.crashes import die_at, moments, mutating_calls
from tests.training.conftest import School

Step = Callable[[School], object]


@dataclass(frozen=True)
class Scenario:
    given: tuple[Step, ...]
    act: Step
    """What the process does that dies; it is done again after the crash."""
    least_calls: int
    then: Step = lambda school: school.follow()


def complete(school: School) -> None:
    school.complete(school.job(), b"ours")


def upload_theirs(school: School) -> None:
    key = f"models/{school.model}/1.0.0/model.tar.gz"
    aws.s3().put_object(Bucket=settings().bucket, Key=key, Body=b"theirs")


def fail(school: School) -> None:
    school.trainer.ends(school.job().name, "Failed", failure="AlgorithmError: no reward")


def stopped(school: School) -> None:
    school.trainer.ends(school.job().name, "Stopped")
    school.follow()


SUBMITTED = (School.configure, School.train)
SCENARIOS = {
    "trigger": Scenario((School.configure,), lambda s: s.act("trigger_retraining"), 4),
    "skip": Scenario(
        (lambda s: s.configure(minimum_episodes=1_000),), lambda s: s.act("trigger_retraining"), 1
    ),
    "schedule": Scenario(
        (lambda s: s.configure(retrain_after_episodes=10),), lambda s: s.retrain_due(), 4
    ),
    "completed": Scenario((*SUBMITTED, complete), lambda s: s.tell(s.job()), 3),
    "version taken": Scenario((*SUBMITTED, complete, upload_theirs), lambda s: s.tell(s.job()), 4),
    "failed": Scenario((*SUBMITTED, fail), lambda s: s.tell(s.job()), 1),
    "stop": Scenario(
        SUBMITTED, lambda s: s.act("stop_job", job_name=s.job().name), 2, then=stopped
    ),
}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_crash_anywhere_ends_as_no_crash(name: str, make_school: Callable[[int], School]):
    scenario = SCENARIOS[name]
    whole = make_school(0)
    whole.log(60)
    prepare(scenario, [whole])
    calls = mutating_calls(lambda: scenario.act(whole))
    crashes = {make_school(n): at for n, at in enumerate(moments(calls), start=1)}

    for school, moment in crashes.items():
        prepare(scenario, [school])
        die_at(moment, lambda school=school: scenario.act(school))
        scenario.act(school)
    for school in (whole, *crashes):
        scenario.then(school)

    assert len(calls) >= scenario.least_calls, calls
    for school, moment in crashes.items():
        assert end_state(school) == end_state(whole), f"{moment} of {calls}"


def prepare(scenario: Scenario, schools: list[School]) -> None:
    for step in scenario.given:
        for school in schools:
            step(school)


def end_state(school: School) -> dict[str, object]:
    """Without names and times."""
    standing = school.standing()
    in_sagemaker = [name for name in school.trainer.jobs if f"-{school.model}-" in name]
    return {
        "jobs": [
            (job.state, job.version, job.dataset and job.dataset.episodes, job.failure)
            for job in school.jobs()
        ],
        "in_sagemaker": len(in_sagemaker),
        "standing": (standing.number, standing.is_open, standing.last_failed, standing.reserved),
        "skip": standing.skip,
        "ledger": school.ledger(),
        "versions": {version: school.archive(version) for version in school.versions()},
    }
