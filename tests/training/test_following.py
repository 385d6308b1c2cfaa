"""From a job in SageMaker to the next version, or to the reason why there is none."""

import itertools

import pytest

from chalicelib.training.model import Job, State
from tests.builders.crashes import together
from tests.training.conftest import School
from tests.training.standin import Fault, Trainer


def test_a_completed_job_becomes_the_first_version(school: School, job: Job):
    school.complete(job, b"weights")

    school.tell(job)

    ended = school.job()
    assert (ended.state, ended.version) == (State.COMPLETED, "1.0.0")
    assert school.archive("1.0.0") == b"weights"
    assert school.ledger()[-1] == "training.completed"
    assert school.ledger(f"job/{job.name}") == [
        "training.requested",
        "training.submitted",
        "training.completed",
    ]


def test_without_any_event_the_schedule_sees_it(school: School, job: Job):
    school.complete(job)

    school.follow()

    assert school.job().state is State.COMPLETED


EVENTS = ["InProgress", "Completed", "Stopped"]


@pytest.mark.parametrize("order", list(itertools.permutations(EVENTS)), ids="-".join)
def test_what_events_say_and_when_changes_nothing(school: School, job: Job, order: tuple[str, ...]):
    school.tell(job, order[0])
    school.complete(job)

    for status in (*order, *order):
        school.tell(job, status)

    assert school.job().version == "1.0.0"
    assert school.versions() == ["1.0.0"]
    assert school.ledger().count("training.completed") == 1


def test_a_job_under_way_stays_under_way(school: School, job: Job):
    school.tell(job)

    assert school.job().state is State.SUBMITTED
    assert school.versions() == []


def test_a_job_of_someone_else_is_none_of_ours(school: School):
    other = Job.model_construct(name="other-job")

    assert school.tell(other) == {"is_ours": False}


def test_a_failed_job_says_why_in_the_containers_words(school: School, job: Job, trainer: Trainer):
    said = "AlgorithmError: LogRefused: episodes/a.jsonl line 3 has no reward, exit code: 1"
    trainer.ends(job.name, "Failed", failure=said)

    school.tell(job, "Failed")

    failure = school.job().failure
    assert school.job().state is State.FAILED
    assert failure is not None
    assert (failure.code, failure.detail) == ("training-failed", said)
    assert school.versions() == []


def test_the_longest_reason_is_kept_in_part(school: School, job: Job, trainer: Trainer):
    trainer.ends(job.name, "Failed", failure="x" * 1_024)

    school.follow()

    failure = school.job().failure
    assert failure is not None
    assert len(failure.detail) == 1_000


def test_after_a_failure_the_next_job_has_the_next_number(
    school: School, job: Job, trainer: Trainer
):
    trainer.ends(job.name, "Failed", failure="AlgorithmError")
    school.follow()

    again = school.train(token="call-2")

    assert again.number == 2
    assert trainer.jobs[again.name]["HyperParameters"]["seed"] == "2"


def test_a_job_out_of_time_that_left_a_model_becomes_a_version(
    school: School, job: Job, trainer: Trainer
):
    school.leave_model(job)
    trainer.ends(job.name, "Stopped", detail="MaxRuntimeExceeded")

    school.tell(job, "Stopped")

    assert school.job().version == "1.0.0"


def test_a_job_out_of_time_that_left_none_is_stopped(school: School, job: Job, trainer: Trainer):
    trainer.ends(job.name, "Stopped", detail="MaxRuntimeExceeded")

    school.tell(job, "Stopped")

    failure = school.job().failure
    assert school.job().state is State.STOPPED
    assert failure is not None
    assert "MaxRuntimeExceeded" in failure.detail


def test_a_completed_job_without_a_model_failed(school: School, job: Job, trainer: Trainer):
    trainer.ends(job.name, "Completed")

    school.tell(job)

    failure = school.job().failure
    assert failure is not None
    assert failure.code == "artifact-missing"


@pytest.mark.parametrize("status", ["Stopped", "Completed"])
def test_what_was_stopped_by_hand_becomes_no_version(
    school: School, job: Job, trainer: Trainer, status: str
):
    answer = school.act("stop_job", job_name=job.name)
    school.leave_model(job)
    trainer.ends(job.name, status)

    school.tell(job, status)

    assert answer["result"]["state"] == "submitted"
    assert trainer.calls.count("StopTrainingJob") >= 1
    assert school.job().state is State.STOPPED
    assert school.versions() == []


def test_a_stop_before_submitting_needs_nothing_of_sagemaker(school: School, trainer: Trainer):
    school.configure()
    school.log(60)
    job = school.ask()

    answer = school.act("stop_job", job_name=job.name)

    assert answer["result"]["state"] == "stopped"
    assert trainer.calls == []


def test_a_stop_while_it_is_being_submitted_stops_what_was_submitted(
    school: School, trainer: Trainer
):
    school.configure()
    school.log(60)
    trainer.faults["CreateTrainingJob"] = Fault("ThrottlingException", is_after=True)
    trainer.faults["DescribeTrainingJob"] = Fault("ThrottlingException")
    job = school.train()
    trainer.faults.clear()

    school.act("stop_job", job_name=job.name)

    assert job.state is State.PREPARED
    assert trainer.jobs[job.name]["TrainingJobStatus"] == "Stopping"


def test_a_stop_twice_is_one_and_a_stop_after_the_end_is_refused(
    school: School, job: Job, trainer: Trainer
):
    for _ in range(2):
        school.act("stop_job", job_name=job.name)
    trainer.ends(job.name, "Stopped")
    school.follow()
    stopped = school.act("stop_job", job_name=job.name)
    again = school.train(token="call-2")
    school.complete(again)
    school.follow()

    refused = school.act("stop_job", job_name=again.name)

    assert stopped["result"]["state"] == "stopped"
    assert refused["error"]["code"] == "training-over"
    assert school.ledger().count("training.stop_asked") == 1


def test_a_job_that_is_not_seen_at_once_is_waited_for(school: School, job: Job, trainer: Trainer):
    kept = trainer.jobs.pop(job.name)
    school.follow()
    waiting = school.job().state
    trainer.jobs[job.name] = kept
    school.complete(job)

    school.follow()

    assert waiting is State.SUBMITTED
    assert school.job().state is State.COMPLETED


def test_a_job_that_somebody_deleted_failed(school: School, job: Job, trainer: Trainer):
    trainer.jobs.clear()
    school.age_job(hours=1)

    school.follow()

    failure = school.job().failure
    assert failure is not None
    assert failure.code == "job-missing"


def test_while_sagemaker_does_not_answer_a_job_waits(school: School, job: Job, trainer: Trainer):
    school.complete(job)
    trainer.faults["DescribeTrainingJob"] = Fault("ThrottlingException")
    school.follow()
    waiting = school.job().state
    trainer.faults.clear()

    school.follow()

    assert waiting is State.SUBMITTED
    assert school.job().state is State.COMPLETED


def test_many_that_see_the_end_at_once_make_one_version(school: School, job: Job):
    school.complete(job)

    together([lambda: school.tell(job)] * 4 + [school.follow] * 2)

    assert school.versions() == ["1.0.0"]
    assert school.ledger().count("training.completed") == 1
