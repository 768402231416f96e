"""Street door, on real sockets: what was surely not sent, what may have been, who is asked, and who gets the key."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from hoasi import street as door
from hoasi.addresses import is_public, may_be_asked, origin_of
from hoasi.street import AddressRefused, NotSent, ReplyLost, Street, TooLarge
from hoasi.wire import Wire

pytestmark = pytest.mark.anyio
KEY = {"authorization": "Key top-secret"}


@dataclass
class Server:
    """A raw server on 127.0.0.1: it reads requests, gives one answer to each, and counts."""

    answer: bytes | None = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    """None: it hangs up at once."""
    closes: bool = False
    connections: int = 0
    heads: list[str] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while self.answer is not None:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower())
                writer.write(self.answer)
                if self.closes:
                    await writer.drain()
                    break
        writer.close()


@contextlib.asynccontextmanager
async def running(server: Server) -> AsyncIterator[Server]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield server
    listening.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(Server()) as found:
        yield found


@contextlib.asynccontextmanager
async def door_to(*trusted: str) -> AsyncIterator[Wire]:
    """A wire whose own origin is the first one."""
    street = Street(frozenset(map(origin_of, trusted)))
    yield Wire(street, {"": trusted[0]}, KEY)
    await street.close()


def redirect(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n".encode()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("is_paid", [True, False])
async def test_a_large_body_arrives_whole_and_its_length_is_told(is_paid: bool) -> None:
    """It leaves in pieces (nothing waits for it), not chunked: signed addresses do not take that."""
    body, got = bytes(range(256)) * 20_000, bytearray()
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower())
        length = int(heads[0].partition("content-length: ")[2].split("\r\n")[0])
        got.extend(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with door_to(url) as wire:
        sent = {"picture": body.hex()}
        reply = await (wire.pay(url, json=sent) if is_paid else wire.call("PUT", url, content=body))
    listening.close()
    assert reply.status == 200
    assert "transfer-encoding" not in heads[0]
    assert bytes(got) == (json.dumps(sent, separators=(",", ":")).encode() if is_paid else body)


# ---------------------------------------------------------------- paying


async def test_each_payment_has_a_connection_of_its_own(server: Server) -> None:
    """Three payments, three connections; three free questions share one."""
    async with door_to(server.url) as wire:
        for _ in range(3):
            await wire.pay(server.url, json={})
        assert server.connections == 3
        for _ in range(3):
            await wire.call("GET", server.url)
    assert (server.connections, len(server.heads)) == (4, 6)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{port}", "https://127.0.0.1:{port}", "http://no-such-host.invalid"],
    ids=["http", "https", "dns"],
)
async def test_nobody_there_is_not_sent(url: str) -> None:
    """A refused connection and a name without address: no byte left."""
    address = url.format(port=free_port())
    async with door_to(address) as wire:
        with pytest.raises(NotSent):
            await wire.pay(address, json={})


async def test_a_connection_that_never_comes_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes the connection in time: no byte of the request left."""
    monkeypatch.setattr(door, "CONNECT_S", 0.2)
    with contextlib.ExitStack() as opened:
        full = opened.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        address = f"http://127.0.0.1:{full.getsockname()[1]}"
        async with door_to(address) as wire:
            with pytest.raises(NotSent):
                await wire.pay(address, json={})


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff" * 50], ids=["plain", "garbage"])
async def test_an_encrypted_connection_that_fails_is_not_sent(answer: bytes) -> None:
    """The far side speaks no TLS: the request was never written."""

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer)
        writer.close()

    listening = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    address = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with door_to(address) as wire:
        with pytest.raises(NotSent):
            await wire.pay(address, json={"prompt": "x"})
    listening.close()


