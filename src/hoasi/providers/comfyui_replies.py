"""Translator for ComfyUI: what its answers mean (0.3.64, read and driven 2026-11-21).

The history calls an interrupted work an error, too: its last message tells which it was. How a graph is refused:
`comfyui_refusals`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from hoasi.comfy import verdicts
from hoasi.errors import DETAIL_LIMIT, Cancelled, HoasiError, KeyRejected, ProviderRefused
from hoasi.providers._outcomes import Pending, Ready, TryAgain

if TYPE_CHECKING:
    from hoasi.street import Reply

ENDS = frozenset({"execution_success", "execution_error", "execution_interrupted"})
WORKS = frozenset({"execution_start", "executing", "progress", "progress_state", "executed", "execution_cached"})


def place(queue: Mapping[str, Any], work: str) -> Pending | None:
    """Where it stands in the queue; None when it does not."""
    running, waiting = (_ids(queue.get(name)) for name in ("queue_running", "queue_pending"))
    if work in running:
        return Pending("working")
    return Pending("queued", waiting.index(work)) if work in waiting else None


def row(queue: Mapping[str, Any], work: str) -> list[Any] | None:
    """The row of a work that runs or waits."""
    rows = [*_rows(queue.get("queue_running")), *_rows(queue.get("queue_pending"))]
    return next((row for row in rows if str(row[1]) == work), None)


def _ids(rows: Any) -> list[str]:
    return [str(row[1]) for row in _rows(rows)]


def _rows(rows: Any) -> list[list[Any]]:
    return [row for row in rows if isinstance(row, list) and len(row) > 1] if isinstance(rows, list) else []


def heard(work: str, message: Mapping[str, Any]) -> Pending | Ready | None:
    """A message of the websocket; None where it says nothing of this work."""
    kind, told = message.get("type"), message.get("data")
    if not isinstance(told, dict) or told.get("prompt_id") != work:
        return None
    return Ready() if kind in ENDS else Pending("working") if kind in WORKS else None


def pictures(entry: Mapping[str, Any]) -> list[str]:
    """The query of each picture of a work that has ended; previews are none.

    Raises:
        Cancelled: it was interrupted. ProviderRefused: a node failed, or it made no picture.
    """
    status: dict[str, Any] = entry.get("status") or {}
    if status.get("status_str") == "error":
        raise _failure(status.get("messages") or [])
    outputs: dict[str, Any] = entry.get("outputs") or {}
    files = [file for made in outputs.values() for file in made.get("images", ()) if file.get("type") == "output"]
    if not files:
        raise ProviderRefused("no_media", provider="comfyui")
    names = ("filename", "subfolder", "type")
    return [urlencode({name: file.get(name, "") for name in names}) for file in files]


def _failure(messages: list[Any]) -> HoasiError:
    last: list[tuple[str, dict[str, Any]]] = [(m[0], m[1]) for m in reversed(messages) if m[0] in ENDS]
    kind, told = last[0] if last else ("execution_error", {})
    node = f"{told.get('node_id', '?')}, {told.get('node_type', '?')}"
    if kind == "execution_interrupted":
        return Cancelled("comfy_interrupted", node=node, paid="no")
    words = str(told.get("exception_message", ""))[:DETAIL_LIMIT]
    if verdicts.is_memory(f"{told.get('exception_type', '')} {words}"):
        return ProviderRefused("comfy_memory", provider="comfyui", detail=words)
    return ProviderRefused("comfy_failed", node=node, type=told.get("exception_type", "?"), detail=words)


def must(reply: Reply) -> Reply:
    """An answer to a free question.

    Raises:
        KeyRejected: a proxy does not let us in. TryAgain: not now.
    """
    if reply.status in {401, 403}:
        raise KeyRejected("key_rejected", provider="comfyui", status=reply.status)
    if not reply.is_ok:
        raise TryAgain(reply.status, reply.retry_after_s)
    return reply


def told(reply: Reply) -> dict[str, Any]:
    """The object that answers a question. Raises as `must`, also when it is none."""
    if not isinstance(must(reply).json, dict):
        raise TryAgain(reply.status)
    return reply.fields


def stored(reply: Reply) -> str:
    """What an uploaded file is called in a graph. Raises as `told`."""
    fields = told(reply)
    if not isinstance(fields.get("name"), str):
        raise TryAgain(reply.status)
    return "/".join(part for part in (fields.get("subfolder"), fields["name"]) if part)
