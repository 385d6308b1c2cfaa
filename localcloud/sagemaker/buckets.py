"""S3 as containers need it: objects into files and folders, files back into objects.
Nothing here knows models or jobs; callers put what failed into AWS's words."""

from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class ObjectMissing(Exception):
    """Nothing can be read at the address; the message is S3's."""


class UploadFailed(Exception):
    """S3 did not take the object; the message is S3's."""


class KeyEscapes(Exception):
    """A key's place would lie outside the folder that it is fetched into."""


def split_uri(uri: str) -> tuple[str, str]:
    """The bucket and the key or prefix of an s3:// address."""
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")


def fetch_object(uri: str, file: IO[bytes], *, s3: "S3Client") -> None:
    bucket, key = split_uri(uri)
    try:
        s3.download_fileobj(bucket, key, file)
    except (ClientError, BotoCoreError) as error:
        raise ObjectMissing(str(error)) from error


def list_keys(uri: str, *, s3: "S3Client", most: int | None = None) -> list[str]:
    """The keys that begin with the address's; all, or the first ones."""
    bucket, prefix = split_uri(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, PaginationConfig={"MaxItems": most} if most else {}
    )
    try:
        return [item.get("Key", "") for page in pages for item in page.get("Contents", [])]
    except (ClientError, BotoCoreError) as error:
        raise ObjectMissing(str(error)) from error


def fetch_file(uri: str, target: Path, name: str, *, s3: "S3Client") -> None:
    """Fetch an object to target/name."""
    place = (target / name).resolve()
    if not place.is_relative_to(target.resolve()):
        raise KeyEscapes(f"the key {name!r} leaves the folder")
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        fetch_object(uri, file, s3=s3)


def fetch_prefix(uri: str, target: Path, *, s3: "S3Client") -> int:
    """Fetch all objects under a prefix and return their number.

    Keys that end in a slash stand for folders and are left out.
    """
    bucket, prefix = split_uri(uri)
    keys = [key for key in list_keys(uri, s3=s3) if not key.endswith("/")]
    for key in keys:
        fetch_file(f"s3://{bucket}/{key}", target, relative_name(key, prefix), s3=s3)
    return len(keys)


def relative_name(key: str, prefix: str) -> str:
    """The key without the folders of the prefix: of a prefix that is a whole key, its last part."""
    rest = key.removeprefix(prefix)
    is_folder = not prefix or prefix.endswith("/") or rest.startswith("/")
    return rest.lstrip("/") if is_folder else key[prefix.rfind("/") + 1 :]


def put_file(path: Path, uri: str, *, s3: "S3Client") -> None:
    bucket, key = split_uri(uri)
    try:
        s3.upload_file(str(path), bucket, key)
    except (ClientError, BotoCoreError, S3UploadFailedError) as error:
        raise UploadFailed(str(error)) from error


def delete_object(uri: str, *, s3: "S3Client") -> None:
    bucket, key = split_uri(uri)
    try:
        s3.delete_object(Bucket=bucket, Key=key)
    except (ClientError, BotoCoreError) as error:
        raise UploadFailed(str(error)) from error
