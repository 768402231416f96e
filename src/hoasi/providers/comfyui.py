"""Translator for a ComfyUI server of one's own (0.3.64, wire read and driven 2026-11-21; newer ones from their notes).

The work's id is ours: it follows from the order's id, which is in the ledger before the POST. So a lost reply is looked
up in queue and history; the server itself does not see that an id comes twice. What is in neither is lost, for it was
restarted, unless its pictures had been saved: they lie in a folder of their own. Nothing here costs money. A proxy
before the server may want headers: `HOASI_COMFYUI_HEADERS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from hoasi.comfy import orders
from hoasi.errors import PaymentUnknown, ProviderRefused, ResultExpired
from hoasi.given import Input
from hoasi.providers import comfyui_headers
from hoasi.providers import comfyui_refusals as refusals
from hoasi.providers import comfyui_replies as replies
from hoasi.providers import comfyui_work as at_server
from hoasi.providers._outcomes import Done, Handle, Order, Pending, Ready
from hoasi.providers._provider import Way
from hoasi.providers.comfyui_nodes import Tables
from hoasi.record import Medium
from hoasi.records import Planned
from hoasi.results import Output

if TYPE_CHECKING:
    from hoasi.wire import Wire


class Comfyui:
    """See `_provider.Provider`; optional: follows, watches, cancels, finds, heeds, settles, adds headers, uploads."""

    name = "comfyui"
    origins: ClassVar[dict[str, str]] = {"": "http://127.0.0.1:8188"}
    secrets = ()
    key_page = ""
    concurrency = 2
    regions: ClassVar[dict[str, dict[str, str]]] = {}
    ways: ClassVar[dict[Medium, Way]] = {"image": "upload"}
    fields = orders.FIELDS
    variables = (comfyui_headers.NAME, *orders.variables(name))
    upload_life_s = 24 * 3600.0

    def __init__(self) -> None:
        self._tables = Tables()

    def auth(self, key: str) -> dict[str, str]:  # noqa: ARG002  (no key, no header)
        """ComfyUI itself knows no key."""
        return {}

    def headers(self, told: Mapping[str, str]) -> dict[str, str]:
        """Those that a proxy wants."""
        return comfyui_headers.read(told.get(comfyui_headers.NAME, ""))

    def settle(self, planned: Planned, told: Mapping[str, str]) -> Planned:
        """The graph is made once, and its notes are told."""
        self.headers(told)
        return orders.rehearsed(planned, told, fetches_loras=False)

    async def submit(self, wire: Wire, order: Order) -> Handle:
        """Queue the graph, if the server says that it can run it.

        A 200 with `node_errors` is a refusal of a part: its receipt says so, see `poll`.

        Raises:
            NotSupported, WrongInput: it lacks nodes or files, or takes no such value; nothing was sent.
        """
        work = at_server.prompt_id(order)
        files = {str(sent.item.role): sent.url for sent in order.sent}
        make = partial(orders.made, order.planned, files, wire.told, at_server.prefix(work))
        graph = (await self._tables.fitted(wire, make)).graph
        reply = await wire.pay(wire.url("", "prompt"), json={"prompt": graph, "prompt_id": work, "client_id": work})
        if not reply.is_ok:
            self._tables.doubt(wire)
            raise refusals.refused(reply)
        if not isinstance(reply.fields.get("prompt_id"), str):
            raise PaymentUnknown("reply_unclear", provider=self.name, status=reply.status)
        return at_server.handle(reply.fields["prompt_id"], work, refusals.faults(reply))

    async def find(self, wire: Wire, order: Order) -> Handle | None:
        """The receipt of a submission whose reply was lost; None: it is not there."""
        return await at_server.found(wire, at_server.prompt_id(order), self._tables.table(wire))

    async def poll(self, wire: Wire, receipt: dict[str, Any]) -> Pending | Ready:
        """History, then the queue, then history again: it may have ended in between. Then what it saved, if anything.

        What was refused in part is taken back, for as long as it is there; it has ended when it is not.
        """
        work = receipt["prompt_id"]
        if receipt.get("refused"):
            return Pending("working") if await at_server.taken_back(wire, work) else Ready()
        if await at_server.history(wire, work):
            return Ready()
        if seen := replies.place(await at_server.queue(wire), work):
            return seen
        if await at_server.history(wire, work) or await at_server.saved(wire, work, 1):
            return Ready()
        raise ProviderRefused("comfy_lost", provider=self.name)

    def watch(self, wire: Wire, receipt: dict[str, Any]) -> AsyncGenerator[Pending | Ready, None]:
        """The server's websocket; whatever it says, the history has the last word."""
        url = wire.url("", f"ws?clientId={receipt.get('client_id', receipt['prompt_id'])}")
        return wire.socket(url, partial(replies.heard, receipt["prompt_id"]), partial(self.poll, wire, receipt))

    async def collect(self, wire: Wire, receipt: dict[str, Any], ready: Ready) -> Done:  # noqa: ARG002  (history tells)
        """The pictures' bytes: they come through the server's own door, with its proxy's headers."""
        if receipt.get("refused"):
            raise refusals.of_nodes(receipt["refused"])
        entry = await at_server.history(wire, receipt["prompt_id"])
        if not entry:
            kept = await at_server.saved(wire, receipt["prompt_id"], at_server.MOST)
            return Done(tuple(Output(data=data) for data in at_server.must_be_some(kept)))
        if lost := refusals.dropped(
            entry.get("prompt"), self._tables.table(wire)
        ):  # a receipt given by hand does not say so
            raise refusals.of_nodes(lost)
        found = [await wire.call("GET", wire.url("", f"view?{query}")) for query in replies.pictures(entry)]
        if any(reply.status == 404 for reply in found):
            raise ResultExpired("result_expired", provider=self.name, status=404)
        return Done(tuple(Output(data=replies.must(reply).body) for reply in found))

    async def cancel(self, wire: Wire, receipt: dict[str, Any]) -> bool:
        """Off the queue, or interrupted; False when it had ended."""
        return await at_server.taken_back(wire, receipt["prompt_id"])

    async def upload(self, wire: Wire, item: Input, content: bytes) -> str:
        """Into the input folder, named by the bytes; what it is called there is what the server says."""
        kind = item.media_type.rpartition("/")[2]
        name = f"{hashlib.sha256(content).hexdigest()[:24]}.{kind}"
        form = {"type": "input", "subfolder": at_server.FOLDER, "overwrite": "true"}
        files = [("image", (name, content, item.media_type))]
        return replies.stored(await wire.call("POST", wire.url("", "upload/image"), form=form, files=files))

    def attach(self, planned: Planned, receipt: str) -> Handle:  # noqa: ARG002  (every work has one kind of id)
        """A prompt id as the server's history shows it."""
        return Handle({"prompt_id": receipt.strip()})
