"""From a request to a job in SageMaker: exactly one, whoever asks, or the reason for none."""

from collections.abc import Callable

import pytest

from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from chalicelib.registry import service as registry
from chalicelib.registry.model import ModelSettings
from chalicelib.training.model import State
from tests.builders.crashes import together
from tests.builders.episodes import episode_lines
from tests.training.conftest import School
from tests.training.standin import Fault, Trainer


def test_sagemaker_is_asked_for_what_the_settings_say(school: School, trainer: Trainer):
    school.configure(
        instance_type="ml.c5.xlarge",
        volume_gb=5,
        max_runtime_s=600,
        hyperparameters={"ppo_steps": "1000"},
    )
    school.log(60)

    job = school.train()

    asked = trainer.jobs[job.name]
    bucket = settings().bucket
    assert asked["AlgorithmSpecification"]["TrainingImage"] == "sommelier-ppo:1"
    assert asked["RoleArn"] == settings().sagemaker_role_arn
    assert asked["HyperParameters"] == {"seed": "1", "ppo_steps": "1000"}
    assert asked["OutputDataConfig"]["S3OutputPath"] == f"s3://{bucket}/training"
    assert asked["CheckpointConfig"]["S3Uri"] == f"s3://{bucket}/training/{job.name}/checkpoints"
    assert asked["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}
    assert asked["ResourceConfig"] == {
        "InstanceType": "ml.c5.xlarge",
        "InstanceCount": 1,
        "VolumeSizeInGB": 5,
    }


def test_the_manifest_names_every_file_that_can_be_learnt_from(school: School, trainer: Trainer):
    school.configure()
    school.log(30, name="a.jsonl")
    school.put("2026/b with space.jsonl", episode_lines(30))
    school.put("bad.jsonl", b"none")

    job = school.train()

    source = trainer.jobs[job.name]["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    start = f"s3://{settings().bucket}/episodes/{school.tenant}/"
    assert school.manifest(job) == [{"prefix": start}, "2026/b with space.jsonl", "a.jsonl"]
    assert job.dataset is not None
    assert (job.dataset.objects, job.dataset.episodes) == (2, 60)
    assert source["S3DataType"] == "ManifestFile"
    assert source["S3Uri"] == f"s3://{settings().bucket}/{job.dataset.manifest}"


def test_the_models_own_seed_wins(school: School, trainer: Trainer):
    school.configure(hyperparameters={"seed": "7"})
    school.log(50)

    assert trainer.jobs[school.train().name]["HyperParameters"] == {"seed": "7"}


def test_fewer_episodes_than_needed_are_a_recorded_skip(school: School, trainer: Trainer):
    school.configure()
    school.log(49)

    answer = school.act("trigger_retraining", reason="Performance degradation detected")

    skip = answer["result"]["skip"]
    assert answer["result"]["status"] == "skipped"
    assert (skip["code"], skip["episodes"], skip["minimum_episodes"]) == (
        "too-few-episodes",
        49,
        50,
    )
    assert school.ledger() == ["training.skipped"]
    assert trainer.calls == []


def test_a_second_request_is_skipped_while_the_first_is_under_way(school: School, trainer: Trainer):
    school.configure()
    school.log(50)
    job = school.train()

    answer = school.act("trigger_retraining", token="call-2")

    assert answer["result"]["skip"]["code"] == "already-training"
    assert answer["result"]["skip"]["job"] == job.name
    assert school.ledger() == ["training.requested", "training.submitted", "training.skipped"]


def test_a_request_in_the_cooldown_is_skipped(school: School):
    school.configure(cooldown_s=3_600)
    school.log(50)
    job = school.train()
    school.complete(job)
    school.follow()

    answer = school.act("trigger_retraining", token="call-2")

    assert answer["result"]["skip"]["code"] == "cooldown"
    school.turn_back(hours=2)
    assert school.act("trigger_retraining", token="call-3")["result"]["status"] == "requested"


def test_the_same_invocation_again_gets_the_same_answer(school: School):
    school.configure()
    school.log(49)

    skips = [school.act("trigger_retraining")["result"] for _ in range(2)]
    school.log(1, name="more.jsonl")
    jobs = [school.act("trigger_retraining", token="call-2")["result"] for _ in range(2)]

    assert skips[0] == skips[1]
    assert jobs[0]["job"]["name"] == jobs[1]["job"]["name"]
    assert school.ledger() == ["training.skipped", "training.requested", "training.submitted"]


def test_a_model_without_training_settings_is_refused(school: School):
    registry.put_settings(school.tenant, school.model, ModelSettings(), actor="test")

    answer = school.act("trigger_retraining")

    assert answer["error"]["code"] == "training-not-configured"


@pytest.mark.parametrize(
    "fault",
    [Fault("ThrottlingException"), Fault("InternalFailure", status=500)],
    ids=lambda fault: fault.code,
)
def test_what_sagemaker_cannot_do_now_is_done_by_the_schedule(
    school: School, trainer: Trainer, fault: Fault
):
    school.configure()
    school.log(50)
    trainer.faults["CreateTrainingJob"] = fault

    before = school.train().state
    trainer.faults.clear()
    school.follow()

    assert before is State.PREPARED
    assert school.job().state is State.SUBMITTED
    assert list(trainer.jobs) == [school.job().name]


def test_a_call_that_was_carried_out_and_not_answered_makes_no_second_job(
    school: School, trainer: Trainer
):
    school.configure()
    school.log(50)
    trainer.faults["CreateTrainingJob"] = Fault("InternalFailure", status=500, is_after=True)
    trainer.faults["DescribeTrainingJob"] = Fault("InternalFailure", status=500)
    before = school.train().state
    trainer.faults.clear()

    school.follow()

    assert before is State.PREPARED
    assert school.job().state is State.SUBMITTED
    assert list(trainer.jobs) == [school.job().name]


@pytest.mark.parametrize("code", ["ValidationException", "ResourceLimitExceeded"])
def test_a_job_that_sagemaker_refuses_failed_in_its_words(
    school: School, trainer: Trainer, code: str
):
    school.configure()
    school.log(50)
    trainer.faults["CreateTrainingJob"] = Fault(code, "limit of ml.m5.large is 0 Instances")

    answer = school.act("trigger_retraining")

    failure = answer["result"]["job"]["failure"]
    assert answer["result"]["job"]["state"] == "failed"
    assert failure["code"] == "sagemaker-refused"
    assert failure["detail"] == f"{code}: limit of ml.m5.large is 0 Instances"
    assert school.ledger() == ["training.requested", "training.failed"]


def test_after_a_refusal_a_person_may_ask_again_at_once(school: School, trainer: Trainer):
    school.configure(cooldown_s=3_600)
    school.log(50)
    trainer.faults["CreateTrainingJob"] = Fault("ValidationException")
    school.act("trigger_retraining")
    trainer.faults.clear()

    answer = school.act("trigger_retraining", token="call-2")

    assert answer["result"]["job"]["number"] == 2
    assert answer["result"]["job"]["state"] == "submitted"


@pytest.mark.parametrize("code", ["ResourceInUse", "ResourceLimitExceeded"])
def test_a_refusal_because_it_was_submitted_before_is_none(
    school: School, trainer: Trainer, code: str
):
    school.configure()
    school.log(50)
    trainer.faults["CreateTrainingJob"] = Fault(code, is_after=True)

    school.act("trigger_retraining")

    assert school.job().state is State.SUBMITTED


def test_a_job_of_our_name_that_learns_from_something_else_is_not_ours(
    school: School, trainer: Trainer
):
    school.configure()
    school.log(50)
    name = school.ask().name
    trainer.jobs[name] = {"TrainingJobStatus": "InProgress", "TrainingJobName": name}

    school.follow()

    failure = school.job().failure
    assert failure is not None
    assert failure.code == "name-taken"


def test_episodes_that_went_since_they_were_counted_are_not_trained_on(
    school: School, trainer: Trainer
):
    school.configure()
    school.log(50)
    school.ask()
    key = f"episodes/{school.tenant}/batch.jsonl"
    aws.s3().delete_object(Bucket=settings().bucket, Key=key)

    school.follow()

    failure = school.job().failure
    assert failure is not None
    assert failure.code == "too-few-episodes"
    assert trainer.calls == []


def test_of_many_triggers_at_once_one_starts_a_job(school: School, trainer: Trainer):
    school.configure()
    school.log(50)

    together(
        [
            lambda n=n: school.act("trigger_retraining", token=f"call-{n}")  # one each
            for n in range(5)
        ]
    )

    assert list(trainer.jobs) == [school.job().name]
    assert [job.number for job in school.jobs()] == [1]
    assert sorted(school.ledger()) == [
        "training.requested",
        *["training.skipped"] * 4,
        "training.submitted",
    ]


def test_models_are_trained_side_by_side(make_school: Callable[[int], School], trainer: Trainer):
    schools = [make_school(n) for n in range(3)]
    for school in schools:
        school.configure()
    schools[0].log(50)

    together([lambda school=school: school.act("trigger_retraining") for school in schools])

    assert sorted(trainer.jobs) == sorted(school.job().name for school in schools)
