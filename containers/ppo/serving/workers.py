"""Several serving processes on one port: fork, watch, replace, stop.
The parent has loaded the model and answers nothing."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple

from serving.logs import log

SIGNALS = (signal.SIGTERM, signal.SIGINT)
MOST_RESTARTS = 5
RESTART_WINDOW_S = 60.0

Serve = Callable[[socket.socket, int, Callable[[], None]], None]
"""Serves on (listener, lifeline_fd) in a child until asked to stop; calls the third when ready."""


class Worker(NamedTuple):
    """A running child; ready_fd: yields one byte once it listens."""

    slot: int
    ready_fd: int


def open_listeners(host: str, port: int, *, count: int) -> list[socket.socket]:
    """Bind one socket a worker, over which the kernel spreads connections; listen on none yet."""
    if count == 1:
        return [_bind(host, port, is_shared=False)]
    # Sharing would silently join another server on this port: an unshared bind finds it first.
    _bind(host, port, is_shared=False).close()
    return [_bind(host, port, is_shared=True) for _ in range(count)]


def _bind(host: str, port: int, *, is_shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setblocking(False)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    return listener


class Supervisor:
    """Keeps one child a listener. A child that had been ready is replaced, five times a minute at
    most; one that never got ready ends them all, because the next would fare the same.

    The parent keeps every listener open, so that connections which wait for a dead worker go to
    its successor. Each child ends when the lifeline, a pipe, says that the parent is gone.
    """

    def __init__(self, listeners: list[socket.socket], serve: Serve) -> None:
        self._listeners = listeners
        self._serve = serve
        self._lifeline_fd, self._lifeline_end = os.pipe()
        self._worker_by_pid: dict[int, Worker] = {}
        self._restarted_at_s: list[float] = []
        self._is_stopping = False
        self._exit_code = 0

    def run(self) -> int:
        """Return the exit code: 0 after a requested stop, 1 after a failure."""
        for signal_number in SIGNALS:
            signal.signal(signal_number, self._on_signal)
        for slot in range(len(self._listeners)):
            self._start(slot)
        while self._worker_by_pid:
            pid, status = os.waitpid(-1, 0)
            worker = self._worker_by_pid.pop(pid, None)
            if worker is not None:
                self._note_end(pid, worker, os.waitstatus_to_exitcode(status))
        return self._exit_code

    def _on_signal(self, signal_number: int, frame: FrameType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        self._is_stopping = True
        for pid in list(self._worker_by_pid):
            os.kill(pid, signal.SIGTERM)

    def _start(self, slot: int) -> None:
        """Fork with signals held back, so that none is lost between fork and bookkeeping."""
        ready_fd, ready_end = os.pipe()
        os.set_blocking(ready_fd, False)
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = os.fork()
        if pid == 0:
            self._be_child(slot, ready_end)
        os.close(ready_end)
        self._worker_by_pid[pid] = Worker(slot, ready_fd)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if self._is_stopping:
            os.kill(pid, signal.SIGTERM)

    def _be_child(self, slot: int, ready_end: int) -> None:
        for signal_number in SIGNALS:
            signal.signal(signal_number, lambda *_: os._exit(0))  # until serving takes over
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.close(self._lifeline_end)

        def report_ready() -> None:
            os.write(ready_end, b"1")
            os.close(ready_end)

        code = 1
        try:
            self._serve(self._listeners[slot], self._lifeline_fd, report_ready)
            code = 0
        except Exception as error:  # a child must never return into the parent's code
            log("ERROR", "worker_failed", reason=repr(error)[:400])
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _note_end(self, pid: int, worker: Worker, exit_code: int) -> None:
        was_ready = _was_ready(worker.ready_fd)
        if self._is_stopping:
            if exit_code not in (0, -signal.SIGTERM):
                self._exit_code = 1
            return
        log("ERROR", "worker_died", pid=pid, exit_code=exit_code)
        now_s = time.monotonic()
        recent = [at_s for at_s in self._restarted_at_s if at_s > now_s - RESTART_WINDOW_S]
        if not was_ready or len(recent) >= MOST_RESTARTS:
            reason = "too many restarts" if was_ready else "a worker could not start"
            log("ERROR", "workers_stopped", reason=reason)
            self._exit_code = 1
            self._stop()
            return
        self._restarted_at_s = [*recent, now_s]
        self._start(worker.slot)


def _was_ready(ready_fd: int) -> bool:
    try:
        return os.read(ready_fd, 1) == b"1"
    except BlockingIOError:
        return False
    finally:
        os.close(ready_fd)
