"""A job's checkpoints: restored from S3 before it trains, copied back while it does.
Deletions are copied, too, as SageMaker does."""

from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.sagemaker.buckets import delete_object, fetch_prefix, put_file

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Signature = tuple[int, int]


class Checkpoints:
    """Keeps an S3 prefix equal to a folder; without an address it does nothing."""

    def __init__(self, folder: Path, uri: str | None, *, s3: "S3Client") -> None:
        self._folder = folder
        self._uri = uri.rstrip("/") + "/" if uri else None
        self._s3 = s3
        self._copied: dict[str, Signature] = {}

    def restore(self) -> None:
        """Raises ObjectMissing when S3 cannot be read; an empty prefix is no error."""
        if self._uri is not None:
            fetch_prefix(self._uri, self._folder, s3=self._s3)
            self._copied = self._signatures()

    def copy(self) -> None:
        """Copy what has changed since the last time; raises UploadFailed."""
        if self._uri is None:
            return
        present = self._signatures()
        for name, signature in present.items():
            if self._copied.get(name) != signature:
                put_file(self._folder / name, self._uri + name, s3=self._s3)
                self._copied[name] = signature
        for name in self._copied.keys() - present.keys():
            delete_object(self._uri + name, s3=self._s3)
            del self._copied[name]

    def _signatures(self) -> dict[str, Signature]:
        """Time of change and size of each file, by its path in the folder."""
        found: dict[str, Signature] = {}
        for path in sorted(self._folder.rglob("*")):
            try:
                facts = path.stat()
            except FileNotFoundError:  # the job renamed or dropped it meanwhile
                continue
            if path.is_file():
                found[str(path.relative_to(self._folder))] = (facts.st_mtime_ns, facts.st_size)
        return found
