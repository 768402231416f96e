"""Room: sandbox. The life of the server: on 127.0.0.1 and nowhere else, in this event loop, in a thread, or for ever.

uvicorn's HTTP protocol is used without uvicorn's `Server`: that one takes over the signal handlers, wakes ten times a
second and waits for open connections, and a sandbox must end at once even while clients hang on it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any, cast

from anyio.from_thread import start_blocking_portal
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from hoasi.sandbox.gate import CONNECTION
from hoasi.sandbox.sandbox import Sandbox

HOST = "127.0.0.1"
DEFAULT_PORT = 8787
_BACKLOG = 2048
_KEEP_ALIVE_S = 75
_GRACE_S = 0.1


class _Connection(H11Protocol):
    """One client's connection; the answers may reach it, because some faults hang up."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn itself does
        super().connection_made(transport)
        self.app = _connected(self.app, transport)


@cache
def _socket_class() -> Callable[..., asyncio.Protocol]:
    """Make a websocket's connection class; imported when the first client upgrades, for most never do."""
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    class _Socket(WebSocketsSansIOProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.app = _connected(self.app, cast("asyncio.Transport", transport))

    return _Socket


def _upgraded(**facts: Any) -> asyncio.Protocol:
    return _socket_class()(**facts)


def _connected(app: ASGIApp, transport: asyncio.Transport) -> ASGIApp:
    async def connected(scope: Scope, receive: Receive, send: Send) -> None:
        scope[CONNECTION] = transport
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if not transport.is_closing():  # cancelled by the shutdown below, uvicorn would log it as a crash
                raise

    return connected


@asynccontextmanager
async def serving(sandbox: Sandbox, *, port: int = 0, app: ASGIApp | None = None) -> AsyncIterator[str]:
    """Serve in the running event loop; yield the origin, e.g. `http://127.0.0.1:54321`. Port 0 = a free one.

    `app` = one provider only, e.g. `comfyui.app(sandbox)`; else all.

    Leaving hangs up on everybody at once. The sandbox keeps its counts. Raises OSError if the port is taken.
    """
    config = _config(app or sandbox.app())
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(config, state, {}), HOST, port, backlog=_BACKLOG)
    try:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        sandbox.close()
        await _hang_up(state)
        await server.wait_closed()


@contextmanager
def serving_in_thread(sandbox: Sandbox, *, port: int = 0) -> Iterator[str]:
    """Serve from a thread with its own event loop, for tests that start real processes; yield the origin.

    Faults may be added and counts read from the calling thread. Raises OSError if the port is taken.
    """
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(sandbox, port=port)) as url,
    ):
        yield url


def run(sandbox: Sandbox, port: int = DEFAULT_PORT, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve until interrupted (raises KeyboardInterrupt then); `on_ready` is told the origin.

    Raises OSError if the port is taken.
    """
    asyncio.run(_forever(sandbox, port, on_ready))


async def _forever(sandbox: Sandbox, port: int, on_ready: Callable[[str], None] | None) -> None:
    async with serving(sandbox, port=port) as url:
        if on_ready is not None:
            on_ready(url)
        await asyncio.Event().wait()


def _config(app: ASGIApp) -> Config:
    config = Config(
        app,
        interface="asgi3",
        http="h11",
        ws=cast("type[asyncio.Protocol]", _upgraded) if find_spec("websockets") else "none",
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    config.load()
    return config


async def _hang_up(state: ServerState) -> None:
    for connection in list(state.connections):
        connection.transport.abort()
    await asyncio.sleep(0)  # the aborted connections are told in the next turn of the loop
    if not state.tasks:
        return
    _, late = await asyncio.wait(set(state.tasks), timeout=_GRACE_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
