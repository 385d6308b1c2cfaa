"""Count the episodes that lie in S3, each file once, whoever tells of it and how often.
What a file must be is in `lines`; what the counts are for is the service's part."""

from pydantic import JsonValue

from chalicelib.kit import tables
from chalicelib.kit.clock import Deadline
from chalicelib.kit.errors import Busy
from chalicelib.kit.telemetry import logger
from chalicelib.ledger import service as ledger
from chalicelib.ledger.model import Note
from chalicelib.training import lines, objects, store
from chalicelib.training.lines import NotEpisodes
from chalicelib.training.model import Episodes
from chalicelib.training.objects import Opened
from chalicelib.training.store import File

_REFUSED = "episodes/refused"
_ACTOR = "episodes"


def take(tenant: str, key: str) -> File | None:
    """Count what lies under the key now; None when nothing ever did.

    A file that is no file of episodes raises nothing: it is refused, and the ledger says why.
    Other bytes under a known key replace what they counted for; as new counts by how many more
    episodes they hold than any before them, so that a file that grows brings only what was added,
    and one that is broken for a while brings nothing twice.
    """
    judged: dict[str, File] = {}

    def attempt() -> File | None:
        found = store.read_file(tenant, key)
        opened = objects.open_episodes(key)
        if opened is None:
            after = found.file and found.file.model_copy(update={"state": "gone"})
        elif found.file is not None and found.file.etag == opened.etag:
            after = found.file.model_copy(update={"state": _state(found.file)})
        else:
            # Read once, however often the rows are lost to others.
            read = judged.get(opened.etag) or _judge(key, opened)
            judged[opened.etag] = read
            after = read.model_copy(update={"most": _most(found.file)})
        if opened is not None:
            opened.body.close()
        if after is not None and after != found.file:
            _save(tenant, found, after)
        return after

    return tables.until_fresh(attempt)


def recount(tenant: str, *, deadline: Deadline) -> list[File]:
    """Count what no event told of, and return the files that can be learnt from, by key.

    Raises Busy when the deadline passes first; what was counted by then stays counted.
    """
    known = {file.key: file for file in store.files(tenant)}
    # After the rows: a row without an object is of an object that is gone.
    etag_by_key = dict(objects.list_episodes(tenant))
    present = {file.key for file in known.values() if file.state != "gone"}
    for key in sorted(etag_by_key.keys() | present):
        file = known.get(key)
        is_as_known = file is not None and file.state != "gone" and file.key in etag_by_key
        if is_as_known and file is not None and file.etag == etag_by_key[key]:
            continue
        if deadline.passed():
            raise Busy(f"episodes are counted up to {key!r}, and not all of them are")
        taken = take(tenant, key)
        if taken is not None:
            known[key] = taken
    return [file for _, file in sorted(known.items()) if file.state == "counted"]


def _judge(key: str, opened: Opened) -> File:
    try:
        return File(key=key, etag=opened.etag, state="counted", episodes=_count(key, opened))
    except NotEpisodes as why:
        return File(key=key, etag=opened.etag, state="refused", code=why.code, detail=str(why))


def _count(key: str, opened: Opened) -> int:
    if not key.endswith(lines.ENDING):
        raise NotEpisodes("unknown-file-type", f"a file of episodes ends in {lines.ENDING}")
    if opened.size_bytes > lines.MOST_FILE_BYTES:
        detail = f"{opened.size_bytes} bytes, at most {lines.MOST_FILE_BYTES} are taken"
        raise NotEpisodes("file-too-large", detail)
    return lines.count(opened.body).episodes


def _most(file: File | None) -> int:
    """Episodes that the file has brought already."""
    return max(file.most, file.episodes) if file else 0


def _state(file: File) -> str:
    return "refused" if file.code else "counted"


def _save(tenant: str, found: store.FileRow, after: File) -> None:
    sums = store.read_episodes(tenant)
    writes = [
        store.put_file(tenant, found, after),
        store.put_episodes(tenant, sums, _with(sums.episodes, found.file, after)),
    ]
    if after.state == "refused":
        facts: dict[str, JsonValue] = {
            "key": after.key[:200],
            "etag": after.etag,
            "code": after.code,
            "detail": after.detail,
        }
        note = Note(actor=_ACTOR, action="episodes.refused", facts=facts)
        writes += ledger.writes(tenant, _REFUSED, [note])
    tables.commit(writes)
    logger.info("episode_file_counted", key=after.key[:200], state=after.state, reason=after.code)


def _with(sums: Episodes, before: File | None, after: File) -> Episodes:
    """The sums with a file counted as `after` instead of `before`."""
    was = before if before and before.state == "counted" else None
    now = after if after.state == "counted" else None
    is_new = before is None or before.etag != after.etag
    grown = (now.episodes if now else 0) - _most(before)
    return Episodes(
        objects=sums.objects + (now is not None) - (was is not None),
        episodes=sums.episodes + (now.episodes if now else 0) - (was.episodes if was else 0),
        received=sums.received + (max(0, grown) if is_new else 0),
        refused=sums.refused
        + (after.state == "refused")
        - (before is not None and before.state == "refused"),
    )
