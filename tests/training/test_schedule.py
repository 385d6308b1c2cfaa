"""What is trained by itself: after enough new episodes, or with age, and never in a loop."""

from collections.abc import Callable

from chalicelib.registry import service as registry
from chalicelib.registry.model import ModelSettings
from chalicelib.training.model import Cause, State
from tests.builders.episodes import episode_lines
from tests.training.conftest import School
from tests.training.standin import Fault, Trainer


def test_enough_new_episodes_start_a_job(school: School):
    school.configure(retrain_after_episodes=60)
    school.log(60)

    school.retrain_due()

    job = school.job()
    assert (job.state, job.cause, job.actor) == (State.SUBMITTED, Cause.NEW_EPISODES, "schedule")
    assert "60 new episodes" in job.reason


def test_one_episode_less_starts_none(school: School, trainer: Trainer):
    school.configure(retrain_after_episodes=60)
    school.log(59)

    school.retrain_due()

    assert trainer.calls == []


def test_episodes_that_no_event_told_of_are_counted_first(school: School):
    school.configure(retrain_after_episodes=60)
    school.put("lost.jsonl", episode_lines(60))

    school.retrain_due()

    assert school.job().cause is Cause.NEW_EPISODES


def test_only_what_came_since_the_last_job_is_new(school: School):
    school.configure(retrain_after_episodes=60)
    school.log(100, name="a.jsonl")
    job = school.train()
    school.complete(job)
    school.follow()
    school.log(59, name="b.jsonl")

    school.retrain_due()
    before = school.standing().number
    school.log(1, name="c.jsonl")
    school.retrain_due()

    assert before == 1
    dataset = school.job().dataset
    assert school.job().number == 2
    assert dataset is not None
    assert dataset.episodes == 160


def test_an_old_model_is_trained_again_on_whatever_is_new(school: School):
    school.configure(every_days=7)
    school.log(60, name="a.jsonl")
    school.complete(school.train())
    school.follow()
    school.log(1, name="b.jsonl")

    school.retrain_due()
    before = school.standing().number
    school.turn_back(hours=7 * 24)
    school.retrain_due()

    assert before == 1
    assert school.job().cause is Cause.AGE


def test_an_old_model_with_nothing_new_is_a_skip_that_is_told_once_a_week(school: School):
    school.configure(every_days=7)
    school.log(60)
    school.complete(school.train())
    school.follow()
    school.turn_back(hours=7 * 24)

    for _ in range(3):
        school.retrain_due()
    skips = school.ledger().count("training.skipped")
    school.turn_back(hours=7 * 24)
    school.retrain_due()

    assert skips == 1
    assert school.ledger().count("training.skipped") == 2
    assert school.standing().number == 1


def test_a_failing_job_is_not_tried_again_before_the_cooldown(school: School, trainer: Trainer):
    school.configure(retrain_after_episodes=10, cooldown_s=3_600)
    school.log(60, name="a.jsonl")
    school.retrain_due()
    trainer.ends(school.job().name, "Failed", failure="AlgorithmError")
    school.follow()
    school.log(60, name="b.jsonl")

    school.retrain_due()
    before = school.standing().number
    school.turn_back(hours=1)
    school.retrain_due()

    assert before == 1
    assert school.standing().number == 2


def test_a_model_that_is_not_trained_is_left_alone(school: School, trainer: Trainer):
    registry.put_settings(school.tenant, school.model, ModelSettings(), actor="test")
    school.log(1_000)

    assert school.retrain_due() == {"failed": 0}
    assert trainer.calls == []


def test_one_model_that_cannot_be_trained_does_not_keep_the_others_from_it(
    make_school: Callable[[int], School], trainer: Trainer
):
    schools = [make_school(n) for n in range(2)]
    for school in schools:
        school.configure(retrain_after_episodes=10)
    schools[0].log(60)
    trainer.faults["CreateTrainingJob"] = Fault("ResourceLimitExceeded")

    schools[0].retrain_due()

    assert [school.job().state for school in schools] == [State.FAILED, State.FAILED]


def test_both_schedules_may_run_twice_at_once(school: School, trainer: Trainer):
    school.configure(retrain_after_episodes=10)
    school.log(60)

    for _ in range(2):
        school.retrain_due()
        school.follow()

    assert list(trainer.jobs) == [school.job().name]
    assert school.ledger() == ["training.requested", "training.submitted"]
