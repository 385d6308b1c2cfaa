"""Register what is uploaded: inspect an archive and keep its bytes, apply a settings file.
Each upload may be told twice, late or out of order; what was registered first stays."""

from enum import StrEnum
from typing import NamedTuple

from pydantic import ValidationError

from chalicelib.kit import strictjson, tables
from chalicelib.kit.errors import Malformed
from chalicelib.kit.telemetry import logger
from chalicelib.ledger import service as ledger
from chalicelib.ledger.model import Facts, Note
from chalicelib.registry import artifacts, gate, service, store, uploads
from chalicelib.registry.archive.inspection import Inspection, inspect
from chalicelib.registry.archive.refusal import ArchiveRefused
from chalicelib.registry.model import (
    Archive,
    Change,
    Model,
    ModelSettings,
    Reason,
    Stage,
    Version,
    with_refusal,
)
from chalicelib.registry.uploads import ArchiveKey, NotAnUpload, SettingsKey

_ACTOR = "upload"
_REFUSALS = "uploads/refused"
_FILES_KEPT = 50
_MAX_SETTINGS_BYTES = 256 * 1024


class Outcome(StrEnum):
    REGISTERED = "registered"
    REJECTED = "rejected"
    UNCHANGED = "unchanged"
    VERSION_EXISTS = "version-exists"
    SETTINGS_APPLIED = "settings-applied"
    REFUSED = "refused"
    GONE = "gone"


class Registration(NamedTuple):
    """What became of an upload; model and version where its key named them."""

    outcome: Outcome
    model: str | None = None
    version: str | None = None


class _Inspected(NamedTuple):
    """An upload that was read to its end, or as far as it took to refuse it."""

    upload: artifacts.Upload
    inspection: Inspection | None
    refusal: Reason | None


def register(tenant: str, key: str, *, object_version: str | None) -> Registration:
    """Take in one uploaded object. Raises nothing for bad uploads: those are recorded."""
    try:
        match uploads.parse_key(key):
            case ArchiveKey(name, version):
                registration = _register_archive(tenant, name, version, key, object_version)
            case SettingsKey(name):
                registration = apply_settings(tenant, name)
    except NotAnUpload as error:
        registration = Registration(Outcome.REFUSED)
        _record_refusal(tenant, key, object_version, Reason(code="bad-key", detail=str(error)))
    logger.info(
        "upload_taken",
        key=key[:200],
        model=registration.model,
        version=registration.version,
        reason=registration.outcome.value,
    )
    return registration


def apply_settings(tenant: str, name: str) -> Registration:
    """Make the newest `model.json` the model's settings, unless that very object was applied.

    The model's row is read before the object, so of two racing calls the one with the older
    object writes on a row that has changed, and reads again.
    """
    key = f"models/{name}/{uploads.SETTINGS}"

    def attempt() -> Registration:
        read = store.read_model(tenant, name)
        upload = artifacts.open_upload(key, object_version=None)
        if upload is None:
            return Registration(Outcome.GONE, name)
        identity = upload.object_version or upload.etag
        if read and read.model.settings_object == identity:
            return Registration(Outcome.UNCHANGED, name)
        try:
            settings = _settings_in(upload)
        except (Malformed, ValidationError) as error:
            detail = str(error)[:1_000]
            _record_refusal(tenant, key, identity, Reason(code="bad-settings", detail=detail))
            return Registration(Outcome.REFUSED, name)
        service.put_settings_once(
            tenant, name, read, settings, actor=_ACTOR, settings_object=identity
        )
        return Registration(Outcome.SETTINGS_APPLIED, name)

    return tables.until_fresh(attempt)


def _register_archive(
    tenant: str, name: str, version: str, key: str, object_version: str | None
) -> Registration:
    known = store.read_model(tenant, name)
    if known is None:
        apply_settings(tenant, name)
        known = store.read_model(tenant, name)
    settings = known.model.settings if known else ModelSettings()
    inspected = _inspect(key, object_version, settings)
    if inspected is None:
        return Registration(Outcome.GONE, name, version)
    if inspected.inspection is not None:
        artifacts.keep(
            inspected.upload,
            sha256=inspected.inspection.sha256,
            sample=inspected.inspection.sample,
        )
    outcome = tables.until_fresh(lambda: _save(tenant, name, version, inspected))
    return Registration(outcome, name, version)


