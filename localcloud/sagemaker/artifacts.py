"""A model's bytes: fetched from S3, unpacked for the container, read-only.
Nothing here starts a process."""

import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.sagemaker.buckets import KeyEscapes, ObjectMissing, fetch_object, fetch_prefix
from localcloud.sagemaker.wire import JsonObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# stands in the generation's folder once its model is whole, so that a restart need not fetch again
DONE_MARK = "model.fetched"


class ModelDataMissing(Exception):
    """The model's data cannot be read from S3."""


class ModelDataBroken(Exception):
    """The model's data is not an archive that can be unpacked."""


def place_model(folder: Path, container: JsonObject, *, s3: "S3Client") -> None:
    """Fill folder/ml/model with the container's model data, unless that is already done."""
    mark = folder / DONE_MARK
    if mark.exists():
        return
    remove_model(folder)
    target = folder / "ml" / "model"
    target.mkdir(parents=True)
    uri, is_archive = _source(container)
    if uri is not None and is_archive:
        _unpack(uri, target, s3=s3)
    elif uri is not None:
        _copy_prefix(uri, target, s3=s3)
    _set_modes(target, folder_mode=0o555, file_mode=0o444)
    mark.touch()


def remove_model(folder: Path) -> None:
    """Take the model's bytes away; the logs stay."""
    (folder / DONE_MARK).unlink(missing_ok=True)
    if (folder / "ml").exists():
        _set_modes(folder / "ml", folder_mode=0o755, file_mode=0o644)
        shutil.rmtree(folder / "ml")


def _source(container: JsonObject) -> tuple[str | None, bool]:
    """The S3 address of the model data, and whether it is one archive."""
    if "ModelDataUrl" in container:
        return container["ModelDataUrl"], True
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        return None, False
    return source["S3Uri"], source["CompressionType"] == "Gzip"


def _unpack(uri: str, target: Path, *, s3: "S3Client") -> None:
    with tempfile.TemporaryFile() as file:
        try:
            fetch_object(uri, file, s3=s3)
        except ObjectMissing as error:
            raise ModelDataMissing(f"Could not find model data at {uri}.") from error
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:gz") as archive:
                archive.extractall(target, filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise ModelDataBroken(
                f'Failed to extract model data archive from URL "{uri}". Please ensure that the'
                " object located at the URL is a valid tar.gz archive."
            ) from error


def _copy_prefix(uri: str, target: Path, *, s3: "S3Client") -> None:
    try:
        count = fetch_prefix(uri, target, s3=s3)
    except ObjectMissing as error:
        raise ModelDataMissing(f"Could not find model data at {uri}.") from error
    except KeyEscapes as error:
        raise ModelDataBroken(str(error)) from error
    if not count:
        raise ModelDataMissing(f"Could not find model data at {uri}.")


def _set_modes(root: Path, *, folder_mode: int, file_mode: int) -> None:
    # folders on the way down: one without the write bit would refuse to be emptied
    for folder, _, names in os.walk(root):
        os.chmod(folder, folder_mode)
        for name in names:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(file_mode)
