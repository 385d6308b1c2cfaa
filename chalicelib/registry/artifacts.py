"""The registry's objects in S3: uploads are read, accepted bytes are copied to where they stay.
Decides nothing about what is acceptable."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from chalicelib.kit import aws
from chalicelib.kit.settings import settings

_CHUNK_BYTES = 1024 * 1024


class Upload(NamedTuple):
    """One version of an uploaded object, open for reading."""

    key: str
    object_version: str | None
    etag: str
    chunks: Iterator[bytes]


def open_upload(key: str, *, object_version: str | None) -> Upload | None:
    """The named version of the object, or the newest; None when it is gone."""
    answer = aws.find_object(settings().bucket, key, version=object_version)
    if answer is None:
        return None
    return Upload(
        key=key,
        object_version=answer.get("VersionId"),
        etag=answer["ETag"],
        chunks=answer["Body"].iter_chunks(_CHUNK_BYTES),
    )


def keep(upload: Upload, *, sha256: str, sample: bytes | None) -> None:
    """Copy exactly the bytes that were read to their place, with the sample beside them."""
    source: Any = {"Bucket": settings().bucket, "Key": upload.key}
    if upload.object_version:
        source["VersionId"] = upload.object_version
    aws.s3().copy_object(
        Bucket=settings().bucket,
        Key=archive_key(sha256),
        CopySource=source,
        CopySourceIfMatch=upload.etag,
        TaggingDirective="REPLACE",  # an uploader's tags would ask for rights that no role has
    )
    if sample is not None:
        aws.s3().put_object(
            Bucket=settings().bucket,
            Key=sample_key(sha256),
            Body=sample,
            ContentType="application/json",
        )


def read_sample(sha256: str) -> bytes:
    answer = aws.s3().get_object(Bucket=settings().bucket, Key=sample_key(sha256))
    return answer["Body"].read()


def archive_key(sha256: str) -> str:
    return f"artifacts/{sha256}/model.tar.gz"


def archive_url(sha256: str) -> str:
    return f"s3://{settings().bucket}/{archive_key(sha256)}"


def sample_key(sha256: str) -> str:
    return f"artifacts/{sha256}/sample.json"
