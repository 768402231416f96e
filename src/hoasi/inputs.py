"""Engine room (floor 3): inputs leave as the provider wants them, made fit, and are uploaded once a job."""

from __future__ import annotations

import hashlib
import time
from functools import partial
from typing import Literal

import anyio
import anyio.to_thread

from hoasi import catalogue
from hoasi.catalogue import Card, Limits
from hoasi.consent import must_stand
from hoasi.errors import FileBroken, NotSupported, ProviderUnreachable
from hoasi.given import Input
from hoasi.line import Line
from hoasi.pace import patiently
from hoasi.providers._outcomes import Sent, TryAgain
from hoasi.providers._provider import Uploads
from hoasi.street import WireTrouble
from hoasi.uploads import Key, forget, remember, uploaded


async def prepared(line: Line) -> tuple[Sent, ...]:
    """A generation's inputs as its provider gets them, in their order; uploads what it does not have yet. Free.

    Raises:
        ConsentMissing: a permission is missing. ProviderUnreachable: an upload did not get through; nothing was paid.
    """
    permitted(line)
    return tuple([await _sent(line, item) for item in line.planned.inputs])


async def _sent(line: Line, item: Input) -> Sent:
    way = line.maker.ways.get(item.medium)
    remote = item.remote
    if way == "address" and item.written.startswith("https://"):
        return Sent(item, url=item.written)
    if way == "address" and remote is not None and remote.provider == line.maker.name:
        return Sent(item, url=remote.url)
    if way == "upload" and isinstance(line.maker, Uploads):
        return Sent(item, url=await _address(line, line.maker, item))
    if way == "inline":
        content, media_type = await _read(line, item)
        return Sent(item.model_copy(update={"media_type": media_type}), data=content)
    raise NotSupported("input_needs_address", provider=line.maker.name, path=item.written)


def permitted(line: Line) -> None:
    """No picture leaves, and none that left is used, without a permission that stands at this very moment.

    Raises:
        ConsentMissing: it was revoked, or ran out, since the call was planned.
    """
    if line.maker.origins:
        must_stand(line.planned.inputs, line.planned.job_id, line.planned.scope, line.shop.settings)


def distrust(line: Line) -> None:
    """The provider refused: perhaps it no longer has what was uploaded. The next try uploads anew, which is free."""
    with line.shop.ledger.transaction() as db:
        forget(db, [_key(line, item) for item in line.planned.inputs])


def _card(line: Line) -> Card:
    return catalogue.load(line.planned.provider).card(line.planned.model)


def _limits(line: Line, item: Input) -> Limits | None:
    return _card(line).limits.get(item.medium)


def _key(line: Line, item: Input) -> Key:
    """The same bytes that are made fit in another way are another upload."""
    limits = _limits(line, item)
    is_whole = limits is None and item.crop is None
    how = "" if is_whole else f"{item.crop}{(limits or Limits()).model_dump_json()}"
    how += "mask" if item.role == "mask" else ""
    name = hashlib.sha256(f"{item.sha256}{how}".encode()).hexdigest() if how else item.sha256
    return line.maker.name, line.wire.address, line.planned.job_id, name


async def _address(line: Line, maker: Uploads, item: Input) -> str:
    """One address; two generations that need the same bytes at once wait for one upload."""
    shop = line.shop
    key = _key(line, item)
    async with shop.uploading.setdefault(key, anyio.Lock()):
        with shop.ledger.transaction() as db:
            known = uploaded(db, key, time.time() - maker.upload_life_s)
        if known is not None:
            return known
        content, media_type = await _read(line, item)
        fitted = item.model_copy(update={"media_type": media_type})
        try:
            url = await patiently(partial(maker.upload, line.wire, fitted, content), tries=4)
        except (WireTrouble, TryAgain) as error:
            raise ProviderUnreachable("upload_failed", provider=line.maker.name, path=item.written) from error
        with shop.ledger.transaction() as db:
            remember(db, key, url)
        return url


async def _read(line: Line, item: Input) -> tuple[bytes, str]:
    """The bytes that were planned and consented to, made fit for the model, and their media type.

    Raises:
        FileBroken: the file is gone, was changed in between, or cannot be made fit.
    """
    path = anyio.Path(line.shop.settings.workspace / item.path)
    content = await path.read_bytes() if await path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != item.sha256:
        raise FileBroken("input_changed", file=item.written)
    limits = _limits(line, item)
    if item.role == "mask":
        content, media_type = await anyio.to_thread.run_sync(_as_mask, content, item.media_type, _card(line).mask)
        item = item.model_copy(update={"media_type": media_type})
    if item.medium != "image" or (limits is None and item.crop is None):
        return content, item.media_type
    return await anyio.to_thread.run_sync(_fitted, content, limits or Limits(), item)


def _fitted(content: bytes, limits: Limits, item: Input) -> tuple[bytes, str]:
    from hoasi.media.fit import Need, fit

    need = Need(**{name: getattr(limits, name) for name in Need.model_fields})
    return fit(content, need, item.crop, face_side=next(iter(item.face_sides), 0))


def _as_mask(content: bytes, media_type: str, meant: Literal["white", "transparent"]) -> tuple[bytes, str]:
    from hoasi.media.mask import meaning

    return meaning(content, media_type, meant)
