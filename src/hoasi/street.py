"""Street door (floor 1): the only HTTP of this house, and the only place that knows whether a request left it.

httpx's API on aiohttp's transport (numbers: docs/decisions/0002-http.md). What this door promises:

* `pay` sends one POST over a connection of its own and never repeats it. A reused keep-alive connection that the far
  side has just closed cannot be told from a lost reply, so paid requests do not share connections.
* Each failure is one of two: `NotSent` (proven: no byte of the request left) or `ReplyLost` (anything else). The
  transport names every broken connection "connect timeout", so the proof is read from aiohttp's exception below it.
* A key goes only to its provider's own origins (scheme, host and port equal). Downloads carry none.
* A download address must be https and public; names are resolved once and the connection goes to the very address that
  was checked; every redirect is checked anew. Origins of configured providers are trusted as they are.
It loads aiohttp: import it only when work starts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urljoin

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from hoasi.addresses import NOBODY, Origin, PrivateAddressError, PublicOnly, may_be_asked, origin_of

CONNECT_S = 10.0
READ_S = 60.0
REPLY_LIMIT_BYTES = 96 * 1024 * 1024
REDIRECTS = 5
PART_BYTES = 256 * 1024
BEAT_S, SPEECH = 20.0, 16 * 1024 * 1024
"""How often a silent websocket is asked whether it still stands, and the largest message that is taken from one."""


class WireTrouble(Exception):
    """A request got no whole reply. The text is the kind of failure, never an address."""


class NotSent(WireTrouble):
    """Proven: the connection was not made, so nothing was received at the far side."""


class ReplyLost(WireTrouble):
    """Sent, or perhaps sent: the far side may have acted on it."""


class AddressRefused(WireTrouble):
    """An untrusted address that is not public https; nothing was sent."""


class TooLarge(WireTrouble):
    """The far side sends more than we take."""


@dataclass(frozen=True)
class Reply:
    """A whole answer: status, headers (lower-case names), body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_ok(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    @cached_property
    def json(self) -> Any:
        """The body as JSON, or None when it is none."""
        return parsed(self.body)

    @property
    def fields(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is anything else."""
        return self.json if isinstance(self.json, dict) else {}

    @property
    def retry_after_s(self) -> float | None:
        """`Retry-After` in seconds where it is a number (its date form is not used by our providers)."""
        text = self.headers.get("retry-after", "").strip()
        return float(text) if text.isascii() and text.replace(".", "", 1).isdigit() else None


class Street:
    """All connections of one process. `trusted` are the origins of the configured providers."""

    def __init__(self, trusted: frozenset[Origin], *, connections: int = 512) -> None:
        self._trusted = trusted - {NOBODY}
        self._connections = connections
        self._clients: dict[str, httpx.AsyncClient] = {}

    def _client(self, kind: str) -> httpx.AsyncClient:
        """Client of a kind, made when first used: `known` origins, `open` internet, `once` for paid requests."""
        if kind not in self._clients:
            self._clients[kind] = httpx.AsyncClient(
                transport=self._transport(kind),
                trust_env=False,
                follow_redirects=False,
                headers={"user-agent": "hoasi"},
            )
        return self._clients[kind]

    def _transport(self, kind: str) -> httpx.AsyncBaseTransport:
        def session() -> aiohttp.ClientSession:
            connector = aiohttp.TCPConnector(
                limit=self._connections,
                ssl=transport.ssl_context,
                force_close=kind == "once",
                resolver=PublicOnly() if kind == "open" else None,
            )
            return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

        transport = AiohttpTransport(client=session, trust_env=False)
        return transport

    def is_trusted(self, url: str) -> bool:
        """Whether the address belongs to a configured provider."""
        return origin_of(url) in self._trusted

    def check(self, url: str) -> None:
        """Refuse an untrusted address that is not https with a public host.

        Raises:
            AddressRefused: the scheme, a user name in it, or a literal private address.
        """
        if self.is_trusted(url):
            return
        try:
            parts = httpx.URL(url)
            parts.host.encode("idna")
        except (httpx.InvalidURL, ValueError) as error:
            raise AddressRefused("address refused") from error
        if parts.scheme != "https" or parts.userinfo or not may_be_asked(parts.raw_host.decode("ascii")):
            raise AddressRefused("address refused")

    @asynccontextmanager
    async def open(
        self, method: str, url: str, *, kind: str = "known", read_s: float | None = None, **content: Any
    ) -> AsyncIterator[httpx.Response]:
        """Send one request and yield its streaming response; failures come as `WireTrouble`."""
        timeout = httpx.Timeout(read_s or READ_S, connect=CONNECT_S, pool=None)
        try:
            client = self._client(kind)
            request = _in_parts(client.build_request(method, url, timeout=timeout, **content))
            async with aclosing(await client.send(request, stream=True)) as response:
                yield response
        except httpx.RequestError as error:
            raise _trouble(error) from error
        except httpx.InvalidURL as error:
            raise AddressRefused("address refused") from error
        except aiohttp.ClientError as error:  # what the transport has no name for: an answer that is not HTTP
            raise ReplyLost(type(error).__name__) from error

    async def send(self, method: str, url: str, *, kind: str = "known", **content: Any) -> Reply:
        """Send one request and read the whole reply (at most 96 MiB)."""
        async with self.open(method, url, kind=kind, **content) as response:
            return await whole(response)

    async def download(self, url: str, take: Callable[[bytes], object], *, limit: int) -> Reply:
        """Stream an address into `take` without any key; gives status and headers (body empty when 2xx).

        Raises:
            AddressRefused, NotSent, ReplyLost: also when it ends before its announced length.
            TooLarge: more than `limit` bytes.
        """
        for _ in range(REDIRECTS + 1):
            self.check(url)
            async with self.open("GET", url, kind="known" if self.is_trusted(url) else "open") as response:
                if response.is_redirect:
                    url = _joined(url, response.headers.get("location", ""))
                    continue
                if response.is_success:
                    await _pour(response, take, limit)
                return Reply(response.status_code, dict(response.headers), b"")
        raise AddressRefused("too many redirects")

    @asynccontextmanager
    async def socket(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[AsyncIterator[str]]:
        """A websocket at a trusted origin: its text messages until it closes. A redirect is not followed.

        Raises:
            AddressRefused: not an origin of a configured provider. NotSent, ReplyLost: it cannot be opened, or breaks.
        """
        if not self.is_trusted(url):
            raise AddressRefused("address refused")
        try:
            async with (
                _talking() as talk,
                talk.ws_connect(url, headers=headers, heartbeat=BEAT_S, max_msg_size=SPEECH) as line,
            ):
                yield _spoken(line)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotSent(type(error).__name__) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ReplyLost(type(error).__name__) from error

    async def close(self) -> None:
        """Close every connection."""
        while self._clients:
            await self._clients.popitem()[1].aclose()


class _Parts(httpx.AsyncByteStream):
    """A large body in pieces, so that sending it does not hold up everything else; from the start each time."""

    def __init__(self, body: bytes) -> None:
        self._body = memoryview(body)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), PART_BYTES):
            yield bytes(self._body[start : start + PART_BYTES])


def _in_parts(request: httpx.Request) -> httpx.Request:
    """The same request; a large body leaves in pieces, its length still told beforehand."""
    if not isinstance(request.stream, httpx.ByteStream) or len(request.content) <= PART_BYTES:
        return request
    return httpx.Request(
        request.method,
        request.url,
        headers=request.headers,
        stream=_Parts(request.content),
        extensions=request.extensions,
    )


async def whole(response: httpx.Response) -> Reply:
    """The whole reply, at most 96 MiB.

    Raises:
        TooLarge: more.
    """
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > REPLY_LIMIT_BYTES:
            raise TooLarge("reply too large")
    return Reply(response.status_code, dict(response.headers), bytes(body))


def _talking() -> aiohttp.ClientSession:
    """A session for one websocket."""
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=CONNECT_S)
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout, trace_configs=[trace])


async def _spoken(line: aiohttp.ClientWebSocketResponse) -> AsyncIterator[str]:
    """Text messages; pictures in between are passed over."""
    async for message in line:
        if message.type is aiohttp.WSMsgType.TEXT:
            yield message.data
    if line.exception() is not None:
        raise ReplyLost(type(line.exception()).__name__)


async def _refuse_redirect(*_: object) -> None:
    raise aiohttp.ClientConnectionError("redirect")


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise AddressRefused("address refused") from error


async def _pour(response: httpx.Response, take: Callable[[bytes], object], limit: int) -> None:
    total = 0
    async for chunk in response.aiter_bytes():
        total += len(chunk)
        if total > limit:
            raise TooLarge("download too large")
        take(chunk)


def _trouble(error: httpx.RequestError) -> WireTrouble:
    """Sort a failure by what it proves (see the module's text)."""
    cause = error.__cause__
    if isinstance(cause, aiohttp.InvalidURL):
        return AddressRefused("address refused")
    if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        is_private = isinstance(getattr(cause, "os_error", None), PrivateAddressError)
        return AddressRefused("address refused") if is_private else NotSent(type(cause).__name__)
    return ReplyLost(type(cause or error).__name__)


def parsed(text: str | bytes) -> Any:
    """What JSON says, or None where it is none (or nested so deep that only malice explains it)."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
