"""A ledger entry and the rule that chains it to the one before it.
Nothing here reads a clock or a table."""

import hashlib
import json
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, JsonValue

from chalicelib.kit.values import Value

Facts = dict[str, JsonValue]
Subject = Annotated[str, Field(pattern=r"^[a-z]+/[a-zA-Z0-9._-]{1,80}$")]
"""What an entry is about: `model/recommendation`, `run/...`, `job/...`."""

GENESIS = "0" * 64


class Justification(Value):
    """Why someone asks for a change; it goes into the ledger."""

    reason: Annotated[str, Field(max_length=500)] = ""


class Note(Value):
    """What happened, before it has a place in the chain."""

    actor: str
    action: str
    before: Facts | None = None
    after: Facts | None = None
    facts: Facts = Field(default_factory=dict)


class Entry(Note):
    """A note with its place: `previous_hash` is the hash of entry `seq - 1` of the same subject."""

    subject: Subject
    seq: int
    at: str
    previous_hash: str
    hash: str


class Verification(Value):
    subject: Subject
    intact: bool
    entries: int
    broken_at_seq: int | None = None


def chain(
    notes: Iterable[Note], *, subject: str, last: Entry | None, tenant: str, at: str
) -> list[Entry]:
    """Entries that continue the chain after `last`, in the order of the notes."""
    entries: list[Entry] = []
    for note in notes:
        unsigned = Entry(
            **note.model_dump(),
            subject=subject,
            seq=last.seq + 1 if last else 1,
            at=at,
            previous_hash=last.hash if last else GENESIS,
            hash="",
        )
        last = unsigned.model_copy(update={"hash": hash_of(unsigned, tenant=tenant)})
        entries.append(last)
    return entries


def hash_of(entry: Entry, *, tenant: str) -> str:
    """SHA-256, hex, over the tenant and every other field as sorted compact JSON."""
    document = {**entry.model_dump(mode="json", exclude={"hash"}), "tenant": tenant}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def verify(entries: Iterable[Entry], *, subject: str, tenant: str) -> Verification:
    """Recompute the whole chain, oldest entry first, and name the first entry that does not fit."""
    seq, previous_hash = 0, GENESIS
    for entry in entries:
        seq += 1
        fits = entry.seq == seq and entry.previous_hash == previous_hash
        if not fits or entry.subject != subject or entry.hash != hash_of(entry, tenant=tenant):
            return Verification(subject=subject, intact=False, entries=seq, broken_at_seq=seq)
        previous_hash = entry.hash
    return Verification(subject=subject, intact=True, entries=seq)
