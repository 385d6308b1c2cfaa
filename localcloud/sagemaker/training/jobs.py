"""CreateTrainingJob and StopTrainingJob: which jobs may begin, and which may be stopped.
Nothing here carries a job out; runs.py does."""

import re

from localcloud.sagemaker.storage import Stage, State, TrainingJob
from localcloud.sagemaker.tags import put_tags
from localcloud.sagemaker.training.channels import look_for
from localcloud.sagemaker.training.runs import begin, put_job
from localcloud.sagemaker.training.views import find_job
from localcloud.sagemaker.wire import ApiError, JsonObject, ValidationException
from localcloud.sagemaker.world import ApiCall, World

ENDED = frozenset({"Completed", "Failed", "Stopped"})
CHECKPOINTS = "/opt/ml/checkpoints"
NOT_RUN_OFFLINE = frozenset(
    {
        *("DebugRuleConfigurations", "ProfilerRuleConfigurations", "TensorBoardOutputConfig"),
        *("RetryStrategy", "ServerlessJobConfig", "SessionChainingConfig", "ModelPackageConfig"),
        *("MlflowConfig", "RemoteDebugConfig", "ExperimentConfig"),
    }
)
"""Members that would change what happens; those that only say where it happens are kept."""
ALGORITHM_NOT_OFFLINE = frozenset({"AlgorithmName", "ContainerEntrypoint", "ContainerArguments"})
RESOURCES_NOT_OFFLINE = frozenset({"InstanceGroups", "TrainingPlanArn", "InstancePreferences"})


def create_training_job(world: World, call: ApiCall) -> JsonObject:
    request = {key: value for key, value in call.parameters.items() if key != "Tags"}
    name = request["TrainingJobName"]
    arn = world.settings.arn("training-job", name)
    _check(request)
    with world.store.reading() as state:
        _refuse_known(state, arn, name)
    channels: list[JsonObject] = request.get("InputDataConfig", [])
    look_for(channels, request["RoleArn"], region=world.settings.region, s3=world.s3)
    failing = call.fault("fail_creation")
    with world.store.changing() as state:
        _refuse_known(state, arn, name)
        put_tags(state, arn, call.parameters.get("Tags", []))
        now = world.clock.now()
        job = TrainingJob(
            name=name,
            arn=arn,
            request=request,
            status="InProgress",
            stages=(Stage(status="Starting", started_at=now),),
            run=state.next_number(),
            due_at=now + world.clock.state.delays_s.creating,
            created_at=now,
            modified_at=now,
            fails_with=failing.reason if failing else None,
        )
        put_job(world, state, job)
    begin(world, job)
    return {"TrainingJobArn": arn}


def stop_training_job(world: World, call: ApiCall) -> JsonObject:
    """Stopping a job that stops already changes nothing."""
    with world.store.changing() as state:
        job = find_job(state, call.parameters["TrainingJobName"])
        if job.status in ENDED:
            raise ValidationException(
                f"The request was rejected because the training job is in status {job.status}."
            )
        if job.status != "Stopping":
            put_job(world, state, job.entering("Stopping", world.clock.now(), status="Stopping"))
    world.trainer.ask_stop(job.name.lower())
    return {}


OPERATIONS = {"CreateTrainingJob": create_training_job, "StopTrainingJob": stop_training_job}


def _refuse_known(state: State, arn: str, name: str) -> None:
    if name.lower() in state.training_jobs:
        raise ApiError(
            "ResourceInUse",
            "Training job names must be unique within an AWS account and region, and a training"
            f" job with this name already exists ({arn})",
        )


def _check(request: JsonObject) -> None:
    """What AWS would refuse, and what it would do but we cannot."""
    _refuse_members(request, NOT_RUN_OFFLINE)
    if request.get("EnableManagedSpotTraining"):
        raise ValidationException("EnableManagedSpotTraining does not run offline.")
    _check_algorithm(request.get("AlgorithmSpecification", {}))
    _check_channels(request.get("InputDataConfig", []))
    resources = request.get("ResourceConfig", {})
    _refuse_members(resources, RESOURCES_NOT_OFFLINE)
    if "InstanceType" not in resources:
        raise ValidationException("InstanceType is required in the ResourceConfig.")
    if resources.get("InstanceCount", 1) != 1:
        raise ValidationException("Training on more than one instance does not run offline.")
    output = request["OutputDataConfig"]
    if output.get("CompressionType", "GZIP") != "GZIP":
        raise ValidationException("Uncompressed output does not run offline.")
    if request.get("CheckpointConfig", {}).get("LocalPath", CHECKPOINTS) != CHECKPOINTS:
        raise ValidationException(f"Checkpoints elsewhere than {CHECKPOINTS} do not run offline.")
    for uri in _addresses(request):
        if not uri.startswith("s3://"):
            raise ValidationException(f"Only s3:// addresses are known offline, not {uri!r}.")


def _check_algorithm(algorithm: JsonObject) -> None:
    _refuse_members(algorithm, ALGORITHM_NOT_OFFLINE)
    if "TrainingImage" not in algorithm:
        raise ValidationException("TrainingImage is required in the AlgorithmSpecification.")
    _refuse_mode(algorithm["TrainingInputMode"])
    for definition in algorithm.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            message = f"The regex of the metric {definition['Name']!r} is not valid: {error}"
            raise ValidationException(message) from error


def _check_channels(channels: list[JsonObject]) -> None:
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) < len(names):
        raise ValidationException("Channel names must be unique within a training job.")
    for channel in channels:
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            raise ValidationException("Only channels from S3 run offline.")
        if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            raise ValidationException(f"{source['S3DataType']} channels do not run offline.")
        _refuse_mode(channel.get("InputMode", "File"))
        _refuse_members(channel, frozenset({"ShuffleConfig"}))
        for member in ("CompressionType", "RecordWrapperType"):
            if channel.get(member, "None") != "None":
                raise ValidationException(f"{member} {channel[member]} does not run offline.")


def _refuse_mode(mode: str) -> None:
    if mode != "File":
        raise ValidationException(f"Input mode {mode} does not run offline, only File does.")


def _refuse_members(given: JsonObject, refused: frozenset[str]) -> None:
    for name in sorted(refused & given.keys()):
        raise ValidationException(f"{name} does not run offline.")


def _addresses(request: JsonObject) -> list[str]:
    channels = request.get("InputDataConfig", [])
    checkpoints = request.get("CheckpointConfig", {})
    return [
        request["OutputDataConfig"]["S3OutputPath"],
        *(channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in channels),
        *([checkpoints["S3Uri"]] if checkpoints else []),
    ]
