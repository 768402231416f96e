"""Room: spool. What is kept of a paid reply, where, and what never is."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from calls import fault, files
from hoasi import spool as spool_room
from hoasi.addresses import origin_of
from hoasi.sandbox import Sandbox
from hoasi.spool import Spool
from hoasi.street import ReplyLost, Street, whole
from hoasi.wire import Wire

pytestmark = pytest.mark.anyio
BODY = bytes(range(256)) * 4096
HEADERS = {"content-type": "image/png", "set-cookie": "session=5f3c9a", "seed": "7"}


async def kept(spool: Spool, body: bytes = BODY) -> httpx.Response:
    """A reply that was read to its end."""
    reply = await whole(spool.recorded(httpx.Response(200, headers=HEADERS, content=body), "http://there"))
    assert reply.body == body
    return spool.again()


async def test_a_kept_reply_is_heard_as_it_came(tmp_path: Path) -> None:
    """Status, headers, body and address; no cookie, and nothing when it is dropped."""
    spool = Spool("a-1", (tmp_path / "first", tmp_path / "second"))
    reply = await whole(await kept(spool))
    assert (reply.status, reply.body, reply.headers["seed"]) == (200, BODY, "7")
    found = spool.kept()
    assert found is not None
    assert (found.is_whole, found.head["at"], found.path.parent.name) == (True, "http://there", "first")
    assert b"5f3c9a" not in found.path.read_bytes()
    spool.drop()
    assert files(tmp_path) == []
    with pytest.raises(ReplyLost):
        spool.again()


async def test_a_reply_that_broke_off_breaks_off_again(tmp_path: Path) -> None:
    """What came of it comes again, and then it is lost as before."""

    async def broken() -> AsyncIterator[bytes]:
        yield BODY
        raise httpx.ReadError("gone")

    spool = Spool("a-1", (tmp_path,))
    with pytest.raises(httpx.ReadError):
        await whole(spool.recorded(httpx.Response(200, content=broken()), "http://there"))
    heard = bytearray()
    stream = spool.again().aiter_bytes()
    while len(heard) < len(BODY):
        heard += await anext(stream)
    with pytest.raises(ReplyLost):
        await anext(stream)
    assert bytes(heard) == BODY


@pytest.mark.parametrize("place", ["hoasi.spool._put", "os.fsync"])
async def test_a_place_that_is_full_is_left_with_all_it_had(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a reply, or when it shall reach the disk: the next place has the whole of it."""
    real = {"hoasi.spool._put": spool_room._put, "os.fsync": os.fsync}[place]

    def full_once(*_: object) -> None:
        monkeypatch.setattr(place, real)
        raise OSError(errno.ENOSPC, "No space left on device")

    async def pieces() -> AsyncIterator[bytes]:
        yield BODY
        monkeypatch.setattr(place, full_once)
        yield BODY

    spool = Spool("a-1", (tmp_path / "first", tmp_path / "second"))
    await whole(spool.recorded(httpx.Response(200, content=pieces()), "http://there"))
    found = spool.kept()
    assert found is not None
    assert (found.is_whole, found.path.parent.name) == (True, "second")
    assert (await whole(spool.again())).body == BODY * 2
    assert files(tmp_path / "first") == []


async def test_a_folder_that_somebody_else_put_there_is_not_used(tmp_path: Path) -> None:
    """A link in the temporary folder: nothing is written behind it, nothing of it believed."""
    (tmp_path / "foreign").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "foreign")
    spool = Spool("a-1", (tmp_path / "link",))
    with pytest.raises(ReplyLost):
        await kept(spool)
    assert files(tmp_path / "foreign") == []


async def test_a_refusal_is_not_kept(tmp_path: Path, fal: str, sandbox: Sandbox) -> None:
    """It costs nothing, and may echo what we sent."""
    sandbox.faults.add(fault("submit", "validation"))
    street = Street(frozenset({origin_of(fal)}))
    spool = Spool("a-1", (tmp_path,))
    wire = Wire(street, {"": fal}, {"authorization": "Key id:secret"}).keeping(spool)
    reply = await wire.pay(wire.url("", "fal-ai/nano-banana"), json={"prompt": "a kite"})
    await street.close()
    assert (reply.is_ok, files(tmp_path)) == (False, [])
