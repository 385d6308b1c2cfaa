"""Listens, expires slow clients, and drains: the life of one serving process.
No HTTP, no model."""

import asyncio
import signal
import socket
from collections.abc import Callable

from scoring.connection import Connection
from scoring.logs import log
from scoring.service import Service

DRAIN_S = 25.0
"""SageMaker kills 30 s after SIGTERM."""
FAREWELL_S = 0.3
"""How long a draining process still accepts and answers (with Connection: close), so that
requests already on their way to the kernel's queue or to an idle connection are not reset."""
BACKLOG = 1024


async def serve(
    service: Service,
    listener: socket.socket,
    *,
    report_ready: Callable[[], None],
    lifeline_fd: int | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or the end of the lifeline (the parent's death), then drain."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stopping.set)
    if lifeline_fd is not None:
        loop.add_reader(lifeline_fd, stopping.set)
    connections: set[Connection] = set()
    server = await loop.create_server(
        lambda: Connection(service, connections), sock=listener, backlog=BACKLOG
    )
    sweeper = loop.create_task(_expire_slow(connections))
    report_ready()
    await stopping.wait()
    if lifeline_fd is not None:
        loop.remove_reader(lifeline_fd)
    service.is_draining = True
    await _drain(server, listener, connections)
    sweeper.cancel()


async def _expire_slow(connections: set[Connection]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(0.5)
        now_s = loop.time()
        for connection in [c for c in connections if c.deadline_s < now_s]:
            connection.expire()


async def _drain(
    server: asyncio.Server, listener: socket.socket, connections: set[Connection]
) -> None:
    """Stop accepting, let requests finish that have begun to arrive, close the rest."""
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    log("INFO", "drain_started", connections=len(connections))
    await asyncio.sleep(FAREWELL_S)
    # Closing alone would leave it listening: parent and sister workers hold the socket open too,
    # and connections would wait in a queue that nobody serves any more.
    listener.shutdown(socket.SHUT_RDWR)
    server.close()
    while connections and loop.time() < started_s + DRAIN_S:
        for connection in [c for c in connections if c.is_idle]:
            connection.end()
        await asyncio.sleep(0.02)
    if connections:
        log("WARNING", "requests_abandoned", connections=len(connections))
    log("INFO", "drain_ended", duration_s=round(loop.time() - started_s, 3))
