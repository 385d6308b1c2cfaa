"""The queue of what is to be counted, and that of predictions to be copied.
Knows how much a message takes; what is in one is made elsewhere."""

from collections.abc import Iterable, Iterator, Sequence

from chalicelib.experiments.events import Batch, Event
from chalicelib.kit import aws
from chalicelib.kit.errors import Busy
from chalicelib.kit.settings import settings

MOST_BYTES = 256 * 1024
"""Of one message, and of all messages of one call."""
_MOST_MESSAGES = 10
_MOST_EVENTS = 100


def send(tenant: str, events: Sequence[Event]) -> None:
    """Raises Busy, or what AWS answered, when any of them may not have been taken; sending all of
    them again is safe."""
    messages = [_message(tenant, part) for part in _parts(events)]
    for entries in _calls(messages):
        answer = aws.queues().send_message_batch(
            QueueUrl=settings().outcomes_queue_url,
            Entries=[{"Id": str(n), "MessageBody": body} for n, body in enumerate(entries)],
        )
        if answer.get("Failed"):
            raise Busy("the queue did not take all that was sent; send it again")


def send_copy(body: str) -> None:
    """body: at most MOST_BYTES of JSON."""
    aws.queues().send_message(QueueUrl=settings().shadow_queue_url, MessageBody=body)


def _parts(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    for start in range(0, len(events), _MOST_EVENTS):
        yield events[start : start + _MOST_EVENTS]


def _message(tenant: str, events: Sequence[Event]) -> str:
    return Batch(tenant=tenant, events=list(events)).model_dump_json(exclude_defaults=True)


def _calls(messages: Iterable[str]) -> Iterator[list[str]]:
    """At most ten messages, and MOST_BYTES, a call."""
    waiting: list[str] = []
    size = 0
    for message in messages:
        added = len(message.encode())
        if waiting and (len(waiting) == _MOST_MESSAGES or size + added > MOST_BYTES):
            yield waiting
            waiting, size = [], 0
        waiting.append(message)
        size += added
    if waiting:
        yield waiting
