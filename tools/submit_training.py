"""Submit a SageMaker training job from a developer's machine through SageMaker's own SDK.
Run by `make submit-training` in an environment of its own; the product itself uses boto3 only."""

import argparse
import os
import sys
from urllib.parse import urlsplit

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.training.configs import (
    CheckpointConfig,
    Compute,
    InputData,
    OutputDataConfig,
    StoppingCondition,
)
from sagemaker.train import ModelTrainer

LONGEST_S = 3_600


def main() -> int:
    given = _read_arguments()
    if "AWS_ENDPOINT_URL" in os.environ:
        # It asks IAM to simulate the role's policies, which no emulator can.
        os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")
    session = Session(boto_session=boto3.Session(), default_bucket=given.bucket)
    trainer = ModelTrainer(
        training_image=given.image,
        role=given.role,
        base_job_name="reward",
        sagemaker_session=session,
        compute=Compute(instance_type=given.instance_type, instance_count=1, volume_size_in_gb=10),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=LONGEST_S),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{given.bucket}/training/by-hand"),
        checkpoint_config=CheckpointConfig(
            s3_uri=f"s3://{given.bucket}/training/by-hand/checkpoints/{os.getpid()}"
        ),
        hyperparameters=dict(each.split("=", 1) for each in given.hyperparameter),
    )
    trainer.train(
        input_data_config=[InputData(channel_name="episodes", data_source=given.episodes)],
        wait=True,
        logs=False,
    )
    job = trainer._latest_training_job  # the SDK has no other name for it
    job.refresh()
    print(f"{job.training_job_name}: {job.training_job_status}")
    if job.training_job_status != "Completed":
        print(job.failure_reason, file=sys.stderr)
        return 1
    archive = job.model_artifacts.s3_model_artifacts
    print(f"archive   {archive}")
    if given.version is not None:
        print(f"uploaded  {_upload(archive, given.bucket, given.model, given.version)}")
    return 0


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.submit_training", description=__doc__)
    parser.add_argument("--bucket", required=True, help="the stack's bucket")
    parser.add_argument("--role", required=True, help="ARN of the role that SageMaker assumes")
    parser.add_argument("--image", required=True, help="URI of the image of containers/ppo")
    parser.add_argument("--episodes", required=True, help="s3:// address of a prefix")
    parser.add_argument("--instance-type", default="ml.m5.large")
    parser.add_argument("--hyperparameter", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--model", default="reward")
    parser.add_argument("--version", help="upload the archive as this version of the model")
    return parser.parse_args()


def _upload(archive: str, bucket: str, model: str, version: str) -> str:
    source = urlsplit(archive)
    key = f"models/{model}/{version}/model.tar.gz"
    boto3.client("s3").copy_object(
        Bucket=bucket, Key=key, CopySource={"Bucket": source.netloc, "Key": source.path.lstrip("/")}
    )
    return f"s3://{bucket}/{key}"


if __name__ == "__main__":
    sys.exit(main())
