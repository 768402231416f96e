"""Street door (floor 1): the street as one provider sees it: its own hosts, its own key, one POST that is paid."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from hoasi.addresses import origin_of
from hoasi.spool import Spool
from hoasi.street import AddressRefused, Reply, Street, WireTrouble, parsed, whole

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("hoasi.wire")
T = TypeVar("T")
FileField = tuple[str, bytes, str]


@dataclass(frozen=True)
class Renewal:
    """Auth headers that age: made anew after `life_s`, and once more when a reply says that only this was wrong."""

    make: Callable[[], Mapping[str, str]]
    life_s: float
    is_stale: Callable[[Reply], bool]


class Wire:
    """The street as one provider sees it: its origins by role, its auth headers, nobody else's."""

    def __init__(
        self,
        street: Street,
        origins: Mapping[str, str],
        auth: Mapping[str, str],
        renewal: Renewal | None = None,
        told: Mapping[str, str] | None = None,
    ) -> None:
        self.told = dict(told or {})
        """Of the settings that the provider heeds those that are set, by their names."""
        self._street = street
        self._origins = origins
        self._auth = auth
        self._renewal = renewal
        self._signed_at = time.time()
        self._own = {origin_of(url) for url in origins.values()}
        self._spool: Spool | None = None
        self._is_past = False
        self.is_heard = False
        """Of a wire that is `hearing`: the kept reply was asked for."""

    def keeping(self, spool: Spool) -> Wire:
        """The same street for one purchase: the reply to its POST is on disk there before it is read."""
        other = copy(self)
        other._spool = spool
        return other

    def hearing(self, spool: Spool) -> Wire:
        """The same street for a purchase that was sent before: its POST is not sent, the kept reply answers it."""
        other = self.keeping(spool)
        other._is_past = True
        return other

    @property
    def address(self) -> str:
        """Where this provider is for this process; "" for one without hosts."""
        return next(iter(self._origins.values()), "")

    def url(self, role: str, path: str) -> str:
        """Address of a path at one of the provider's hosts."""
        return f"{self._origins[role]}/{path.lstrip('/')}"

    def is_own(self, url: str) -> bool:
        """Whether the address is at one of the provider's own hosts."""
        return origin_of(url) in self._own

    def _headers(self, url: str, headers: Mapping[str, str] | None) -> dict[str, str]:
        if self._renewal and time.time() - self._signed_at > self._renewal.life_s:
            self._renew()
        return {**(self._auth if self.is_own(url) else {}), **(headers or {})}

    def _renew(self) -> None:
        if self._renewal:
            self._auth, self._signed_at = self._renewal.make(), time.time()

    def _kind(self, url: str) -> str:
        self._street.check(url)
        return "known" if self._street.is_trusted(url) else "open"

    async def _signed(self, url: str, given: Mapping[str, str] | None, send: Callable[..., Awaitable[Reply]]) -> Reply:
        """Send with our headers; once more with new ones when the reply says that nothing but their age was wrong."""
        reply = await send(headers=self._headers(url, given))
        if self._renewal and self.is_own(url) and self._renewal.is_stale(reply):
            self._renew()
            return await send(headers=self._headers(url, given))
        return reply

    @asynccontextmanager
    async def _posted(self, url: str, **content: Any) -> AsyncIterator[httpx.Response]:
        """The reply to a paid POST as it comes, or as it came."""
        if self._spool is not None and self._is_past:
            self.is_heard = True
            yield self._spool.again()
            return
        if self._spool is not None:
            self._spool.drop()
        async with self._street.open("POST", url, kind="once", **content) as response:
            yield self._spool.recorded(response, self.address) if self._spool and response.is_success else response

    async def pay(
        self,
        url: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        files: Sequence[tuple[str, FileField]] = (),
        headers: Mapping[str, str] | None = None,
        read_s: float | None = None,
    ) -> Reply:
        """The one POST that may cost money: sent once, on a connection of its own, redirects not followed.

        The body is `json`, or a multipart form of `form` and `files` (field name, (file name, bytes, media type)).

        Raises:
            NotSent: no byte left; it may be sent again.
            ReplyLost: it may have been accepted; it must not be sent again.
        """
        body = {"json": json} if form is None else _multipart(form, files)

        async def send(**signed: Any) -> Reply:
            async with self._posted(url, read_s=read_s, **signed, **body) as response:
                return await whole(response)

        return await self._signed(url, headers, send)

    async def pay_stream(
        self, url: str, take: Callable[[dict[str, Any]], Awaitable[None]], *, json: Any, read_s: float | None = None
    ) -> Reply:
        """As `pay`, where the reply may be a stream of events: each JSON object of it is given to `take` as it comes.

        The body of the reply is empty when it was such a stream.

        Raises:
            NotSent, ReplyLost: as `pay`; what `take` got before, it has.
        """
        headers = {**self._headers(url, None), "accept": "text/event-stream, application/json"}
        async with self._posted(url, json=json, headers=headers, read_s=read_s) as response:
            is_stream = response.is_success and "event-stream" in response.headers.get("content-type", "")
            if not is_stream:
                return await whole(response)
            async for event in _events(response.aiter_lines()):
                await take(event)
            return Reply(response.status_code, dict(response.headers), b"")

    async def call(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        files: Sequence[tuple[str, FileField]] = (),
        headers: Mapping[str, str] | None = None,
        with_key: bool = True,
    ) -> Reply:
        """A free call (status, result, cancel, upload); `with_key=False` for signed addresses; `form` as `pay`."""
        body = {"json": json} if content is None else {"content": content}
        body = body if form is None else _multipart(form, files)
        kind = self._kind(url)
        if with_key:
            return await self._signed(url, headers, partial(self._street.send, method, url, kind=kind, **body))
        return await self._street.send(method, url, kind=kind, headers=dict(headers or {}), **body)

    async def hint(self, url: str, *, within_s: float) -> Reply | None:
        """A free look at what is of help but not needed; None, and a line in our log, where no good answer comes."""
        why = f"nothing within {within_s:g} s"
        with anyio.move_on_after(within_s):
            try:
                reply = await self.call("GET", url)
            except WireTrouble as trouble:
                why = str(trouble)
            else:
                if reply.is_ok:
                    return reply
                why = f"HTTP {reply.status}"
        log.info("GET %s: %s", url, why)
        return None

    async def events(self, url: str, read: Callable[[dict[str, Any]], T]) -> AsyncGenerator[T, None]:
        """What `read` makes of each JSON object of a server-sent event stream, until it ends; a refusal ends it."""
        headers = {**self._headers(url, None), "accept": "text/event-stream"}
        async with self._street.open("GET", url, kind=self._kind(url), headers=headers) as response:
            if not response.is_success or "event-stream" not in response.headers.get("content-type", ""):
                return
            async for event in _events(response.aiter_lines()):
                yield read(event)

    async def socket(
        self, url: str, read: Callable[[dict[str, Any]], T | None], look: Callable[[], Awaitable[T]]
    ) -> AsyncGenerator[T, None]:
        """What `read` makes of each JSON message of a websocket at our provider, until it closes; None is passed over.

        First comes what `look` finds once the socket stands: what ended before is not told there any more.

        Raises:
            WireTrouble: it cannot be opened, or breaks.
        """
        if not self.is_own(url):
            raise AddressRefused("address refused")
        async with self._street.socket(url, self._headers(url, None)) as messages:
            yield await look()
            async for message in messages:
                value = parsed(message)
                if isinstance(value, dict) and (seen := read(value)) is not None:
                    yield seen


def _multipart(form: Mapping[str, str], files: Sequence[tuple[str, FileField]]) -> dict[str, Any]:
    plain = [(name, (None, text.encode())) for name, text in form.items()]
    return {"files": [*plain, *files]}


async def _events(lines: AsyncIterator[str]) -> AsyncGenerator[dict[str, Any], None]:
    """The JSON objects of a stream of server-sent events; comments, names, and what is no object, are passed over."""
    data: list[str] = []
    async for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line.strip() and data:
            event, data = parsed("\n".join(data)), []
            if isinstance(event, dict):
                yield event
    if data and isinstance(event := parsed("\n".join(data)), dict):  # a stream may end without its last blank line
        yield event
