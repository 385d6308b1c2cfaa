"""Starts serving: settings, sockets, model, workers, in this order.
Wires; holds no rule of its own."""

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from serving.logs import hear_server, log, set_level
from serving.settings import InvalidSetting, Settings, read_settings
from serving.workers import Supervisor, open_listeners

if TYPE_CHECKING:
    from serving.scorer import Scorer


def serve() -> int:
    """Return the exit code: 0 after a requested stop, 1 where workers failed, 2 for bad settings.

    A refused artifact does not end the process: /ping says 503 and why, for as long as it is asked.
    """
    for signal_number in (signal.SIGTERM, signal.SIGINT):  # the kernel ignores them for process 1
        signal.signal(signal_number, lambda *_: sys.exit(0))
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # a matrix of ours is done before a thread wakes up
    try:
        settings = read_settings()
        set_level(settings.log_level)
        listeners = open_listeners(settings.host, settings.port, count=settings.workers)
    except (InvalidSetting, OSError) as error:
        log("ERROR", "start_failed", reason=str(error))
        return 2
    hear_server()
    scorer, refusal = _load(settings)
    gc.collect()
    gc.freeze()  # the model's objects live as long as the process, and workers share their pages
    gc.set_threshold(10_000, 20, 100)  # a question leaves no cycles behind

    def serve_on(
        listener: socket.socket, lifeline_fd: int | None, report_ready: Callable[[], None]
    ) -> None:
        _serve_one(
            settings,
            (scorer, refusal),
            listener,
            lifeline_fd=lifeline_fd,
            report_ready=report_ready,
        )

    if settings.workers > 1:
        return Supervisor(listeners, serve_on).run()
    serve_on(listeners[0], None, lambda: None)
    return 0


def _load(settings: Settings) -> "tuple[Scorer | None, str]":
    """Return the scorer, or None and why."""
    # Imported here, so that numpy finds the number of threads set.
    from reward.problems import ArtifactRefused  # noqa: PLC0415
    from serving.scorer import load_scorer  # noqa: PLC0415

    try:
        scorer = load_scorer(settings.model_dir, pinned_sha256=settings.manifest_sha256)
    except ArtifactRefused as error:
        log("ERROR", "artifact_refused", reason=str(error))
        return None, str(error)
    log("INFO", "artifact_verified", model_version=scorer.predictor.version)
    return scorer, ""


def _serve_one(
    settings: Settings,
    model: "tuple[Scorer | None, str]",
    listener: socket.socket,
    *,
    lifeline_fd: int | None,
    report_ready: Callable[[], None],
) -> None:
    from serving.app import App  # noqa: PLC0415
    from serving.server import Server  # noqa: PLC0415

    def announce() -> None:
        log("INFO", "server_started", port=settings.port)
        report_ready()

    scorer, refusal = model
    app = App(
        scorer,
        refusal=refusal,
        payload_bytes=settings.payload_bytes,
        workers=settings.workers,
    )
    server = Server(
        app, request_s=settings.request_s, lifeline_fd=lifeline_fd, report_ready=announce
    )
    for signal_number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again at its end
        signal.signal(signal_number, lambda *_: server.handle_exit(signal.SIGTERM, None))
    server.run(sockets=[listener])
    if server.has_abandoned:
        os._exit(0)  # nobody reads what the thread still computes
