"""Street door, websockets on real sockets: only at our providers, with their headers, and every end is one of ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from hoasi import street as door
from hoasi.addresses import origin_of
from hoasi.sandbox import Sandbox, serving
from hoasi.street import AddressRefused, NotSent, ReplyLost, Street, WireTrouble
from hoasi.wire import Wire

pytestmark = pytest.mark.anyio
KEY = {"x-token": "top-secret"}


async def talk(socket: WebSocket) -> None:
    """Say what this path is called for, then hang up."""
    await socket.accept()
    for said in socket.app.state.said:
        await (socket.send_bytes(said) if isinstance(said, bytes) else socket.send_text(said))
    socket.app.state.headers.append(dict(socket.headers))
    await socket.close()


@contextlib.asynccontextmanager
async def speaking(*said: str | bytes) -> AsyncIterator[tuple[str, Starlette]]:
    """A server whose socket says this."""
    app = Starlette(routes=[WebSocketRoute("/ws", talk)])
    app.state.said, app.state.headers = said, []
    async with serving(Sandbox(), app=app) as url:
        yield url, app


@contextlib.asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[str]:
    """A raw server that gives one answer (None: it never says a word)."""
    seen: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await reader.read()
            writer.write(answer or b"")
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for writer in seen:
            writer.close()


def heard(message: dict[str, Any]) -> str | None:
    """The word of a message."""
    word = message.get("word")
    return word if isinstance(word, str) else None


async def look() -> str:
    return "looked"


async def words(url: str, *, read: Callable[[dict[str, Any]], str | None] = heard, own: str = "") -> list[str]:
    """Everything that a socket of a provider at `own` (default: there) says."""
    street = Street(frozenset({origin_of(own or url)}))
    try:
        return [word async for word in Wire(street, {"": own or url}, KEY).socket(f"{url}/ws", read, look)]
    finally:
        await street.close()


async def test_json_is_read_and_all_else_passed_over() -> None:
    """First the look, then each message that says something; pictures, nonsense and lists do not."""
    async with speaking('{"word": "a"}', b"\x00\x00\x00\x01png", "{", "[1]", '{"other": 1}', '{"word": "b"}') as (
        url,
        _,
    ):
        assert await words(url) == ["looked", "a", "b"]


async def test_the_headers_go_along() -> None:
    """A proxy before the server sees them, as with every request."""
    async with speaking() as (url, app):
        assert await words(url) == ["looked"]
    assert app.state.headers[0]["x-token"] == "top-secret"


async def test_it_is_opened_at_our_providers_only() -> None:
    """Another address is refused before anything leaves, also one that the street trusts for somebody else."""
    async with speaking("{}") as (url, app):
        with pytest.raises(AddressRefused):
            await words(url, own="http://127.0.0.1:9")
        street = Street(frozenset({origin_of("http://127.0.0.1:9")}))
        with pytest.raises(AddressRefused):
            async with street.socket(f"{url}/ws", {}):
                pass
        await street.close()
    assert app.state.headers == []


async def test_a_redirect_is_not_followed() -> None:
    """The headers would go along."""
    async with speaking() as (there, app):
        moved = f"HTTP/1.1 302 Found\r\nlocation: {there}/ws\r\ncontent-length: 0\r\n\r\n".encode()
        async with answering(moved) as url:
            with pytest.raises(ReplyLost):
                await words(url)
    assert app.state.headers == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"",
    ],
    ids=["403", "200", "502", "nonsense", "hung up"],
)
async def test_a_refused_socket_is_trouble_of_the_wire(answer: bytes) -> None:
    """Whatever comes instead of a socket: whoever waits asks in another way."""
    async with answering(answer) as url:
        with pytest.raises(WireTrouble):
            await words(url)


async def test_nobody_there_is_not_sent() -> None:
    """Nothing listens."""
    with pytest.raises(NotSent):
        await words("http://127.0.0.1:9")


async def test_a_silent_handshake_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the connection and never answers is left."""
    monkeypatch.setattr(door, "CONNECT_S", 1.0)
    async with answering(None) as url:
        with pytest.raises(ReplyLost):
            await words(url)


async def test_a_socket_that_dies_silently_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked now and then whether it still stands; without that nothing would end this test."""
    monkeypatch.setattr(door, "BEAT_S", 0.1)
    import base64
    import hashlib

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        key = next(
            line.partition(":")[2].strip() for line in head.splitlines() if line.lower().startswith("sec-websocket-key")
        )
        proof = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            f"sec-websocket-accept: {proof}\r\n\r\n".encode()
        )
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        with pytest.raises(WireTrouble):
            await words(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    finally:
        listening.close()