def _inspect(key: str, object_version: str | None, settings: ModelSettings) -> _Inspected | None:
    upload = artifacts.open_upload(key, object_version=object_version)
    if upload is None:
        return None
    try:
        inspection = inspect(
            upload.chunks, required=settings.required(), allow_pickles=settings.allow_pickles
        )
    except ArchiveRefused as error:
        refusal = Reason(code=f"archive-{error.reason.value}", detail=str(error)[:1_000])
        return _Inspected(upload, None, refusal)
    return _Inspected(upload, inspection, None)


def _save(tenant: str, name: str, version: str, inspected: _Inspected) -> Outcome:
    model_row = store.read_model(tenant, name)
    read = store.read_version(tenant, name, version)
    if read and read.version.archive is not None:
        return _refuse_other_bytes(tenant, read, inspected)
    if read and read.version.reason == inspected.refusal and inspected.refusal is not None:
        return Outcome.UNCHANGED
    now = gate.not_before(model_row.model.updated_at if model_row else None)
    model = model_row.model if model_row else Model(name=name, created_at=now, updated_at=now)
    stage = Stage.REGISTERED if inspected.inspection else Stage.REJECTED
    saved = Version(
        model=name,
        version=version,
        stage=stage,
        archive=_archive(inspected.inspection),
        reason=inspected.refusal,
        registered_at=now,
        updated_at=now,
    )
    before = read.version.stage if read else None
    change = Change(model.model_copy(update={"updated_at": now}), (saved,), (before,))
    facts: Facts = inspected.refusal.model_dump() if inspected.refusal else _identity(inspected)
    gate.write(
        tenant,
        change,
        gate.Why(f"version.{stage.value}", _ACTOR, facts=facts),
        model_row=model_row,
        version_rows=[read],
    )
    return Outcome.REGISTERED if inspected.inspection else Outcome.REJECTED


def _refuse_other_bytes(tenant: str, read: store.VersionRow, inspected: _Inspected) -> Outcome:
    """The version keeps its bytes; each other upload is recorded once."""
    kept = read.version
    if inspected.inspection is None:
        return Outcome.VERSION_EXISTS
    sha256 = inspected.inspection.sha256
    if kept.archive and kept.archive.sha256 == sha256:
        return Outcome.UNCHANGED
    if sha256 not in kept.refused_uploads:
        note = Note(
            actor=_ACTOR,
            action="upload.refused",
            facts={"code": Outcome.VERSION_EXISTS.value, "version": kept.version, "sha256": sha256},
        )
        entries = ledger.writes(tenant, gate.subject_of(kept.model), [note])
        row = store.put_version(tenant, read, with_refusal(kept, sha256))
        tables.commit([row, *entries])
    return Outcome.VERSION_EXISTS


def _record_refusal(tenant: str, key: str, object_version: str | None, reason: Reason) -> None:
    """One ledger entry per object, as far back as the newest page of refusals shows."""
    facts = {"key": key[:200], "object": object_version, **reason.model_dump()}

    def attempt() -> None:
        newest = ledger.entries(tenant, _REFUSALS, limit=50, cursor=None)
        if any(entry.facts == facts for entry in newest.items):
            return
        note = Note(actor=_ACTOR, action="upload.refused", facts=facts)
        tables.commit(ledger.writes(tenant, _REFUSALS, [note]))

    tables.until_fresh(attempt)


def _settings_in(upload: artifacts.Upload) -> ModelSettings:
    raw = b""
    for chunk in upload.chunks:
        raw += chunk
        if len(raw) > _MAX_SETTINGS_BYTES:
            raise Malformed(f"the settings file has over {_MAX_SETTINGS_BYTES} bytes")
    strictjson.check(raw)
    return ModelSettings.model_validate_json(raw, strict=True)


def _identity(inspected: _Inspected) -> Facts:
    assert inspected.inspection is not None
    return {"sha256": inspected.inspection.sha256, "size_bytes": inspected.inspection.size_bytes}


def _archive(inspection: Inspection | None) -> Archive | None:
    if inspection is None:
        return None
    return Archive(
        sha256=inspection.sha256,
        size_bytes=inspection.size_bytes,
        unpacked_bytes=inspection.unpacked_bytes,
        files=list(inspection.names)[:_FILES_KEPT],
        has_sample=inspection.sample is not None,
    )
