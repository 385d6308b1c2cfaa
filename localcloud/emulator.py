"""MiniStack with the repairs we rely on; runs in its own environment, .local/venv/ministack.
Nothing here imports our code: it starts as a script, `python -P emulator.py`.

The repairs, each with its test in tests/localcloud/test_emulator.py:
- EventBridge hands an event to Lambda as AWS does: two retries, then the failure queue.
  MiniStack calls the function once and forgets.
- A binary media type keeps its slash, and a body without a content type is JSON, as on AWS.
  MiniStack stores "*/*" as "*~1*", so every byte over 0x7f is lost.
- A function that logs nothing answers at once. MiniStack waits 50 ms for its log.
- State is written while it runs, at most SAVE_EVERY_S late. MiniStack writes it at a clean stop.
- When it ends, so do the functions it runs.
"""

import asyncio
import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterable
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app as ministack
from ministack.core import lambda_runtime, persistence
from ministack.services import apigateway_v1, eventbridge, lambda_svc

SAVE_EVERY_S = 1.0
LOG_WAIT_S = (0.002, 0.002, 0.250)
"""How long an answer waits for the first log line, for a pause between lines, and at most."""

_matches = apigateway_v1._media_type_matches


def main() -> None:
    """Serve until SIGTERM, then save and end every function still running."""
    eventbridge._dispatch_to_lambda = _invoke_as_event
    apigateway_v1._media_type_matches = _media_type_matches
    lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = LOG_WAIT_S
    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1  # clients keep connections open; nothing is gained by waiting
    config.loglevel = "WARNING"
    changes = Changes()
    threading.Thread(target=_save_changes, args=(changes,), daemon=True).start()
    try:
        asyncio.run(serve(changes.watch(ministack.app), config))
    finally:
        # The group is ours (localcloud starts us in a session); functions at work are in it too.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGKILL)


class Changes:
    """Counts requests that may have changed state, so that an idle cloud writes nothing."""

    def __init__(self) -> None:
        self.count = 0

    def watch(self, application: Any) -> Any:
        """Wrap an ASGI application."""

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            await application(scope, receive, send)
            if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
                self.count += 1

        return watched


def _invoke_as_event(arn: str, payload: str) -> None:
    function, config, name = lambda_svc._get_func_record_for_ref(arn)
    if not function or not config:
        eventbridge.logger.warning("EventBridge target %s is not a function", name)
        return
    lambda_svc.invoke_async_with_retry(function, json.loads(payload))


def _media_type_matches(media_type: str | None, patterns: Iterable[str] | None) -> bool:
    kept = [pattern.replace("~1", "/") for pattern in patterns or ()]
    return _matches(media_type or "application/json", kept)


def _save_changes(changes: Changes) -> None:
    saved = 0
    wait = threading.Event()
    while not wait.wait(SAVE_EVERY_S):
        if changes.count != saved and ministack._MAIN_LOOP is not None:
            saved = changes.count
            _save()


def _save() -> None:
    """Copy the state on the server's own thread, so that no request changes it meanwhile."""

    async def collected() -> dict[str, Any]:
        states: dict[str, Any] = {}
        for name, state_of in ministack._build_persistence_save_dict().items():
            # A function's thread may still change a table; the next round saves that service.
            with contextlib.suppress(RuntimeError):
                states[name] = state_of()
        return states

    states = asyncio.run_coroutine_threadsafe(collected(), ministack._MAIN_LOOP).result()
    for name, state in states.items():
        if state is not None:
            persistence.save_state(name, state)


if __name__ == "__main__":
    main()
