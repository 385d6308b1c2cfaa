"""A SageMaker whose training jobs end as a test says; everything else is the shared cloud's."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.kit import aws, tables
from chalicelib.kit.clock import utc_now
from chalicelib.kit.settings import settings
from chalicelib.ledger import service as ledger
from chalicelib.registry import service as registry
from chalicelib.registry.model import ModelSettings
from chalicelib.training import service, store, triggers
from chalicelib.training.model import Cause, Episodes, Job, Standing
from tests.builders import events
from tests.builders.episodes import episode_lines
from tests.builders.http import Context
from tests.conftest import forget_everything
from tests.training.standin import Trainer, training


@pytest.fixture
def trainer() -> Iterator[Trainer]:
    with training() as started:
        yield started


@pytest.fixture
def tenant(tenant: str, trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", trainer.url)
    forget_everything()
    return tenant


class School:
    """A model that is trained: what a test does to it, and what it can see of it."""

    def __init__(self, tenant: str, model: str, trainer: Trainer) -> None:
        self.tenant, self.model, self.trainer = tenant, model, trainer

    def configure(self, **training_: Any) -> None:
        given = {"image": "sommelier-ppo:1", "training": {"cooldown_s": 0, **training_}}
        settings_ = ModelSettings.model_validate(given)
        registry.put_settings(self.tenant, self.model, settings_, actor="test")

    def put(self, name: str, content: bytes) -> dict[str, Any]:
        """Upload a file of episodes, telling nobody; the event that S3 would send."""
        key = f"episodes/{self.tenant}/{name}"
        aws.s3().put_object(Bucket=settings().bucket, Key=key, Body=content)
        return events.object_created(settings().bucket, key)

    def log(self, episodes: int, *, name: str = "batch.jsonl") -> None:
        """Upload so many finished episodes, and tell of it."""
        triggers.on_episode_file(self.put(name, episode_lines(episodes)), None)

    def act(self, action: str, *, token: str = "call-1", **members: Any) -> Any:
        """Invoke `model-retraining-trigger`; `token` is Lambda's id of the invocation."""
        event = {"action": action, "model_name": self.model, **members}
        return triggers.model_retraining_trigger(event, Context(token, left_ms=100_000))

    def ask(self) -> Job:
        """Have the job written down, and nothing done yet."""
        arguments = {"cause": Cause.REQUEST, "reason": "", "actor": "test"}
        asked = service.ask(self.tenant, self.model, **arguments).job
        assert asked is not None
        return asked

    def train(self, *, token: str = "call-1") -> Job:
        """Ask for a job and see it submitted."""
        answer = self.act("trigger_retraining", token=token)
        assert answer["result"]["status"] == "requested", answer
        return self.job()

    def job(self, number: int | None = None) -> Job:
        number = number or self.standing().number
        found = store.read_job(self.tenant, self.model, number)
        assert found is not None
        return found.job

    def jobs(self) -> list[Job]:
        return list(store.jobs(self.tenant, self.model, below=None))

    def standing(self) -> Standing:
        return store.read_standing(self.tenant, self.model).standing

    def episodes(self) -> Episodes:
        return store.read_episodes(self.tenant).episodes

    def complete(self, job: Job, content: bytes = b"trained") -> None:
        """The container wrote a model; nobody is told."""
        self.leave_model(job, content)
        self.trainer.ends(job.name, "Completed")

    def leave_model(self, job: Job, content: bytes = b"trained") -> None:
        key = f"training/{job.name}/output/model.tar.gz"
        aws.s3().put_object(Bucket=settings().bucket, Key=key, Body=content)

    def tell(self, job: Job, status: str = "Completed") -> dict[str, Any]:
        event = events.training_job_changed(job.name, status=status)
        return triggers.on_training_job_state_change(event, None)

    def follow(self) -> dict[str, Any]:
        return triggers.follow_training_jobs(events.scheduled(), None)

    def retrain_due(self) -> dict[str, Any]:
        return triggers.retrain_due_models(events.scheduled(), None)

    def archive(self, version: str) -> bytes | None:
        key = f"models/{self.model}/{version}/model.tar.gz"
        found = aws.find_object(settings().bucket, key)
        return found["Body"].read() if found else None

    def versions(self) -> list[str]:
        """Of this model, that lie in S3 as uploads."""
        prefix = f"models/{self.model}/"
        listed = aws.s3().list_objects_v2(Bucket=settings().bucket, Prefix=prefix)
        return [one["Key"].split("/")[2] for one in listed.get("Contents", [])]

    def ledger(self, subject: str | None = None) -> list[str]:
        """Actions about training, oldest first."""
        named = subject or f"model/{self.model}"
        page = ledger.entries(self.tenant, named, limit=200, cursor=None)
        found = [entry.action for entry in page.items[::-1]]
        return [action for action in found if action.startswith(("training.", "episodes."))]

    def turn_back(self, *, hours: float) -> None:
        """Let so much time pass for what the model and its last job wait for."""
        by = timedelta(hours=hours)
        found = store.read_standing(self.tenant, self.model)
        standing = found.standing
        update = {
            name: getattr(standing, name) and getattr(standing, name) - by
            for name in ("requested_at", "looked_at")
        }
        tables.commit([store.put_standing(self.tenant, found, standing.model_copy(update=update))])

    def age_job(self, *, hours: float) -> None:
        found = store.read_job(self.tenant, self.model, self.standing().number)
        assert found is not None
        update = {"updated_at": utc_now() - timedelta(hours=hours)}
        tables.commit([store.replace_job(found, found.job.model_copy(update=update))])

    def manifest(self, job: Job) -> list[Any]:
        assert job.dataset is not None
        found = aws.s3().get_object(Bucket=settings().bucket, Key=job.dataset.manifest)
        return json.loads(found["Body"].read())


@pytest.fixture
def school(tenant: str, model: str, trainer: Trainer) -> School:
    return School(tenant, model, trainer)


@pytest.fixture
def make_school(tenant: str, trainer: Trainer) -> Callable[[int], School]:
    """Further models of the same tenant, by number."""
    return lambda number: School(tenant, f"{tenant}x{number}", trainer)


@pytest.fixture
def job(school: School) -> Job:
    """Submitted, and under way in SageMaker."""
    school.configure()
    school.log(60)
    return school.train()
