"""What the ledger says of a training job, in the trail of its model and in its own.
The rows come with the change they tell of; nothing is written here."""

from pydantic import JsonValue

from chalicelib.kit.tables import Write
from chalicelib.ledger import service as ledger
from chalicelib.ledger.model import Facts, Note
from chalicelib.training.model import Job, Skip


def job_writes(tenant: str, job: Job, action: str, *, actor: str) -> list[Write]:
    note = Note(actor=actor, action=f"training.{action}", facts=_facts(job))
    subjects = (f"model/{job.model}", f"job/{job.name}")
    return [row for subject in subjects for row in ledger.writes(tenant, subject, [note])]


def skip_writes(tenant: str, model: str, skip: Skip, *, actor: str, reason: str) -> list[Write]:
    facts: Facts = {**skip.model_dump(mode="json"), "reason": reason}
    note = Note(actor=actor, action="training.skipped", facts=facts)
    return ledger.writes(tenant, f"model/{model}", [note])


def _facts(job: Job) -> Facts:
    optional: dict[str, JsonValue] = {
        "dataset": job.dataset.model_dump() if job.dataset else None,
        "version": job.version,
        "failure": job.failure.model_dump() if job.failure else None,
        "stop_asked_by": job.stop_asked_by,
    }
    told = {name: value for name, value in optional.items() if value is not None}
    return {"job": job.name, "cause": job.cause.value, "reason": job.reason, **told}
