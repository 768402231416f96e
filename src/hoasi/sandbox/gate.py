"""Room: sandbox. The gate each request of a provider passes: counted, perhaps spoiled by a fault, then answered."""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hoasi.sandbox.counters import Counters
from hoasi.sandbox.faults import At, Fault, FaultBook, Kind
from hoasi.sandbox.reel import Broken, cut

Endpoint = Callable[[Request], Awaitable[Response]]
Spoil = Callable[[Fault], Response]
CONNECTION = "hoasi.connection"  # scope key under which `serving` puts the transport, so that an answer can hang up
_ALIEN = bytes(range(256)) * 16
_NGINX = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n<hr><center>nginx</center>"
)


class Refusal(Exception):
    """Raised by an endpoint that will not do it; carries the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class Silence(Response):
    """Never answers; ends when the client hangs up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI wants it
        """Wait until the client hangs up."""
        await _client_gone(receive)


class HungUp(Response):
    """Ends the connection without an answer: politely (FIN), or with a TCP reset."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI wants it
        """Hang up."""
        transport: asyncio.Transport = scope[CONNECTION]
        if self._reset:  # closing with a zero linger time makes the kernel send RST
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
        await _client_gone(receive)


class FirstPart(Response):
    """Sends the head and the first half (of a stream: the first event), then hangs up or falls silent."""

    def __init__(self, whole: Response, *, hangs_up: bool) -> None:
        super().__init__(status_code=whole.status_code)
        self._whole = whole
        self._hangs_up = hangs_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the first part."""
        whole = self._whole
        await send({"type": "http.response.start", "status": whole.status_code, "headers": whole.raw_headers})
        await send({"type": "http.response.body", "body": await _first_half(whole), "more_body": True})
        if self._hangs_up:
            scope[CONNECTION].close()  # unlike abort() this lets the bytes out first
        await _client_gone(receive)


async def _first_half(whole: Response) -> bytes:
    if not isinstance(whole, StreamingResponse):
        return bytes(whole.body[: len(whole.body) // 2])
    events = aiter(whole.body_iterator)
    chunk = await anext(events)
    if isinstance(events, AsyncGenerator):
        await events.aclose()
    return chunk.encode() if isinstance(chunk, str) else bytes(chunk)


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _server_error(fault: Fault) -> Response:
    status = int(fault.number(500))
    return Response(_NGINX.format(f"{status} Server Error"), status, media_type="text/html")


def _garbled(fault: Fault, answer: Response) -> Response:  # noqa: ARG001 - 2026-11-21, all of SPOILED have one signature
    if isinstance(answer, StreamingResponse):
        return Response("data: {not json\n\n", media_type="text/event-stream")
    return Response("<!-- not json -->", media_type="application/json")


def _hangs(fault: Fault, answer: Response) -> Response:  # noqa: ARG001 - as above
    return FirstPart(answer, hangs_up=False) if isinstance(answer, StreamingResponse) else Silence()


def _broken(answer: Response, how: Broken) -> Response:
    """Answer with a broken clip as if it were whole; a part of it (206) stays a part, for it has no beginning."""
    if answer.status_code != 200:
        return answer
    return Response(cut(bytes(answer.body), how), media_type=answer.headers.get("content-type"))


# The request goes no further: nothing is accepted, nothing is billed.
REFUSED: dict[Kind, Spoil] = {
    "429": lambda f: JSONResponse(
        {"detail": "Too many requests"}, 429, {"Retry-After": str(f.value if f.value is not None else 1)}
    ),
    "5xx": _server_error,
    "hang_before": lambda _: Silence(),
    "reset": lambda _: HungUp(reset=True),
    "redirect": lambda f: Response(status_code=302, headers={"Location": str(f.value)}),
    "gone": lambda f: JSONResponse({"detail": "Not Found"}, int(f.number(404))),
}

# The work was done (and is billed); only the answer is spoiled.
SPOILED: dict[Kind, Callable[[Fault, Response], Response]] = {
    "lost_reply": lambda _, __: HungUp(),
    "hang": _hangs,
    "garbage": _garbled,
    "truncated": lambda _, answer: FirstPart(answer, hangs_up=True),
    "wrong_type": lambda _, __: Response("<html><body>Sign in</body></html>", media_type="text/html"),
    "empty": lambda _, answer: Response(b"", media_type=answer.headers.get("content-type")),
    "not_a_picture": lambda _, __: Response(_ALIEN, media_type="image/png"),
    "slow": lambda _, answer: answer,
    "clip_truncated": lambda _, answer: _broken(answer, "truncated"),
    "clip_empty": lambda _, answer: _broken(answer, "empty"),
}


@dataclass(frozen=True)
class Gate:
    """The way in for one provider. `refusals` are the faults that speak in the provider's own error bodies."""

    faults: FaultBook
    counters: Counters
    model_of: Callable[[Request], str | None]
    refusals: Mapping[Kind, Spoil] = field(default_factory=dict)

    def __call__(self, at: At, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint as seen from outside."""

        async def outside(request: Request) -> Response:
            self.counters.seen[at] += 1
            fault = self.faults.take(at, self.model_of(request))
            return await endpoint(request) if fault is None else await self._with(fault, endpoint, request)

        return outside

    async def _with(self, fault: Fault, endpoint: Endpoint, request: Request) -> Response:
        refuse = self.refusals.get(fault.kind) or REFUSED.get(fault.kind)
        if refuse is not None:
            return refuse(fault)
        if fault.kind == "slow":
            await asyncio.sleep(fault.number(1))
        return SPOILED[fault.kind](fault, await endpoint(request))
