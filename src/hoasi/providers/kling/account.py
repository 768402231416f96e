"""Translator for Kling: what is left of the account's packs (`GET /account/costs`, free, at most once a second)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hoasi.providers._outcomes import Pack, TryAgain
from hoasi.providers.kling import refusals

if TYPE_CHECKING:
    from hoasi.wire import Wire

DAYS = 366
"""How far back a pack may have been bought to be listed."""


async def packs(wire: Wire) -> list[Pack]:
    """The packs, as Kling lists them.

    Raises:
        KeyRejected, TryAgain: no answer.
    """
    now = datetime.now(UTC)
    start, end = (int(at.timestamp() * 1000) for at in (now - timedelta(days=DAYS), now))
    reply = await wire.call("GET", wire.url("", f"account/costs?start_time={start}&end_time={end}"))
    told = refusals.data(reply)
    rows = told.get("resource_pack_subscribe_infos") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        raise TryAgain(reply.status)
    return [_pack(row) for row in rows if isinstance(row, dict)]


def _pack(row: dict[str, Any]) -> Pack:
    ends = row.get("invalid_time")
    return Pack(
        name=str(row.get("resource_pack_name") or "-"),
        remaining=float(row.get("remaining_quantity") or 0),
        total=float(row.get("total_quantity") or 0),
        status=str(row.get("status") or "-"),
        invalid_time=datetime.fromtimestamp(ends / 1000, UTC) if isinstance(ends, int | float) and ends else None,
    )
