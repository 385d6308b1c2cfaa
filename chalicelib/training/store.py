"""Keys and rows of training: jobs, where each model stands, files of episodes and their sums.
Conditional writes only; no rule about states lives here."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from chalicelib.kit import tables
from chalicelib.kit.settings import settings
from chalicelib.kit.tables import Key, Row, Write
from chalicelib.kit.values import Value
from chalicelib.training.model import Episodes, Job, Standing


class JobRow(NamedTuple):
    row: Row
    job: Job


class StandingRow(NamedTuple):
    row: Row | None
    standing: Standing


class EpisodesRow(NamedTuple):
    row: Row | None
    episodes: Episodes


class File(Value):
    """What one object under `episodes/` counts for."""

    key: str
    state: Literal["counted", "refused", "gone"]
    etag: str = ""
    """Of the bytes that were counted."""
    episodes: int = 0
    most: int = 0
    """Episodes in the fullest of the bytes that lay here before."""
    code: str | None = None
    detail: str | None = None
    """Why it is refused."""


class FileRow(NamedTuple):
    row: Row | None
    file: File | None


class Owner(Value):
    """Whose job a name is."""

    model: str
    number: int


def read_job(tenant: str, model: str, number: int) -> JobRow | None:
    row = tables.read(_table(), _job_key(tenant, model, number))
    return JobRow(row, Job.model_validate_json(row.doc)) if row else None


def create_job(tenant: str, job: Job) -> list[Write]:
    """The job's row, and the row that finds it by its name."""
    owner = Owner(model=job.model, number=job.number)
    return [
        tables.create(_table(), _job_key(tenant, job.model, job.number), job.model_dump_json()),
        tables.create(_table(), _owner_key(tenant, job.name), owner.model_dump_json()),
    ]


def replace_job(found: JobRow, job: Job) -> Write:
    return tables.replace(_table(), found.row, job.model_dump_json())


def jobs(tenant: str, model: str, *, below: int | None, page_size: int = 100) -> Iterator[Job]:
    """Newest first; `below` leaves out that number and all above it."""
    rows = tables.scan_partition(
        _table(),
        _jobs(tenant, model),
        after=_number(below) if below is not None else None,
        newest_first=True,
        page_size=page_size,
    )
    return (Job.model_validate_json(row.doc) for row in rows)


def owner_of(tenant: str, name: str) -> Owner | None:
    row = tables.read(_table(), _owner_key(tenant, name))
    return Owner.model_validate_json(row.doc) if row else None


def read_standing(tenant: str, model: str) -> StandingRow:
    row = tables.read(_table(), _standing_key(tenant, model))
    return StandingRow(row, Standing.model_validate_json(row.doc) if row else Standing(model=model))


def standings(tenant: str) -> Iterator[Standing]:
    rows = tables.scan_partition(_table(), f"{tenant}#training")
    return (Standing.model_validate_json(row.doc) for row in rows)


def put_standing(tenant: str, found: StandingRow, standing: Standing) -> Write:
    key = _standing_key(tenant, standing.model)
    return tables.put(_table(), key, found.row, standing.model_dump_json())


def read_file(tenant: str, key: str) -> FileRow:
    row = tables.read(_table(), _file_key(tenant, key))
    return FileRow(row, File.model_validate_json(row.doc) if row else None)


def files(tenant: str) -> Iterator[File]:
    rows = tables.scan_partition(_table(), _files(tenant), page_size=1_000)
    return (File.model_validate_json(row.doc) for row in rows)


def put_file(tenant: str, found: FileRow, file: File) -> Write:
    return tables.put(_table(), _file_key(tenant, file.key), found.row, file.model_dump_json())


def read_episodes(tenant: str) -> EpisodesRow:
    row = tables.read(_table(), _episodes_key(tenant))
    return EpisodesRow(row, Episodes.model_validate_json(row.doc) if row else Episodes())


def put_episodes(tenant: str, found: EpisodesRow, episodes: Episodes) -> Write:
    return tables.put(_table(), _episodes_key(tenant), found.row, episodes.model_dump_json())


def _table() -> str:
    return settings().control_table


def _number(number: int) -> str:
    return f"{number:09d}"


def _jobs(tenant: str, model: str) -> str:
    return f"{tenant}#training-jobs#{model}"


def _job_key(tenant: str, model: str, number: int) -> Key:
    return Key(_jobs(tenant, model), _number(number))


def _owner_key(tenant: str, name: str) -> Key:
    return Key(f"{tenant}#training-names", name)


def _standing_key(tenant: str, model: str) -> Key:
    return Key(f"{tenant}#training", model)


def _files(tenant: str) -> str:
    return f"{tenant}#episode-files"


def _file_key(tenant: str, key: str) -> Key:
    return Key(_files(tenant), key)


def _episodes_key(tenant: str) -> Key:
    return Key(f"{tenant}#episodes", "sums")
