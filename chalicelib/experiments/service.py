"""What serving and other features ask of experiments: routes, the key of units, the queues.
Starting, deciding and counting have rooms of their own: `running`, `deciding`, `counting`."""

from collections.abc import Sequence

from chalicelib.experiments import queue, store
from chalicelib.experiments.events import Event
from chalicelib.experiments.traffic import Routes
from chalicelib.kit import secrets
from chalicelib.kit.secrets import BadSecret
from chalicelib.kit.settings import settings

MOST_COPY_BYTES = queue.MOST_BYTES
_LEAST_KEY_BYTES, _MOST_KEY_BYTES = 32, 64


def routes_of(tenant: str, model: str) -> Routes:
    """The model's running experiments, as they are committed now."""
    read = store.read_routes(tenant, model)
    return read.routes if read else Routes()


def unit_key() -> bytes:
    """What units are hashed with; the same for as long as the installation lives."""
    return secrets.kept(settings().unit_key_secret, _parse_unit_key)


def send(tenant: str, events: Sequence[Event]) -> None:
    """Put events on their way to be counted. Raises Busy or what AWS answered; may be repeated."""
    queue.send(tenant, events)


def send_copy(text: str) -> None:
    """Put the copy of a prediction on its way; at most MOST_COPY_BYTES."""
    queue.send_copy(text)


def _parse_unit_key(text: str) -> bytes:
    key = text.encode()
    if not _LEAST_KEY_BYTES <= len(key) <= _MOST_KEY_BYTES:
        raise BadSecret(f"the unit key has not {_LEAST_KEY_BYTES} to {_MOST_KEY_BYTES} bytes")
    return key
