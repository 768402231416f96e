"""Translator for ComfyUI: one work at the server, by its id: waiting, at work, ended, or found again.

The id is ours and follows from the order's. A graph of which a part was refused is there all the same: its receipt says
what is wrong (`refused`), so that whatever becomes of the rest is never taken for the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from hoasi.comfy.nodes import NodeTable
from hoasi.providers import comfyui_refusals as refusals
from hoasi.providers import comfyui_replies as replies
from hoasi.providers._outcomes import Handle, Order

if TYPE_CHECKING:
    from hoasi.wire import Wire


def prompt_id(order: Order) -> str:
    """A lower-case UUID that is the same whenever this purchase is sent (newer servers take no other form)."""
    return str(uuid5(NAMESPACE_URL, f"hoasi:{order.id}"))


def handle(work: str, client_id: str, refused: dict[str, Any]) -> Handle:
    """The receipt; `refused`: what is wrong with the nodes that were left out, empty where none was."""
    return Handle({"prompt_id": work, "client_id": client_id, **({"refused": refused} if refused else {})})


async def history(wire: Wire, work: str) -> dict[str, Any]:
    """What the history tells of it; empty while it waits or runs, and when it is not known."""
    entry = replies.told(await wire.call("GET", wire.url("", f"history/{work}"))).get(work)
    return entry if isinstance(entry, dict) else {}


async def queue(wire: Wire) -> dict[str, Any]:
    """What runs and waits."""
    return replies.told(await wire.call("GET", wire.url("", "queue")))


async def found(wire: Wire, work: str, nodes: NodeTable) -> Handle | None:
    """Its receipt, had the reply to it been lost; None: the server does not know it. `nodes`: what the server has."""
    entry = await history(wire, work)
    row = entry.get("prompt") if entry else replies.row(await queue(wire), work)
    return handle(work, work, refusals.dropped(row, nodes)) if entry or row else None


async def taken_back(wire: Wire, work: str) -> bool:
    """Off the queue, or interrupted: by its id, and only if it runs, for old servers stop whatever runs."""
    seen = replies.place(await queue(wire), work)
    if seen is None:
        return False
    path, asked = ("queue", {"delete": [work]}) if seen.phase == "queued" else ("interrupt", {"prompt_id": work})
    replies.must(await wire.call("POST", wire.url("", path), json=asked))
    return True
