"""How a job goes its way: fetched, trained, put away, settled; and found again after a restart.
Nothing here reads a request; jobs.py decides which job begins."""

import sys
import traceback
from functools import partial
from typing import Any, NamedTuple

from localcloud.sagemaker.buckets import KeyEscapes, ObjectMissing, UploadFailed, put_file
from localcloud.sagemaker.images import ImageNotFound, train_command
from localcloud.sagemaker.storage import State, TrainingJob
from localcloud.sagemaker.training.channels import ChannelMissing, fetch_channels
from localcloud.sagemaker.training.checkpoints import Checkpoints
from localcloud.sagemaker.training.folder import HOST, JobFolder
from localcloud.sagemaker.training.logs import LogStream
from localcloud.sagemaker.training.trainer import End, Limits
from localcloud.sagemaker.training.views import (
    announcement,
    max_runtime_s,
    model_address,
    output_address,
)
from localcloud.sagemaker.wards import Order
from localcloud.sagemaker.world import World

MAX_REASON_CHARS = 1024
STATUS_BY_LAST_STAGE = {"MaxRuntimeExceeded": "Stopped"}
"""Of the stages in which a job ends, the ones that the status does not repeat."""


class JobFailed(Exception):
    """The job ends as Failed; the message is its failure reason."""


class JobStopped(Exception):
    """StopTrainingJob came before the process was started."""


class ServerCloses(Exception):
    """The server stops; the job stays under way, and is run again after the next start."""


class Ending(NamedTuple):
    """The stage in which a job ends, and the reason of a failed one."""

    stage: str
    reason: str | None = None


def put_job(world: World, state: State, job: TrainingJob) -> None:
    """Keep the record and announce its stage; call it inside store.changing()."""
    state.training_jobs[job.name.lower()] = job
    world.announcer.announce(announcement(job, state.tags_by_arn.get(job.arn, {})))


def begin(world: World, job: TrainingJob) -> None:
    """Carry the job out in a thread of its own."""
    name = job.name.lower()
    world.trainer.begin(name, partial(_carry_out, world, name))


def resume(world: World) -> None:
    """After a start: run again what was under way, put away what was being stopped."""
    with world.store.changing() as state:
        jobs = [one for one in state.training_jobs.values() if one.ended_at is None]
        for job in jobs:
            if job.status == "InProgress":
                _restart(world, state, job)
    for job in jobs:
        begin(world, job)


def job_folder(world: World, job: TrainingJob) -> JobFolder:
    """The folder of the job's present attempt."""
    return JobFolder(world.settings.state_dir / "training" / job.name / str(job.run))


def _restart(world: World, state: State, job: TrainingJob) -> None:
    """In a new folder, because a killed server's process may still live for its grace."""
    job_folder(world, job).remove()
    again = job.model_copy(update={"run": state.next_number()})
    state.training_jobs[job.name.lower()] = again
    if job.stage not in ("Starting", "Restarting"):
        put_job(world, state, again.entering("Restarting", world.clock.now()))


def _carry_out(world: World, name: str) -> None:
    with world.store.reading() as state:
        job = state.training_jobs[name]
    folder = job_folder(world, job)
    try:
        ending = _work(world, job, folder)
    except ServerCloses:
        return
    except JobFailed as error:
        ending = Ending("Failed", str(error)[:MAX_REASON_CHARS])
    except Exception:  # the thread's last door: a job must not stay InProgress for a fault of ours
        traceback.print_exc(file=sys.stderr)
        ending = Ending("Failed", "InternalServerError: We encountered an internal error.")
    _settle(world, job, folder, ending)
    folder.remove()


def _work(world: World, job: TrainingJob, folder: JobFolder) -> Ending:
    end = None
    if job.status == "InProgress":
        try:
            end = _train(world, job, folder)
        except JobStopped:
            return Ending("Stopped")
    _enter(world, job, "Uploading")
    has_succeeded = end is not None and end.code == 0 and not end.is_overdue
    has_failed = end is not None and end.code != 0 and not (end.is_overdue or end.is_stopped)
    if has_succeeded or (folder.has_files("model") and not has_failed):
        _put(world, folder, "model", model_address(job))
    if folder.has_files("output/data"):
        _put(world, folder, "output/data", f"{output_address(job)}/output.tar.gz")
    if end is not None and has_failed:
        raise JobFailed(_failure_reason(folder, end.code))
    if end is not None and end.is_overdue:
        return Ending("MaxRuntimeExceeded")
    return Ending("Completed" if has_succeeded else "Stopped")


