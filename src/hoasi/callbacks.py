"""Doors (floor 5): providers report here that something ended. Verified, and then only a reason to ask at once.

A report is never believed: its generation is asked for at its provider at once, as polling would a little later. So a
forged or repeated one changes nothing, and a lost one costs only the time until the next poll.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from hoasi.errors import HoasiError, NotFound
from hoasi.providers import provider
from hoasi.providers._provider import CallsBack, Provider, Publishes
from hoasi.shop import secrets_of
from hoasi.webhooks import Forged, Seen

if TYPE_CHECKING:
    from hoasi.studio import Studio

log = logging.getLogger("hoasi.server")

LIMIT_BYTES = 1024 * 1024
KEYS_LIFE_S = 24 * 3600.0
KEYS_AGAIN_S = 60.0
"""A signature that does not fit may be of a new key: keys older than this are asked for once more."""


class Receiver:
    """Takes the reports of all providers that can be verified. `studios` opens the server's; none: it is not up."""

    def __init__(self, studios: Callable[[], Awaitable[Sequence[Studio]]]) -> None:
        self._studios = studios
        self._seen = Seen()
        self._keys: dict[tuple[str, Path], tuple[float, Sequence[Any]]] = {}

    async def __call__(self, request: Request) -> Response:
        """204: taken. 401: not from the provider. 404: nobody reports there."""
        name = request.path_params["provider"]
        try:
            maker = provider(name)
            studios = await self._studios() if isinstance(maker, CallsBack) else ()
            if not studios:
                raise NotFound("provider_unknown", provider=name, near="-")
            return await self._take(request, maker, studios)
        except Forged as forged:
            log.warning("callback refused: %s", forged.reason)
            return JSONResponse({"detail": forged.reason}, 401)
        except NotFound:
            return JSONResponse({"detail": "not found"}, 404)
        except HoasiError as error:
            log.warning("callback not taken: %s", error)
            return JSONResponse({"detail": error.key}, 503)

    async def _take(self, request: Request, maker: Provider, studios: Sequence[Studio]) -> Response:
        body = await _body(request)
        delivery, wanted = await self._verified(maker, dict(request.headers), body, studios)
        if wanted is not None and self._seen.first_time(f"{maker.name} {delivery}", time.time()):
            for studio in studios:
                studio.engine.nudge(maker.name, wanted)
        return Response(status_code=204)

    async def _verified(
        self, maker: Provider, headers: dict[str, str], body: bytes, studios: Sequence[Studio]
    ) -> tuple[str, str | None]:
        """As `_verified_by`, of the first workspace whose keys fit."""
        for studio in studios[:-1]:
            with suppress(Forged):
                return await self._verified_by(maker, headers, body, studio)
        return await self._verified_by(maker, headers, body, studios[-1])

    async def _verified_by(
        self, maker: Provider, headers: dict[str, str], body: bytes, studio: Studio
    ) -> tuple[str, str | None]:
        """The delivery's id and the request it speaks of; a key may be new, so an old list of keys is renewed once."""
        if not isinstance(maker, CallsBack):
            raise Forged("headers")
        keys = await self._keys_of(maker, studio, KEYS_LIFE_S)
        try:
            return maker.report(headers, body, keys, time.time())
        except Forged as forged:
            fresh = await self._keys_of(maker, studio, KEYS_AGAIN_S)
            if forged.reason != "signature" or fresh is keys:
                raise
            return maker.report(headers, body, fresh, time.time())

    async def _keys_of(self, maker: Provider, studio: Studio, life_s: float) -> Sequence[Any]:
        """Its secrets as this process was told, or its public keys."""
        if not isinstance(maker, Publishes):
            return secrets_of(maker, studio.settings)
        place = maker.name, studio.settings.workspace
        asked_at, keys = self._keys.get(place, (0.0, ()))
        if not keys or time.monotonic() - asked_at > life_s:
            keys = maker.keys_of(await studio.engine.look_up(maker, *maker.callback_keys))
            self._keys[place] = time.monotonic(), keys
        return keys


async def _body(request: Request) -> bytes:
    """The body as it came, at most 1 MiB.

    Raises:
        Forged: larger, or it broke off.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LIMIT_BYTES:
                raise Forged("body")
    except ClientDisconnect as error:
        raise Forged("body") from error
    return bytes(body)
