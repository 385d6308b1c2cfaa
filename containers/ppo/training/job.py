"""The door of the training job: SIGTERM, the exit code, and the failure file, whatever happens.
Imports what it runs inside the last try, so that even a broken image says what is wrong."""

import signal
import traceback
from types import FrameType

from training.places import Places, reason_of


class Stop:
    """Set by SIGTERM, which SageMaker follows up with SIGKILL after 120 seconds."""

    def __init__(self) -> None:
        self.is_asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        self.is_asked = True


def train() -> int:
    """Run the job; return 0, or 1 with the cause in the failure file."""
    places, stop = Places.of_environment(), Stop()
    try:
        places.reserve_failure()
        from training.run import run  # noqa: PLC0415 - see above

        run(places, lambda: stop.is_asked)
    except Exception as error:  # the last door: whatever it is, SageMaker shall show it
        traceback.print_exc()
        _tell(places, reason_of(error))
        return 1
    places.clear_failure()
    return 0


def _tell(places: Places, reason: str) -> None:
    try:
        places.write_failure(reason)
    except OSError:
        traceback.print_exc()  # the log and the exit code are left
