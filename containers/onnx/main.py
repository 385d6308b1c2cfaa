"""Entry point of the scorer: python main.py serve.
Wires settings, workers, model and server; holds no rule of its own."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable

import uvloop
from scoring.logs import log
from scoring.settings import InvalidSetting, Settings, read_settings
from scoring.workers import Supervisor, open_listener


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 after a requested stop, 1 where serving failed, 2 for wrong use."""
    if arguments != ["serve"]:
        log("ERROR", "arguments_refused", reason=f"usage: main.py serve; got {arguments!r}")
        return 2
    for signal_number in (signal.SIGTERM, signal.SIGINT):  # the kernel ignores them for process 1
        signal.signal(signal_number, lambda *_: sys.exit(0))
    try:
        settings = read_settings()
        listeners = open_listeners(settings)
    except (InvalidSetting, OSError) as error:
        log("ERROR", "start_failed", reason=str(error))
        return 2
    if settings.workers == 1:
        return serve_model(settings, listeners[0])
    return Supervisor(
        listeners,
        lambda listener, lifeline_fd, report_ready: serve_model(
            settings, listener, lifeline_fd=lifeline_fd, report_ready=report_ready
        ),
    ).run()


def open_listeners(settings: Settings) -> list[socket.socket]:
    """One socket a worker; the kernel spreads connections over them."""
    if settings.workers == 1:
        return [open_listener(settings.host, settings.port, is_shared=False)]
    # Sharing would silently join another scorer on this port: an unshared bind finds it first.
    open_listener(settings.host, settings.port, is_shared=False).close()
    return [
        open_listener(settings.host, settings.port, is_shared=True) for _ in range(settings.workers)
    ]


def serve_model(
    settings: Settings,
    listener: socket.socket,
    *,
    lifeline_fd: int | None = None,
    report_ready: Callable[[], None] = lambda: None,
) -> int:
    """Load, prove, serve, drain. The port opens only after the model has answered a probe."""
    # Imported here, so that a parent of several workers never starts onnxruntime's threads.
    from scoring.problems import ModelRefused  # noqa: PLC0415
    from scoring.scorer import load_scorer  # noqa: PLC0415
    from scoring.server import serve  # noqa: PLC0415
    from scoring.service import Service  # noqa: PLC0415

    try:
        scorer = load_scorer(settings.model_dir, threads=settings.threads)
    except ModelRefused as error:
        log("ERROR", "model_refused", reason=str(error))
        return 1

    def announce() -> None:
        log("INFO", "scorer_started", port=settings.port, features=scorer.features[:20])
        report_ready()

    async def live() -> None:
        service = Service(scorer, threads=max(2, settings.threads))
        await serve(service, listener, report_ready=announce, lifeline_fd=lifeline_fd)

    gc.collect()
    gc.freeze()  # the model's objects live as long as the process
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live())
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # a thread that still runs a graph must not hold up the exit
