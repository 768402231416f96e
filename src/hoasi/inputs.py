"""Engine room (floor 3): inputs go to the provider once a job, however many pictures use them."""

from __future__ import annotations

import hashlib
import time
from functools import partial

import anyio

from hoasi.errors import FileBroken, ProviderUnreachable
from hoasi.line import Line, Shop
from hoasi.pace import patiently
from hoasi.providers._provider import TryAgain, Uploads
from hoasi.records import Input
from hoasi.uploads import remember, uploaded
from hoasi.wire import WireTrouble


async def addresses(line: Line) -> tuple[str, ...]:
    """Addresses of a generation's inputs, in their order; uploads what the provider does not have yet. Free.

    Raises:
        ProviderUnreachable: an upload did not get through; nothing was paid.
    """
    if not isinstance(line.maker, Uploads):
        return ()
    return tuple([await _address(line, line.maker, item) for item in line.planned.inputs])


async def _address(line: Line, maker: Uploads, item: Input) -> str:
    """One address; two generations that need the same bytes at once wait for one upload."""
    shop = line.shop
    realm = shop.settings.sandbox_url or ""
    key = (line.maker.name, realm, line.planned.job_id, item.sha256)
    async with shop.uploading.setdefault(key, anyio.Lock()):
        with shop.ledger.transaction() as db:
            known = uploaded(db, key, time.time() - maker.upload_life_s)
        if known is not None:
            return known
        content = await _read(shop, item)
        try:
            url = await patiently(partial(maker.upload, line.wire, item, content), tries=4)
        except (WireTrouble, TryAgain) as error:
            raise ProviderUnreachable("upload_failed", provider=line.maker.name, path=item.written) from error
        with shop.ledger.transaction() as db:
            remember(db, key, url)
        return url


async def _read(shop: Shop, item: Input) -> bytes:
    """The bytes that were planned and consented to.

    Raises:
        FileBroken: the file is gone, or was changed in between.
    """
    path = anyio.Path(shop.settings.workspace / item.path)
    content = await path.read_bytes() if await path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != item.sha256:
        raise FileBroken("input_changed", file=item.written)
    return content
