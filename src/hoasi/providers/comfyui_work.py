"""Translator for ComfyUI: one work at the server, by its id: waiting, at work, ended, or found again.

The id is ours and follows from the order's. A graph of which a part was refused is there all the same: its receipt says
what is wrong (`refused`), so that whatever becomes of the rest is never taken for the result.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid5

from hoasi.comfy.nodes import NodeTable
from hoasi.errors import ProviderRefused
from hoasi.providers import comfyui_refusals as refusals
from hoasi.providers import comfyui_replies as replies
from hoasi.providers._outcomes import Handle, Order

if TYPE_CHECKING:
    from hoasi.wire import Wire


FOLDER, STEM = "hoasi", "picture"
"""Below the server's input and output folders, and there in a work's own."""
MOST = 4
"""Pictures that a call makes, as the cards have it."""
NOT_FOUND = 404
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_END = b"IEND\xaeB`\x82"
"""How a PNG ends that was written to its end."""


def prompt_id(order: Order) -> str:
    """A lower-case UUID that is the same whenever this purchase is sent (newer servers take no other form)."""
    return str(uuid5(NAMESPACE_URL, f"hoasi:{order.id}"))


def prefix(work: str) -> str:
    """How the pictures of a work are called at the server: in a folder of their own, numbered from 1."""
    return f"{FOLDER}/{work}/{STEM}"


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


async def saved(wire: Wire, work: str, most: int) -> list[bytes]:
    """Whole pictures of a work that the server forgot: files outlive its restart, and nothing else is called so.

    None where the template does not let its pictures be called.
    """
    if not _UUID.fullmatch(work):
        return []
    named = [
        {"filename": f"{STEM}_{k:05}_.png", "subfolder": f"{FOLDER}/{work}", "type": "output"}
        for k in range(1, most + 1)
    ]
    found = [await wire.call("GET", wire.url("", f"view?{urlencode(name)}")) for name in named]
    there = [replies.must(reply).body for reply in found if reply.status != NOT_FOUND]
    return [data for data in there if data.endswith(_END)]


def must_be_some(pictures: list[bytes]) -> list[bytes]:
    """The same.

    Raises:
        ProviderRefused: there are none: the work is lost.
    """
    if not pictures:
        raise ProviderRefused("comfy_lost", provider="comfyui")
    return pictures


async def taken_back(wire: Wire, work: str) -> bool:
    """Off the queue, or interrupted: by its id, and only if it runs, for old servers stop whatever runs."""
    seen = replies.place(await queue(wire), work)
    if seen is None:
        return False
    path, asked = ("queue", {"delete": [work]}) if seen.phase == "queued" else ("interrupt", {"prompt_id": work})
    replies.must(await wire.call("POST", wire.url("", path), json=asked))
    return True
