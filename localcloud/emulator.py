"""MiniStack with the repairs we rely on; runs in its own environment, .local/venv/ministack.
Nothing here imports our code: it starts as a script, `python -P emulator.py`.

The repairs, each with its test in tests/localcloud/test_emulator.py:
- EventBridge hands an event to Lambda as AWS does: two retries, then the failure queue.
  MiniStack calls the function once and forgets.
- A binary media type keeps its slash, and a body without a content type is JSON, as on AWS.
  MiniStack stores "*/*" as "*~1*", so every byte over 0x7f is lost.
- A queue hands a function batches as large and as late as its event source asks. MiniStack hands
  over at most ten messages, at once, so that a few sent together start a process each.
- An answer that blames messages in a way Lambda does not understand fails the whole batch.
  MiniStack takes it for success and deletes the messages.
- A role that may send a message may send ten in one call. MiniStack asks for a right that AWS does
  not have, sqs:SendMessageBatch.
- A function that logs nothing answers at once. MiniStack waits 50 ms for its log.
- State is written while it runs, a second or two late. MiniStack writes it at a clean stop.
- When it ends, so do the functions it runs.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Iterable
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app as ministack
from ministack.core import concurrency, iam_actions, lambda_runtime, persistence
from ministack.services import apigateway_v1, eventbridge, lambda_svc, sqs

SAVE_EVERY_S = 1.0
SAVE_SHARE = 0.1
"""The most of one core that saving may take: a long save is followed by a longer pause."""
COPY_TIMEOUT_S = 5.0
SAVED_AT_STOP = frozenset({"cloudwatch_logs"})
"""Large, always changing, and nothing is lost that the product needs."""
LOG_WAIT_S = (0.002, 0.002, 0.250)
"""How long an answer waits for the first log line, for a pause between lines, and at most."""
WINDOW_SHARE = 0.25
"""How much of a batching window passes here: nobody wants to watch a whole second go by."""
LARGEST_BATCH_BYTES = 6 * 1024 * 1024

_extract_iam_action = iam_actions.extract_iam_action
_matches = apigateway_v1._media_type_matches


def main() -> None:
    """Serve until SIGTERM, then save and end every function still running."""
    eventbridge._dispatch_to_lambda = _invoke_as_event
    apigateway_v1._media_type_matches = _media_type_matches
    iam_actions.extract_iam_action = _iam_action
    lambda_svc._run_sqs_batch = _run_batch
    sqs._receive_messages_for_esm = _receive_batch
    lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = LOG_WAIT_S
    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1  # clients keep connections open; nothing is gained by waiting
    config.loglevel = "WARNING"
    changes = Changes()
    saver = Saver(changes)
    saver.start()
    try:
        asyncio.run(serve(changes.watch(ministack.app), config))
        saver.stop()
        # Once more after MiniStack's own last save: ours may have been under way beside it.
        persistence.save_all(ministack._build_persistence_save_dict())
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


class Saver:
    """Writes the state to disk a second or two after it changed."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Save from now on."""
        persistence.logger.setLevel("WARNING")  # a line for each service says nothing
        self._thread.start()

    def stop(self) -> None:
        """Return when no save is under way."""
        self._stopping.set()
        self._thread.join(COPY_TIMEOUT_S * 2)

    def _run(self) -> None:
        saved = 0
        pause_s = SAVE_EVERY_S
        while not self._stopping.wait(pause_s):
            seen = self._changes.count
            if seen == saved or ministack._MAIN_LOOP is None:
                continue
            started_at = time.perf_counter()
            # The loop is gone when the server stops meanwhile; main() then saves.
            with contextlib.suppress(RuntimeError, TimeoutError):
                saved = seen if _save() else saved
            pause_s = max(SAVE_EVERY_S, (time.perf_counter() - started_at) / SAVE_SHARE)


