"""Training's objects in S3: episodes are read, manifests written, artifacts copied to a version.
Decides nothing about which episodes are learnt from, nor which version an artifact becomes."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.kit import aws
from chalicelib.kit.settings import settings

_JOB = "sommelier-training-job"
"""Metadata of a copied artifact: whose it is."""
_TAKEN_CODES = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})


class Opened(NamedTuple):
    etag: str
    size_bytes: int
    body: Any


class VersionTaken(Exception):
    """Somebody uploaded other bytes under this version."""


class ArtifactGone(Exception):
    """The artifact was deleted since the job ended."""


def episodes_prefix(tenant: str) -> str:
    return f"episodes/{tenant}/"


def tenant_of(key: str) -> str | None:
    """Whose file of episodes a key is; None for a key that is none."""
    parts = key.split("/", 2)
    is_whole = len(parts) == 3 and parts[0] == "episodes" and parts[1] and parts[2]
    return parts[1] if is_whole else None


def open_episodes(key: str) -> Opened | None:
    """The newest bytes, whichever an event was about; None when the object is gone."""
    answer = aws.find_object(settings().bucket, key)
    if answer is None:
        return None
    return Opened(answer["ETag"], answer["ContentLength"], answer["Body"])


def list_episodes(tenant: str) -> Iterator[tuple[str, str]]:
    """Key and etag of every object, in order of key."""
    pages = aws.s3().get_paginator("list_objects_v2")
    prefix = episodes_prefix(tenant)
    for page in pages.paginate(Bucket=settings().bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            if found.get("Key", prefix) != prefix:
                yield found.get("Key", ""), found.get("ETag", "")


def write_manifest(job: str, prefix: str, keys: list[str]) -> str:
    """A SageMaker manifest file, named by what it says: written twice, it is the same object.

    Its form: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
    """
    start = {"prefix": f"s3://{settings().bucket}/{prefix}"}
    content = json.dumps([start, *(key.removeprefix(prefix) for key in keys)]).encode()
    key = f"training/{job}/episodes-{hashlib.sha256(content).hexdigest()[:16]}.manifest"
    aws.s3().put_object(
        Bucket=settings().bucket, Key=key, Body=content, ContentType="application/json"
    )
    return key


def exists(key: str) -> bool:
    return _head(key) is not None


def is_published(target: str, *, job: str) -> bool:
    """True when the job's own artifact lies there. Raises VersionTaken when something else does."""
    found = _head(target)
    if found is None:
        return False
    if found["Metadata"].get(_JOB) != job:
        raise VersionTaken(target)
    return True


def publish(artifact: str, target: str, *, job: str) -> None:
    """Copy the artifact to a version's upload, where nothing lies yet.

    Raises VersionTaken when something does, ArtifactGone when there is nothing to copy.
    """
    try:
        aws.s3().copy_object(
            Bucket=settings().bucket,
            Key=target,
            CopySource={"Bucket": settings().bucket, "Key": artifact},
            Metadata={_JOB: job},
            MetadataDirective="REPLACE",
            TaggingDirective="REPLACE",  # the trainer's tags would ask for rights that no role has
            IfNoneMatch="*",
        )
    except ClientError as error:
        if aws.is_missing(error):
            raise ArtifactGone(artifact) from error
        # Taken by ourselves, perhaps: by a process before this one, or beside it.
        if aws.error_code(error) not in _TAKEN_CODES or not is_published(target, job=job):
            raise


def _head(key: str) -> Any:
    try:
        return aws.s3().head_object(Bucket=settings().bucket, Key=key)
    except ClientError as error:
        if aws.is_missing(error):
            return None
        raise
