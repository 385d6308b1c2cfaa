"""Runs one container and ends it when the server goes: `python warden.py FD GRACE COMMAND...`.
Standard library only, because it starts beside every container; it knows nothing of SageMaker."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run the command in a process group of its own; return its exit code.

    The server holds the other end of the pipe FD. It closes when the server wants the container
    stopped and also when the server dies of SIGKILL, so no orphan can stay behind. A byte in the
    pipe is the number of a signal for the container.
    """
    pipe, grace_s, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    os.set_inheritable(pipe, False)
    # one thread only at this point, so code between fork and exec is safe
    container = subprocess.Popen(
        command,
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509
    )
    threading.Thread(target=_stop_at_hangup, args=(pipe, container, grace_s), daemon=True).start()
    code = container.wait()
    _signal_group(container.pid, signal.SIGKILL)
    return code if code >= 0 else 128 - code


def _stop_at_hangup(pipe: int, container: "subprocess.Popen[bytes]", grace_s: float) -> None:
    while number := os.read(pipe, 1):
        _signal_group(container.pid, number[0])
    _signal_group(container.pid, signal.SIGTERM)
    time.sleep(grace_s)
    _signal_group(container.pid, signal.SIGKILL)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
