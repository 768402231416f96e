"""Engine room (floor 3): inputs go to the provider once a job, however many pictures use them."""

from __future__ import annotations

import hashlib
import time
from functools import partial

import anyio

from hoasi.consent import must_stand
from hoasi.errors import FileBroken, ProviderUnreachable
from hoasi.line import Line, Shop
from hoasi.pace import patiently
from hoasi.providers._provider import TryAgain, Uploads
from hoasi.records import Input
from hoasi.uploads import Key, forget, remember, uploaded
from hoasi.wire import WireTrouble


async def addresses(line: Line) -> tuple[str, ...]:
    """Addresses of a generation's inputs, in their order; uploads what the provider does not have yet. Free.

    Raises:
        ProviderUnreachable: an upload did not get through; nothing was paid.
    """
    permitted(line)
    if not isinstance(line.maker, Uploads):
        return ()
    return tuple([await _address(line, line.maker, item) for item in line.planned.inputs])


def permitted(line: Line) -> None:
    """No picture leaves, and none that left is used, without a permission that stands at this very moment.

    Raises:
        ConsentMissing: it was revoked, or ran out, since the call was planned.
    """
    if isinstance(line.maker, Uploads):
        must_stand(line.planned.inputs, line.planned.job_id, line.shop.settings)


def distrust(line: Line) -> None:
    """The provider refused: perhaps it no longer has what was uploaded. The next try uploads anew, which is free."""
    with line.shop.ledger.transaction() as db:
        forget(db, [_key(line, item) for item in line.planned.inputs])


def _key(line: Line, item: Input) -> Key:
    return line.maker.name, line.wire.address, line.planned.job_id, item.sha256


async def _address(line: Line, maker: Uploads, item: Input) -> str:
    """One address; two generations that need the same bytes at once wait for one upload."""
    shop = line.shop
    key = _key(line, item)
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
