"""Which version a trained model becomes: the next one, and never somebody else's."""

from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from urllib3 import HTTPResponse

from chalicelib.deployments import triggers as deployments
from chalicelib.kit import aws
from chalicelib.kit.settings import settings
from chalicelib.registry import service as registry
from chalicelib.training.model import Job
from tests.builders import events
from tests.builders.archives import make_archive
from tests.builders.crashes import Moment, die_at
from tests.training.conftest import School


def test_each_job_takes_the_next_minor_version(school: School, world: Any):
    school.configure()
    school.log(60)
    versions: list[str | None] = []
    for number in range(3):
        job = school.train(token=f"call-{number}")
        school.complete(job, f"{number}".encode())
        school.tell(job)
        versions.append(school.job().version)

    assert versions == ["1.0.0", "1.1.0", "1.2.0"]


def test_a_version_that_was_taken_once_is_not_taken_again(school: School, job: Job):
    school.complete(job)
    school.follow()
    key = f"models/{school.model}/1.0.0/model.tar.gz"
    aws.s3().delete_object(Bucket=settings().bucket, Key=key)
    again = school.train(token="call-2")
    school.complete(again)

    school.follow()

    assert school.job().version == "1.1.0"


def test_the_next_version_is_above_what_is_registered(school: School, job: Job, world: Any):
    deployments.on_upload(world.put_archive("3.4.5", make_archive({"weights": b"1"})), None)
    school.complete(job)

    school.follow()

    assert school.job().version == "3.5.0"


@pytest.mark.parametrize("is_told", [False, True])
def test_a_version_that_somebody_uploads_first_is_left_to_them(
    school: School, job: Job, world: Any, is_told: bool
):
    school.complete(job, b"ours")
    theirs = world.put_archive("1.0.0", make_archive({"weights": b"theirs"}))
    if is_told:
        deployments.on_upload(theirs, None)

    school.follow()

    assert school.job().version == "1.1.0"
    assert school.archive("1.1.0") == b"ours"
    assert school.archive("1.0.0") != b"ours"


def test_a_version_that_came_and_went_is_not_taken(school: School, job: Job, world: Any):
    """Registered from an upload that was deleted while the version was reserved for the job."""
    school.complete(job)
    die_at(Moment(1, after=True), school.follow)
    deployments.on_upload(world.put_archive("1.0.0", make_archive({"weights": b"1"})), None)
    aws.s3().delete_object(
        Bucket=settings().bucket, Key=f"models/{school.model}/1.0.0/model.tar.gz"
    )

    school.follow()

    assert school.job().version == "1.1.0"


def test_an_upload_between_our_look_and_our_copy_is_not_written_over(
    school: School, job: Job, world: Any
):
    """The offline S3 passes the copy's condition over; here it answers as AWS documents."""
    school.complete(job, b"ours")
    pending = [world.model]

    def upload_first(request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        if not pending:
            return None
        world.put_archive("1.0.0", pending.pop().encode())
        assert request.headers["If-None-Match"] in ("*", b"*")
        refusal = BytesIO(b"<Error><Code>PreconditionFailed</Code><Message/></Error>")
        told = HTTPResponse(refusal, status=412, preload_content=False)
        return AWSResponse(request.url, 412, {}, told)

    aws.s3().meta.events.register("before-send.s3.CopyObject", upload_first)

    school.follow()

    assert school.job().version == "1.1.0"
    assert school.archive("1.0.0") == world.model.encode()
    assert school.archive("1.1.0") == b"ours"


def test_the_artifact_is_registered_as_any_upload_is(school: School, job: Job, world: Any):
    school.complete(job, make_archive({"manifest.json": b"{}"}))
    school.tell(job)
    key = f"models/{school.model}/1.0.0/model.tar.gz"

    deployments.on_upload(events.object_created(settings().bucket, key), None)

    version = registry.get_version(school.tenant, school.model, "1.0.0")
    assert version.archive is not None
    assert version.archive.files == ["manifest.json"]
