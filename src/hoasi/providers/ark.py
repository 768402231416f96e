"""Translator for Seedream on Volcengine Ark and BytePlus ModelArk (docs and official SDKs, read 2026-11-21).

One synchronous POST, no task id, no key against repeating: a lost reply stays `unknown`. A group is streamed, and each
of its pictures is kept at its event, before the reply is complete. The two platforms are regions with keys of their
own: `HOASI_ARK_REGION`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hoasi.providers import ark_replies
from hoasi.providers._outcomes import Done, Order
from hoasi.providers._provider import Way
from hoasi.providers.ark_body import FIELDS, body
from hoasi.providers.ark_group import Group
from hoasi.record import Medium

if TYPE_CHECKING:
    from hoasi.wire import Wire

PATH = "api/v3/images/generations"
READ_S, READ_MORE_S, READ_MOST_S = 300.0, 40.0, 900.0
"""Patience for one picture, for each further one, and at most."""


class Ark:
    """See `_provider.Provider`; it answers when the pictures are there, so nothing is followed."""

    name = "ark"
    origins: ClassVar[dict[str, str]] = {"": "https://ark.cn-beijing.volces.com"}
    regions: ClassVar[dict[str, dict[str, str]]] = {
        "cn-beijing": {"": "https://ark.cn-beijing.volces.com"},
        "ap-southeast": {"": "https://ark.ap-southeast.bytepluses.com"},
    }
    secrets = ("ARK_API_KEY",)
    key_page = "https://console.volcengine.com/ark"
    concurrency = 4
    fields = FIELDS
    ways: ClassVar[dict[Medium, Way]] = {"image": "inline"}

    def auth(self, key: str) -> dict[str, str]:
        """`Authorization: Bearer <key>`."""
        return {"authorization": f"Bearer {key}"}

    async def submit(self, wire: Wire, order: Order) -> Done:
        """One POST: one picture as JSON, several as a stream of events."""
        made, url, count = body(order, wire.address), wire.url("", PATH), len(order.planned.stems)
        read_s = min(READ_S + READ_MORE_S * (count - 1), READ_MOST_S)
        group = Group(order)
        if made.get("stream"):
            reply = await wire.pay_stream(url, group.take, json=made, read_s=read_s)
        else:
            reply = await wire.pay(url, json=made, read_s=read_s)
        if not reply.is_ok:
            raise ark_replies.refused(reply, order.planned.model, wire.address, tuple(self.regions))
        if reply.body:
            await group.read(reply)
        return group.done(reply)
