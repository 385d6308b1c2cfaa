"""Run a command that ends when its parent does: `python lifeline.py PARENT_PID COMMAND...`.
Standard library only, because it starts before every process of the cloud."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel for SIGTERM when the parent dies, even by SIGKILL; become the command."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):  # it died before we asked
        sys.exit(1)
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the command is our own


if __name__ == "__main__":
    main()
