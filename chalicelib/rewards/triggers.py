"""The schedule that writes batches of episodes whose callers never came back.
HTTP is not known here; to run twice, or late, changes nothing."""

from typing import Any

from chalice.app import Blueprint, CloudWatchEvent, Rate

from chalicelib.kit.clock import Deadline
from chalicelib.kit.settings import settings
from chalicelib.kit.triggers import trigger

bp = Blueprint(__name__)


@bp.schedule(Rate(5, unit=Rate.MINUTES), name="write_episodes")
@trigger
def write_episodes(event: CloudWatchEvent) -> dict[str, Any]:
    # Here, because the HTTP function imports this module as well.
    from chalicelib.rewards import service  # noqa: PLC0415

    deadline = _deadline(event.context)
    return {"failed": service.write_unwritten(settings().tenant_id, deadline=deadline)}


def _deadline(context: Any) -> Deadline:
    return Deadline.of(context, margin_s=15, at_most_s=240)