@pytest.mark.parametrize(
    "answer",
    [None, b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{",
     b"\x00\xff\r\n\r\n",
     b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"],
    ids=["hangs-up", "nothing", "half-head", "half-body", "garbage", "half-chunk"],
)  # fmt: skip
async def test_a_reply_that_broke_off_is_lost_and_never_repeated(answer: bytes | None, server: Server) -> None:
    """It may have been accepted: one connection, one error that says so."""
    server.answer, server.closes = answer, True
    async with door_to(server.url) as wire:
        with pytest.raises(ReplyLost):
            await wire.pay(server.url, json={})
    assert server.connections == 1


async def test_a_reset_after_the_request_is_lost() -> None:
    """The connection was there: whatever happens then may have been a purchase."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    listening = await asyncio.start_server(reset, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with door_to(address) as wire:
        with pytest.raises(ReplyLost):
            await wire.pay(address, json={})
    listening.close()


async def test_silence_is_lost(server: Server) -> None:
    """The request left and no answer came in time."""
    server.answer = b""
    async with door_to(server.url) as wire:
        with pytest.raises(ReplyLost):
            await wire.pay(server.url, json={}, read_s=0.2)


async def test_a_payment_follows_no_redirect(server: Server) -> None:
    """A POST that is sent elsewhere would be a second purchase."""
    server.answer = redirect(f"{server.url}/again")
    async with door_to(server.url) as wire:
        assert (await wire.pay(server.url, json={})).status == 302
    assert len(server.heads) == 1


# ---------------------------------------------------------------- whom we ask


@pytest.mark.parametrize("host", [
    "127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "127.1", "2130706433", "127.0.0.1.", "017700000001", "127\u30020.0.1", "[::1]", "[::]", "[fe80::1]", "[fc00::1]",
    "[::ffff:127.0.0.1]", "[::ffff:a00:1]", "[64:ff9b::7f00:1]", "[64:ff9b::169.254.169.254]", "[2002:7f00:1::]",
    "[2001:db8::1]", "[ff02::1]", "me@pictures.example", "me:word@pictures.example", "", "\uff11\uff12\uff17.1",
])  # fmt: skip
async def test_a_private_or_odd_address_is_refused(host: str) -> None:
    """In every spelling, before anything is sent; and plain http to anybody."""
    async with door_to("https://queue.example") as wire:
        for scheme in ("https", "http", "ftp", "file"):
            with pytest.raises(AddressRefused):
                await wire.call("GET", f"{scheme}://{host}/a.png")


@pytest.mark.parametrize("url", ["http://pictures.example/a", "file:///etc/passwd", "//pictures.example/a", "a.png"])
async def test_only_https_is_asked(url: str) -> None:
    """No other scheme, and no address without one."""
    async with door_to("https://queue.example") as wire:
        with pytest.raises(AddressRefused):
            await wire.call("GET", url)


@pytest.mark.parametrize("address", ["::127.0.0.1", "fec0::1", "64:ff9b:1::7f00:1", "::ffff:0:127.0.0.1"])
def test_rare_private_addresses_are_not_public(address: str) -> None:
    """IPv4-compatible, site-local, local-use NAT64 and IPv4-translated addresses lead inside."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_addresses_may_be_asked(address: str) -> None:
    """The open internet, also through IPv6."""
    assert is_public(address)
    assert may_be_asked(address)


@pytest.mark.parametrize("name", ["localhost", "0x7f.1", "0x7f000001"])
async def test_a_name_that_leads_inside_is_refused_when_it_is_resolved(name: str, server: Server) -> None:
    """The name looks harmless, its address is ours: no connection is made."""
    async with door_to("https://queue.example") as wire:
        with pytest.raises((AddressRefused, NotSent)) as refused:
            await wire.call("GET", f"https://{name}:{server.url.rpartition(':')[2]}/")
    assert name != "localhost" or isinstance(refused.value, AddressRefused)
    assert server.connections == 0


@pytest.mark.parametrize(
    "to",
    ["http://127.0.0.1:1/", "https://10.0.0.1/", "https://localhost:9/", "ftp://x.example/", "//[::1]/", "https://["],
)
async def test_a_redirect_is_checked_anew(to: str, server: Server) -> None:
    """A trusted host cannot send us inside."""
    server.answer = redirect(to)
    async with door_to(server.url) as wire:
        with pytest.raises(AddressRefused):
            await wire._street.download(server.url, bytes, limit=10)


async def test_redirects_end(server: Server) -> None:
    """Round and round ends."""
    server.answer = redirect("/again")
    async with door_to(server.url) as wire:
        with pytest.raises(AddressRefused):
            await wire._street.download(server.url, bytes, limit=10)
    assert len(server.heads) == door.REDIRECTS + 1


@pytest.mark.parametrize("has_length", [True, False])
async def test_too_much_is_not_taken(has_length: bool, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download has its limit, a reply too, whether or not the length was told."""
    monkeypatch.setattr(door, "REPLY_LIMIT_BYTES", 10)
    head = b"content-length: 11\r\n" if has_length else b"connection: close\r\n"
    server.answer, server.closes = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + b"x" * 11, True
    async with door_to(server.url) as wire:
        with pytest.raises(TooLarge):
            await wire.call("GET", server.url)
        with pytest.raises(TooLarge):
            await wire._street.download(server.url, bytes, limit=10)
        taken: list[bytes] = []
        await wire._street.download(server.url, taken.append, limit=11)
    assert b"".join(taken) == b"x" * 11


# ---------------------------------------------------------------- who gets the key


async def test_the_key_goes_to_its_own_host_only(server: Server) -> None:
    """Not to another trusted host, not to a signed address, not with a download."""
    async with running(Server()) as other, door_to(server.url, other.url) as wire:
        await wire.pay(server.url, json={})
        await wire.call("GET", server.url)
        await wire.call("PUT", server.url, content=b"x", with_key=False)
        await wire.call("GET", other.url)
        await wire.pay(other.url, json={})
        assert [event async for event in wire.events(other.url, dict)] == []
        await wire._street.download(server.url, bytes, limit=10)
    assert ["top-secret" in head for head in server.heads] == [True, True, False, False]
    assert ["top-secret" in head for head in other.heads] == [False] * 3


@pytest.mark.parametrize("url", [
    "https://queue.example.evil.example", "https://queue.example@evil.example", "https://evil.example/queue.example",
    "http://queue.example", "https://queue.example:444", "https://queue.example\\@evil.example", "https://QUEUE.example.",
])  # fmt: skip
def test_an_address_that_only_looks_like_ours_is_not_ours(url: str) -> None:
    """Scheme, host and port have to be equal."""
    wire = Wire(Street(frozenset()), {"": "https://queue.example"}, KEY)
    assert not wire.is_own(url)
    assert wire.is_own("https://QUEUE.example:443/any")


def test_what_is_no_address_is_trusted_by_nobody() -> None:
    """A setting that cannot be read must not make all that cannot be read ours."""
    street = Street(frozenset({origin_of("https://[::1")}))
    assert not street.is_trusted("https://[::2")
    with pytest.raises(AddressRefused):
        street.check("https://[::2")
