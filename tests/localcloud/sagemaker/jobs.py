"""Builders and readers of training jobs for tests: what they ask, await and find in S3.
Nothing here asserts."""

import io
import itertools
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

BUCKET = "models"
ROLE = "arn:aws:iam::123456789012:role/sagemaker"
GIVE_UP_AFTER_S = 30
NUMBERS = itertools.count(1)


def await_true(is_true: Callable[[], object], what: str) -> None:
    give_up_at = time.monotonic() + GIVE_UP_AFTER_S
    while not is_true():
        if time.monotonic() > give_up_at:
            raise TimeoutError(what)
        time.sleep(0.02)


class JobBench:
    """What a bench does with training jobs; its clients come with it."""

    sagemaker: Any
    s3: Any
    control: Any

    def name(self, kind: str) -> str:
        return f"{kind}-{next(NUMBERS)}"

    def put_channel(self, **text_by_name: str) -> str:
        """Upload the objects under a prefix of their own; return its address."""
        prefix = self.name("channel")
        for name, text in (text_by_name or {"data": "1"}).items():
            self.s3.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=text)
        return f"s3://{BUCKET}/{prefix}"

    def job_request(self, **changes: Any) -> dict[str, Any]:
        """What CreateTrainingJob takes, for the trainee unless told otherwise."""
        return {
            "TrainingJobName": self.name("job"),
            "AlgorithmSpecification": {
                "TrainingImage": "sommelier-trainee:1",
                "TrainingInputMode": "File",
            },
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/jobs/"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 10,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            **changes,
        }

    def begin_job(self, *, wishes: Mapping[str, str] | None = None, **changes: Any) -> str:
        """A job under way; wishes are its hyperparameters."""
        request = self.job_request(**changes)
        if wishes is not None:
            request["HyperParameters"] = dict(wishes)
        self.sagemaker.create_training_job(**request)
        return request["TrainingJobName"]

    def describe_job(self, job: str) -> dict[str, Any]:
        return self.sagemaker.describe_training_job(TrainingJobName=job)

    def settle_job(self, job: str) -> dict[str, Any]:
        """Wait until the job has ended; return the description."""
        moving = {"InProgress", "Stopping"}
        await_true(lambda: self.describe_job(job)["TrainingJobStatus"] not in moving, job)
        return self.describe_job(job)

    def run_job(self, **options: Any) -> dict[str, Any]:
        return self.settle_job(self.begin_job(**options))

    def await_stage(self, job: str, stage: str) -> None:
        await_true(lambda: self.describe_job(job)["SecondaryStatus"] == stage, stage)

    def await_words(self, job: str, words: str) -> None:
        """Wait until the job's log holds the words."""
        (log,) = [one["log"] for one in self.control.jobs() if one["job"] == job]
        await_true(lambda: Path(log).exists() and words in Path(log).read_text(), words)

    def read_archive(self, uri: str) -> dict[str, str]:
        """The text of each file of an archive in S3."""
        with tarfile.open(fileobj=io.BytesIO(self.read_object(uri)), mode="r:gz") as archive:
            files = [(member.name, archive.extractfile(member)) for member in archive]
            return {name: file.read().decode() for name, file in files if file is not None}

    def read_object(self, uri: str) -> bytes:
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def list_keys(self, uri: str) -> list[str]:
        bucket, prefix = uri.removeprefix("s3://").split("/", 1)
        answer = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [item["Key"].removeprefix(prefix) for item in answer.get("Contents", [])]
