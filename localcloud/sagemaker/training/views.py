"""DescribeTrainingJob, ListTrainingJobs and the event of a job's state change.
Nothing here changes a job."""

import math

from localcloud.sagemaker.events import Announcement
from localcloud.sagemaker.lists import SortKey, matches_times, page_answer, select_page
from localcloud.sagemaker.storage import Stage, State, TrainingJob
from localcloud.sagemaker.wire import JsonObject, ValidationException
from localcloud.sagemaker.world import ApiCall, World

DEFAULT_MAX_RUNTIME_S = 86_400
MESSAGE_BY_STAGE = {
    "Starting": "Starting the training job",
    "Restarting": "Restarting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
NO_JOB_HAS = frozenset({"WarmPoolStatusEquals", "TrainingPlanArnEquals"})


def describe_training_job(world: World, call: ApiCall) -> JsonObject:
    with world.store.reading() as state:
        job = find_job(state, call.parameters["TrainingJobName"])
    return describe(job)


def list_training_jobs(world: World, call: ApiCall) -> JsonObject:
    """Oldest first unless asked otherwise, unlike the lists of endpoints."""
    asked = {"SortOrder": "Ascending"} | call.parameters
    with world.store.reading() as state:
        jobs = [job for job in state.training_jobs.values() if _is_asked(job, asked)]

    def key(job: TrainingJob) -> SortKey:
        match asked.get("SortBy"):
            case "Name":
                return (job.name,)
            case "Status":
                return (job.status, job.name)
            case _:
                return (job.created_at, job.name)

    page, token = select_page(jobs, asked, key=key)
    return page_answer("TrainingJobSummaries", [_summary(job) for job in page], token)


OPERATIONS = {
    "DescribeTrainingJob": describe_training_job,
    "ListTrainingJobs": list_training_jobs,
}


def find_job(state: State, name: str) -> TrainingJob:
    """AWS answers with a ValidationException, although its model names ResourceNotFound.

    https://github.com/aws/aws-sdk/issues/165
    """
    job = state.training_jobs.get(name.lower())
    if job is None:
        raise ValidationException("Requested resource not found.")
    return job


def model_address(job: TrainingJob) -> str:
    """Where the model is put when there is one."""
    return f"{output_address(job)}/model.tar.gz"


def output_address(job: TrainingJob) -> str:
    return f"{job.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job.name}/output"


def max_runtime_s(job: TrainingJob) -> int:
    condition = job.request.get("StoppingCondition", {})
    return condition.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_S)


def describe(job: TrainingJob) -> JsonObject:
    """The job as its callers see it; times are epoch seconds."""
    request = job.request
    defaults = {"CompressionType": "None", "RecordWrapperType": "None"}
    answer: JsonObject = {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        "ProfilingStatus": "Disabled",
        **request,
        "OutputDataConfig": {"CompressionType": "GZIP"} | request["OutputDataConfig"],
        "StoppingCondition": {"MaxRuntimeInSeconds": max_runtime_s(job)},
        **_summary(job),
        "ModelArtifacts": {"S3ModelArtifacts": model_address(job)},
        "SecondaryStatusTransitions": [_transition(stage) for stage in job.stages],
    }
    if "InputDataConfig" in request:
        answer["InputDataConfig"] = [defaults | one for one in request["InputDataConfig"]]
    if job.training_started_at is not None:
        answer["TrainingStartTime"] = job.training_started_at
    if job.training_started_at is not None and job.ended_at is not None:
        spent_s = max(1, math.ceil(job.ended_at - job.training_started_at))
        answer |= {"TrainingTimeInSeconds": spent_s, "BillableTimeInSeconds": spent_s}
    if job.failure_reason is not None:
        answer["FailureReason"] = job.failure_reason
    if job.metrics:
        answer["FinalMetricDataList"] = list(job.metrics)
    return answer


def announcement(job: TrainingJob, tags: dict[str, str]) -> Announcement:
    """The documented event: the description with times in epoch milliseconds, and the tags.

    https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
    """
    detail: JsonObject = _in_milliseconds(describe(job)) | {"Tags": tags}
    return Announcement(
        detail_type="SageMaker Training Job State Change",
        name=job.name,
        arn=job.arn,
        status=job.stage,
        at=job.modified_at,
        detail=detail,
    )


def _is_asked(job: TrainingJob, asked: JsonObject) -> bool:
    return (
        not NO_JOB_HAS & asked.keys()
        and asked.get("NameContains", "").lower() in job.name.lower()
        and asked.get("StatusEquals", job.status) == job.status
        and matches_times(asked, created_at=job.created_at, modified_at=job.modified_at)
    )


def _summary(job: TrainingJob) -> JsonObject:
    summary: JsonObject = {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created_at,
        "LastModifiedTime": job.modified_at,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.stage,
    }
    return summary if job.ended_at is None else summary | {"TrainingEndTime": job.ended_at}


def _transition(stage: Stage) -> JsonObject:
    transition: JsonObject = {
        "Status": stage.status,
        "StartTime": stage.started_at,
        "StatusMessage": MESSAGE_BY_STAGE[stage.status],
    }
    return transition if stage.ended_at is None else transition | {"EndTime": stage.ended_at}


def _in_milliseconds(answer: JsonObject) -> JsonObject:
    def convert(item: JsonObject) -> JsonObject:
        times = {name for name in item if name.endswith("Time") or name == "Timestamp"}
        return {name: int(value * 1000) if name in times else value for name, value in item.items()}

    converted = convert(answer)
    for name in ("SecondaryStatusTransitions", "FinalMetricDataList"):
        if name in converted:
            converted[name] = [convert(item) for item in converted[name]]
    return converted
