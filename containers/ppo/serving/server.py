"""The life of one serving process: listen, expire slow clients, drain.
No HTTP, no model."""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import cast

import uvicorn
from serving.app import App
from serving.connection import IDLE_S, Connection
from serving.logs import log

DRAIN_S = 20.0
"""SageMaker kills 30 s after SIGTERM."""
FAREWELL_S = 0.3
"""How long a draining process still accepts and answers (with Connection: close), so that
requests already on their way to the kernel's queue or to an idle connection are not reset."""
BACKLOG = 1024
TICKS = 5
"""Of 0.1 s each, between two looks for slow clients."""


class Server(uvicorn.Server):
    """Serves until SIGTERM, SIGINT or the end of the lifeline (the parent's death), then drains."""

    def __init__(
        self,
        app: App,
        *,
        request_s: float,
        lifeline_fd: int | None,
        report_ready: Callable[[], None],
    ) -> None:
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=cast(type[asyncio.Protocol], partial(Connection, app=app, request_s=request_s)),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=int(IDLE_S),
        )
        super().__init__(config)
        self._app = app
        self._lifeline_fd = lifeline_fd
        self._report_ready = report_ready
        self.has_abandoned = False
        """Whether the drain ended before the last answer; a thread may still be busy then."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._lifeline_fd is not None:
            asyncio.get_running_loop().add_reader(self._lifeline_fd, self._on_parent_lost)
        self._report_ready()

    def _on_parent_lost(self) -> None:
        self.should_exit = True
        if self._lifeline_fd is not None:
            asyncio.get_running_loop().remove_reader(self._lifeline_fd)

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS == 0:
            now_s = asyncio.get_running_loop().time()
            for connection in [c for c in self._connections() if c.deadline_s < now_s]:
                connection.expire()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let requests finish that have begun to arrive, close the rest."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        self._app.is_draining = True
        log("INFO", "drain_started", connections=len(self._connections()))
        await asyncio.sleep(FAREWELL_S)
        for listener in sockets or []:
            await self._stop_listening(listener)
        for server in self.servers:
            server.close()
        while self._connections() and loop.time() < started_s + DRAIN_S:
            for connection in self._connections():
                connection.end_if_idle()
            await asyncio.sleep(0.02)
        self.has_abandoned = bool(self._connections())
        if self.has_abandoned:
            log("WARNING", "requests_abandoned", connections=len(self._connections()))
        self._app.close()
        log("INFO", "drain_ended", duration_s=round(loop.time() - started_s, 3))

    async def _stop_listening(self, listener: socket.socket) -> None:
        """Take over what waits in the kernel's queue, then leave no queue behind: closing alone
        would, because parent and sister workers hold the socket open too."""
        waiting = list(_take_waiting(listener))
        listener.shutdown(socket.SHUT_RDWR)
        for connected in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._connect, connected)

    def _connect(self) -> asyncio.Protocol:
        make = self.config.http_protocol_class
        return make(config=self.config, server_state=self.server_state, app_state={})

    def _connections(self) -> list[Connection]:
        return cast(list[Connection], list(self.server_state.connections))


def _take_waiting(listener: socket.socket) -> list[socket.socket]:
    found: list[socket.socket] = []
    while True:
        try:
            connected, _ = listener.accept()
        except OSError:  # none is left
            return found
        connected.setblocking(False)
        found.append(connected)
