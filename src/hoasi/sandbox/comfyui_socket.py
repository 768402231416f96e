"""Room: sandbox. ComfyUI's websocket: who listens under which client id, and what they are told, in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.websockets import WebSocket, WebSocketDisconnect

from hoasi.sandbox.faults import Fault
from hoasi.sandbox.gate import CONNECTION

if TYPE_CHECKING:
    from hoasi.sandbox.comfyui_queue import Server

Message = dict[str, Any]
Mailbox = asyncio.Queue[Message | None]
"""What a listener has not been sent yet; None = hang up."""

_FEATURES = {"supports_preview_metadata": True, "max_upload_size": 100 << 20}


class Hub:
    """All listeners by client id; who opens a second socket under an id takes the place of the first."""

    def __init__(self) -> None:
        self._boxes: dict[str, Mailbox] = {}

    def join(self, client_id: str) -> Mailbox:
        """Listen from now on."""
        box = self._boxes[client_id] = Mailbox()
        return box

    def leave(self, client_id: str, box: Mailbox) -> None:
        """Listen no more, unless another has taken the place."""
        if self._boxes.get(client_id) is box:
            del self._boxes[client_id]

    def tell(self, event: str, facts: Message, client_id: str | None = None) -> None:
        """Tell one listener, or everybody; nobody listens = nothing happens."""
        boxes = [*self._boxes.values()] if client_id is None else [b for n, b in self._boxes.items() if n == client_id]
        for box in boxes:
            box.put_nowait({"type": event, "data": facts})

    def hang_up(self) -> None:
        """End every conversation, as a server does that goes down."""
        for box in self._boxes.values():
            box.put_nowait(None)
        self._boxes.clear()


async def talk(socket: WebSocket, server: Server, fault: Fault | None) -> None:
    """Hold one conversation: tell all that happens until somebody hangs up. `fault` as `comfyui` says."""
    if fault is not None and fault.kind in {"reset", "lost_reply", "hang_before", "5xx", "429"}:
        await _turn_away(socket, fault)
        return
    client_id = socket.query_params.get("clientId") or uuid4().hex
    await socket.accept()
    box = server.hub.join(client_id)
    box.put_nowait({"type": "status", "data": {"status": server.status(), "sid": client_id}})
    if server.running is not None and server.running.client_id == client_id and server.running.node is not None:
        box.put_nowait({"type": "executing", "data": {"node": server.running.node}})
    teller = asyncio.create_task(_tell(socket, box, fault))
    try:
        await _listen(socket, box)
    finally:
        server.hub.leave(client_id, box)
        teller.cancel()


async def _turn_away(socket: WebSocket, fault: Fault) -> None:
    if fault.kind in {"5xx", "429"}:
        await socket.close()  # before it was accepted: the client sees 403
        return
    if fault.kind != "hang_before":
        socket.scope[CONNECTION].abort()
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _tell(socket: WebSocket, box: Mailbox, fault: Fault | None) -> None:
    kind = "" if fault is None else fault.kind
    while (message := await box.get()) is not None:
        if fault is not None and kind == "slow":
            await asyncio.sleep(fault.number(1))
        await socket.send_json(message)
        if kind == "hang":
            await asyncio.Event().wait()
        if kind == "truncated":
            socket.scope[CONNECTION].close()
    await socket.close(1012)


async def _listen(socket: WebSocket, box: Mailbox) -> None:
    """Read until the client goes; its first message may be its feature flags, and is answered with ours."""
    try:
        while True:
            said = await socket.receive_json()
            if isinstance(said, dict) and said.get("type") == "feature_flags":
                box.put_nowait({"type": "feature_flags", "data": _FEATURES})
    except (WebSocketDisconnect, RuntimeError, ValueError, KeyError):
        return