def _save() -> bool:
    """Write every service's state; False when one was changed under our hands and must wait."""
    services = ministack._build_persistence_save_dict()
    names = services.keys() - SAVED_AT_STOP

    async def copied() -> dict[str, Any]:
        # On the server's own thread, so that no request changes the state meanwhile.
        states: dict[str, Any] = {}
        for name in names:
            with contextlib.suppress(RuntimeError):  # a function's thread may still do
                states[name] = services[name]()
        return states

    asked = asyncio.run_coroutine_threadsafe(copied(), ministack._MAIN_LOOP)
    states = asked.result(COPY_TIMEOUT_S)
    for name, state in states.items():
        if state is not None:
            persistence.save_state(name, state)
    return states.keys() == names


def _invoke_as_event(arn: str, payload: str) -> None:
    function, config, name = lambda_svc._get_func_record_for_ref(arn)
    if not function or not config:
        eventbridge.logger.warning("EventBridge target %s is not a function", name)
        return
    lambda_svc.invoke_async_with_retry(function, json.loads(payload))


def _iam_action(service: str, *request: Any) -> str | None:
    action = _extract_iam_action(service, *request)
    return action.removesuffix("Batch") if action and service == "sqs" else action


def _receive_batch(queue_url: str, batch_size: int) -> list[Any]:
    """Take a batch that is full, or whose oldest message has waited for the window."""
    with sqs._queues_lock:
        queue = sqs._get_q(queue_url)
        sqs._expire_retained(queue)
        sqs._dlq_sweep(queue)
        now = time.time()
        ready = [each for each in queue["messages"] if each["visible_at"] <= now]
        if not ready:
            return []
        waited_s = now - min(message["visible_at"] for message in ready)
        left_s = _window_s(queue["attributes"]["QueueArn"]) - waited_s
        if len(ready) < batch_size and left_s > 0:
            threading.Timer(left_s, concurrency.esm_wake.set).start()
            return []
        sizes = itertools.accumulate(len(message["body"]) for message in ready[:batch_size])
        fitting = sum(size_bytes <= LARGEST_BATCH_BYTES for size_bytes in sizes)
        return sqs._collect_msgs(queue, fitting, int(queue["attributes"]["VisibilityTimeout"]))


def _window_s(queue_arn: str) -> float:
    sources = (source for *_, source in lambda_svc._iter_all_esms())
    source = next(found for found in sources if found["EventSourceArn"] == queue_arn)
    return source.get("MaximumBatchingWindowInSeconds", 0) * WINDOW_SHARE


def _run_batch(
    source: Any, function: Any, event: Any, _: list[Any], queue_url: str, queue_name: str
) -> None:
    """Hand a batch over; what failed comes back when its visibility timeout is over."""
    result = lambda_svc._execute_function(function, event)
    if result.get("error"):
        pause_until = time.time() + lambda_svc._ESM_BACKOFF_SECONDS
        lambda_svc._esm_backoff_until[source["UUID"]] = pause_until
        source["LastProcessingResult"] = "FAILED"
        lambda_svc.logger.warning("A batch of %s failed: %s", queue_name, result.get("body"))
        return
    handle_by_id = {each["messageId"]: each["receiptHandle"] for each in event["Records"]}
    reports = "ReportBatchItemFailures" in source.get("FunctionResponseTypes", [])
    failed = _failed_ids(result.get("body"), set(handle_by_id)) if reports else set()
    done = {handle_by_id[message_id] for message_id in handle_by_id.keys() - failed}
    sqs._delete_messages_for_esm(queue_url, done)
    source["LastProcessingResult"] = f"OK - {len(handle_by_id)} records, {len(failed)} failed"


def _failed_ids(answer: Any, ids: set[str]) -> set[str]:
    """Which of the messages failed by the function's answer: all, when it makes no sense.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    if answer is None:
        return set()
    if not isinstance(answer, dict):
        return ids
    failures = answer.get("batchItemFailures") or []
    named = {failure.get("itemIdentifier") for failure in failures}
    return named if named <= ids else ids


def _media_type_matches(media_type: str | None, patterns: Iterable[str] | None) -> bool:
    kept = [pattern.replace("~1", "/") for pattern in patterns or ()]
    return _matches(media_type or "application/json", kept)


if __name__ == "__main__":
    main()