def _train(world: World, job: TrainingJob, folder: JobFolder) -> End:
    """Run the job's process to its end."""
    if not world.clock.wait_until(job.due_at):
        raise ServerCloses
    if job.fails_with is not None:
        raise JobFailed(job.fails_with)
    _enter(world, job, "Downloading", training_started_at=world.clock.now())
    uri = job.request.get("CheckpointConfig", {}).get("S3Uri")
    checkpoints = Checkpoints(folder.checkpoints, uri, s3=world.s3)
    order = _prepare(world, job, folder, checkpoints)
    _enter(world, job, "Training")
    stream = f"{job.name}/{HOST}-{int(world.clock.now())}"
    log = LogStream(folder.log_path, stream, world.settings)
    limits = Limits(
        runtime_s=max_runtime_s(job),
        grace_s=world.settings.training_stop_grace_s,
        tick_s=world.settings.checkpoint_sync_s,
    )
    try:
        on_tick = partial(_copy_on_the_way, checkpoints, log)
        end = world.trainer.run(job.name.lower(), order, limits, on_tick)
        checkpoints.copy()
    except OSError as error:
        raise JobFailed(f"AlgorithmError: the container could not be started: {error}") from error
    except UploadFailed as error:
        raise JobFailed(f"ClientError: Checkpoint upload failed:{error}") from error
    log.send(is_last=True)
    if world.trainer.is_closing:
        raise ServerCloses
    return end


def _prepare(world: World, job: TrainingJob, folder: JobFolder, checkpoints: Checkpoints) -> Order:
    """Fill the job's folder, and say how its container is started."""
    try:
        image = job.request["AlgorithmSpecification"]["TrainingImage"]
        command = train_command(image, world.settings)
        folder.lay_out(job)
        channels = job.request.get("InputDataConfig", [])
        fetch_channels(channels, folder.data, s3=world.s3)
        checkpoints.restore()
    except ImageNotFound as error:
        raise JobFailed(
            "ClientError: Cannot pull algorithm container. Either the image does not exist or its"
            f" permissions are incorrect: {error}"
        ) from error
    except ChannelMissing as error:
        raise JobFailed(str(error)) from error
    except (ObjectMissing, KeyEscapes) as error:
        raise JobFailed(f"ClientError: Checkpoint download failed:{error}") from error
    environment = job.request.get("Environment", {}) | {
        "SAGEMAKER_BASE_DIR": str(folder.base),
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.arn,
    }
    return Order(
        command=tuple(command),
        environment=environment,
        log_path=folder.log_path,
        grace_s=world.settings.stop_grace_s,
    )


def _copy_on_the_way(checkpoints: Checkpoints, log: LogStream) -> None:
    log.send()
    try:
        checkpoints.copy()
    except UploadFailed as error:  # the copy at the end is the one that must succeed
        print(f"checkpoints were not copied: {error}", file=sys.stderr, flush=True)


def _put(world: World, folder: JobFolder, name: str, uri: str) -> None:
    try:
        put_file(folder.pack(name), uri, s3=world.s3)
    except UploadFailed as error:
        raise JobFailed(f"ClientError: Artifact upload failed:{error}") from error


def _failure_reason(folder: JobFolder, code: int) -> str:
    ending = f", exit code: {code}"
    text = f"AlgorithmError: {folder.failure_text()}"
    return text[: MAX_REASON_CHARS - len(ending)] + ending


def _enter(world: World, job: TrainingJob, stage: str, **changes: Any) -> None:
    """Put the job's next stage; a stopped job goes into none but Uploading."""
    if world.trainer.is_closing:
        raise ServerCloses
    with world.store.changing() as state:
        current = state.training_jobs[job.name.lower()]
        if current.status == "Stopping" and stage != "Uploading":
            raise JobStopped
        put_job(world, state, current.entering(stage, world.clock.now(), **changes))


def _settle(world: World, job: TrainingJob, folder: JobFolder, ending: Ending) -> None:
    definitions = job.request["AlgorithmSpecification"].get("MetricDefinitions", [])
    now = world.clock.now()
    metrics = folder.find_metrics(definitions, at=now)
    with world.store.changing() as state:
        current = state.training_jobs[job.name.lower()]
        stage = "Stopped" if current.status == "Stopping" else ending.stage
        settled = current.entering(
            stage,
            now,
            status=STATUS_BY_LAST_STAGE.get(stage, stage),
            ended_at=now,
            failure_reason=ending.reason if stage == "Failed" else None,
            metrics=tuple(metrics),
        )
        put_job(world, state, settled)
