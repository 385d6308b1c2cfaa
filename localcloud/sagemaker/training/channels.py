"""A job's input channels: looked for in S3 when it is created, fetched when it starts.
Nothing here knows states or processes."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.sagemaker.buckets import (
    KeyEscapes,
    ObjectMissing,
    fetch_file,
    fetch_object,
    fetch_prefix,
    list_keys,
    split_uri,
)
from localcloud.sagemaker.wire import JsonObject, ValidationException

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class ChannelMissing(Exception):
    """A channel's data cannot be fetched; the message is the job's failure reason."""


def look_for(channels: list[JsonObject], role: str, *, region: str, s3: "S3Client") -> None:
    """Raise ValidationException in AWS's words when a channel has no object in S3."""
    for channel in channels:
        uri = _source(channel)["S3Uri"]
        try:
            is_there = bool(list_keys(uri, s3=s3, most=1))
        except ObjectMissing:
            is_there = False
        if not is_there:
            bucket, _ = split_uri(uri)
            raise ValidationException(
                f'No S3 objects found under S3 URL "{uri}" given in input data source. Please'
                f" ensure that the bucket exists in the selected region ({region}), that objects"
                f' exist under that S3 prefix, and that the role "{role}" has "s3:ListBucket"'
                f' permissions on bucket "{bucket}".'
            )


def fetch_channels(channels: list[JsonObject], data: Path, *, s3: "S3Client") -> None:
    """Fill a folder for each channel under data."""
    for channel in channels:
        target = data / channel["ChannelName"]
        target.mkdir()
        try:
            _fetch(_source(channel), target, s3=s3)
        except (ObjectMissing, KeyEscapes, OSError) as error:
            raise ChannelMissing(f"ClientError: Data download failed:{error}") from error


def _source(channel: JsonObject) -> JsonObject:
    return channel["DataSource"]["S3DataSource"]


def _fetch(source: JsonObject, target: Path, *, s3: "S3Client") -> None:
    uri = source["S3Uri"]
    if source["S3DataType"] == "ManifestFile":
        prefix, names = _read_manifest(uri, s3=s3)
        for name in names:
            fetch_file(prefix + name, target, name, s3=s3)
    elif not fetch_prefix(uri, target, s3=s3):
        raise ObjectMissing(f"NoSuchKey (404): The specified key does not exist: {uri}")


def _read_manifest(uri: str, *, s3: "S3Client") -> tuple[str, list[str]]:
    """The prefix and the names after it."""
    file = io.BytesIO()
    fetch_object(uri, file, s3=s3)
    try:
        first, *names = json.loads(file.getvalue())
        prefix: str = first["prefix"]
    except (ValueError, TypeError, KeyError) as error:
        raise ObjectMissing(f"the manifest {uri} cannot be read: {error!r}") from error
    if not all(isinstance(one, str) for one in (prefix, *names)):
        raise ObjectMissing(f"the manifest {uri} holds something that is not a name")
    return prefix, names
