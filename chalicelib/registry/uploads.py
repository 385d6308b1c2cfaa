"""What an object key under `models/` means, and what an upload event says.
Pure text; the objects themselves are in `artifacts`."""

from typing import NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from chalicelib.kit.values import Told
from chalicelib.registry.model import ModelName
from chalicelib.registry.semver import VersionName

ARCHIVE = "model.tar.gz"
SETTINGS = "model.json"
_KEY_FORM = f"models/<model>/<version>/{ARCHIVE} or models/<model>/{SETTINGS}"


class Bucket(Told):
    name: str


class Object(Told):
    key: str
    version_id: str | None = Field(default=None, alias="version-id")


class UploadEvent(Told):
    """The detail of an S3 "Object Created" event."""

    bucket: Bucket
    object: Object


class ArchiveKey(NamedTuple):
    model: str
    version: str


class SettingsKey(NamedTuple):
    model: str


class NotAnUpload(ValueError):
    """The key has neither of the two forms, or a name in it breaks the rules."""


def parse_key(key: str) -> ArchiveKey | SettingsKey:
    """Raises NotAnUpload, saying what is wrong with which part."""
    match key.split("/"):
        case ["models", model, version, last] if last == ARCHIVE:
            return ArchiveKey(_checked(_MODEL, model), _checked(_VERSION, version))
        case ["models", model, last] if last == SETTINGS:
            return SettingsKey(_checked(_MODEL, model))
        case _:
            raise NotAnUpload(f"the key {key[:200]!r} is not {_KEY_FORM}")


_MODEL = TypeAdapter(ModelName)
_VERSION = TypeAdapter(VersionName)


def _checked(adapter: "TypeAdapter[str]", part: str) -> str:
    try:
        return adapter.validate_python(part)
    except ValidationError as error:
        because = error.errors(include_url=False)[0]["msg"]
        raise NotAnUpload(f"{part[:80]!r} in the key is refused: {because}") from error
