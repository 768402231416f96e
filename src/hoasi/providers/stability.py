"""Translator for Stability AI (https://platform.stability.ai/docs/api-reference, OpenAPI document read 2026-11-21).

v2beta takes multipart forms and most calls answer with the picture itself; relighting and creative upscaling answer
with an id, whose result is asked for at most every ten seconds and kept for a day. SDXL 1.0 still lives under v1, or
not: `stability_v1`. There is no look-up of a lost reply, so there is no `find`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from hoasi.catalogue import Card, load
from hoasi.errors import PaymentUnknown, ResultExpired
from hoasi.providers import stability_replies, stability_v1
from hoasi.providers._outcomes import Done, Handle, Order, Pending, Ready, TryAgain
from hoasi.providers._provider import Way
from hoasi.providers.stability_form import FIELDS, check_mask, files, form
from hoasi.record import Medium
from hoasi.records import Planned

if TYPE_CHECKING:
    from hoasi.street import Reply
    from hoasi.wire import Wire

READ_S = 180.0


@dataclass(frozen=True)
class Told(Ready):
    """The look that found the end brought the result with it: it is not asked for again."""

    reply: Reply | None = field(default=None, repr=False)


class Stability:
    """See `_provider.Provider`; optional: follows, settles."""

    name = "stability"
    origins: ClassVar[dict[str, str]] = {"": "https://api.stability.ai"}
    regions: ClassVar[dict[str, dict[str, str]]] = {}
    secrets = ("STABILITY_API_KEY", "STABILITY_AI_API_KEY")
    key_page = "https://platform.stability.ai/account/keys"
    concurrency = 4
    fields = FIELDS
    ways: ClassVar[dict[Medium, Way]] = {"image": "inline"}

    def auth(self, key: str) -> dict[str, str]:
        """`Authorization: Bearer sk-...`."""
        return {"authorization": f"Bearer {key}"}

    def settle(self, planned: Planned, told: Mapping[str, str]) -> Planned:  # noqa: ARG002  (heeds none)
        """A mask has the shape of its picture (another one would be stretched to it); for SDXL somebody stands by.

        Raises:
            NotSupported: it has not.
        """
        check_mask(planned)
        cards = load(self.name)
        return stability_v1.settled(planned, cards) if _is_v1(cards.card(planned.model)) else planned

    async def submit(self, wire: Wire, order: Order) -> Handle | Done:
        """One POST to the model's own path."""
        card = load(self.name).card(order.planned.model)
        send = _sent_v1 if _is_v1(card) else _sent
        return await send(wire, order, card)

    async def poll(self, wire: Wire, receipt: dict[str, Any]) -> Pending | Ready:
        """One look; where it has ended, the answer is the result."""
        reply = await _asked(wire, receipt)
        return Pending("working") if reply.status == 202 else Told(reply=reply)

    async def collect(self, wire: Wire, receipt: dict[str, Any], ready: Ready) -> Done:
        """The picture of a look that found one, else one more look."""
        known = ready.reply if isinstance(ready, Told) else None
        reply = known or await _asked(wire, receipt)
        if reply.status == 202:
            raise TryAgain(reply.status, stability_replies.POLL_EVERY_S)
        if not reply.is_ok:
            raise stability_replies.failed(reply)
        return stability_replies.done(reply)

    def attach(self, planned: Planned, receipt: str) -> Handle:
        """A handle from the id of a result."""
        return Handle({"model": planned.model, "request_id": receipt.strip()})


def _is_v1(card: Card) -> bool:
    return card.endpoint.startswith("v1/")


async def _sent(wire: Wire, order: Order, card: Card) -> Handle | Done:
    """v2beta: the picture at once, or the id of one that is made meanwhile."""
    url, headers = wire.url("", card.endpoint), {"accept": "image/*"}
    reply = await wire.pay(url, form=form(order, card), files=files(order, card), headers=headers, read_s=READ_S)
    if not reply.is_ok:
        raise stability_replies.refused(reply)
    if isinstance(reply.fields.get("id"), str):
        return Handle({"model": card.id, "request_id": reply.fields["id"]})
    if not stability_replies.is_picture(reply):
        raise PaymentUnknown("reply_unclear", provider="stability", status=reply.status)
    return stability_replies.done(reply)


async def _sent_v1(wire: Wire, order: Order, card: Card) -> Done:
    """v1: JSON both ways."""
    headers = {"accept": "application/json"}
    reply = await wire.pay(
        wire.url("", card.endpoint), json=stability_v1.body(order, card), headers=headers, read_s=READ_S
    )
    if not reply.is_ok:
        raise stability_v1.refused(reply, card)
    return stability_v1.done(reply)


async def _asked(wire: Wire, receipt: dict[str, Any]) -> Reply:
    """What is known of an id: still at work (202), its picture, or its own failure; all else is no answer to that."""
    if "request_id" not in receipt:  # it had answered at once, and its picture was lost here
        raise ResultExpired("result_expired", provider="stability", status=0)
    path = f"v2beta/results/{receipt['request_id']}"
    reply = await wire.call("GET", wire.url("", path), headers={"accept": "image/*"})
    if not (reply.status == 202 or stability_replies.is_picture(reply) or stability_replies.is_its_failure(reply)):
        raise stability_replies.unanswered(reply)
    return reply
