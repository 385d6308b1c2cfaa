"""Jobs that cannot go on: which are waited for, and which end so that others may begin."""

from collections.abc import Callable
from io import BytesIO

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from urllib3 import HTTPResponse

from chalicelib.kit import aws, tables
from chalicelib.kit.settings import settings
from chalicelib.training import store
from chalicelib.training.model import Job, State
from tests.training.conftest import School
from tests.training.standin import Fault, Trainer


def test_a_job_that_was_submitted_and_is_not_seen_yet_is_waited_for(
    school: School, trainer: Trainer
):
    school.configure()
    school.log(50)
    trainer.faults["CreateTrainingJob"] = Fault("ResourceInUse", is_after=True)
    trainer.faults["DescribeTrainingJob"] = Fault(
        "ValidationException", "Requested resource not found."
    )
    school.act("trigger_retraining")
    before = school.job().state
    trainer.faults.clear()

    school.follow()

    assert before is State.PREPARED
    assert school.job().state is State.SUBMITTED
    assert list(trainer.jobs) == [school.job().name]


def test_a_name_that_is_taken_by_what_nobody_ever_sees_fails(school: School, trainer: Trainer):
    school.configure()
    school.log(50)
    trainer.faults["CreateTrainingJob"] = Fault("ResourceInUse")
    school.act("trigger_retraining")
    school.age_job(hours=1)

    school.follow()

    failure = school.job().failure
    assert failure is not None
    assert failure.code == "name-taken"


def test_an_artifact_that_can_never_be_copied_does_not_keep_the_model_from_training(
    school: School, job: Job
):
    school.complete(job)
    aws.s3().meta.events.register("before-send.s3.CopyObject", _deny)

    school.follow()
    waiting = school.job().state
    school.age_job(hours=2)
    school.follow()

    failure = school.job().failure
    assert waiting is State.PUBLISHING
    assert failure is not None
    assert (failure.code, failure.detail) == (
        "given-up",
        "CopyObject: AccessDenied: made for a test",
    )
    assert not school.standing().is_open


def _deny(request: AWSPreparedRequest, **_: object) -> AWSResponse:
    text = "<Error><Code>AccessDenied</Code><Message>made for a test</Message></Error>"
    raw = HTTPResponse(body=BytesIO(text.encode()), preload_content=False)
    return AWSResponse(request.url, 403, {}, raw)


def test_a_job_that_cannot_even_be_read_keeps_no_other_waiting(
    make_school: Callable[[int], School], trainer: Trainer
):
    schools = [make_school(n) for n in range(2)]
    schools[0].log(60)
    for school in schools:
        school.configure()
        school.ask()
    _garble(schools[0])

    told = schools[0].follow()

    assert told == {"failed": 1}
    assert schools[1].job().state is State.SUBMITTED


def _garble(school: School) -> None:
    """As a release would see it that knows nothing of a later one's states."""
    found = store.read_job(school.tenant, school.model, 1)
    assert found is not None
    doc = found.row.doc.replace('"requested"', '"unheard-of"', 1)
    tables.commit([tables.replace(settings().control_table, found.row, doc)])
