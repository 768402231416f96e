"""Translator for OpenAI's Images API (wire read 2026-11-21 from openai 3.52.0 and developers.openai.com).

The API is synchronous: the reply holds the pictures, there is no receipt and nobody to ask afterwards, so a lost reply
stays `unknown`. A new picture comes as a stream, for early bytes and so that a picture that came is kept although the
end of its reply was lost; edits are a form and come whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from hoasi.catalogue import load
from hoasi.providers import openai_replies
from hoasi.providers._outcomes import Done, Order
from hoasi.providers._provider import Way
from hoasi.providers.openai_body import FIELDS, body, files
from hoasi.providers.openai_checks import check, check_bytes
from hoasi.record import Medium
from hoasi.records import Planned

if TYPE_CHECKING:
    from hoasi.catalogue import Card
    from hoasi.wire import Wire

READ_S = 300.0
"""The highest qualities take about two minutes; an edit is silent so long."""


class OpenAI:
    """See `_provider.Provider`; optional: heeds, settles, adds headers."""

    name = "openai"
    origins: ClassVar[dict[str, str]] = {"": "https://api.openai.com"}
    secrets = ("OPENAI_API_KEY",)
    key_page = "https://platform.openai.com/api-keys"
    concurrency = 2
    regions: ClassVar[dict[str, dict[str, str]]] = {}
    ways: ClassVar[dict[Medium, Way]] = {"image": "inline"}
    fields = FIELDS
    variables = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID")

    def auth(self, key: str) -> dict[str, str]:
        """`Authorization: Bearer <key>`."""
        return {"authorization": f"Bearer {key}"}

    def settle(self, planned: Planned, told: Mapping[str, str]) -> Planned:  # noqa: ARG002  (they change headers only)
        """What would be sent fits together.

        Raises:
            NotSupported: it does not.
        """
        card = load(self.name).card(planned.model)
        check(planned, card)
        body(planned, card)
        return planned

    def headers(self, told: Mapping[str, str]) -> dict[str, str]:
        """`OpenAI-Organization` and `OpenAI-Project`, where they are set."""
        names = zip(("openai-organization", "openai-project"), self.variables, strict=True)
        return {header: told[name] for header, name in names if name in told}

    async def submit(self, wire: Wire, order: Order) -> Done:
        """One POST: a new picture, or an edit where there are pictures.

        Raises:
            NotSupported: the inputs do not fit together; nothing was sent.
        """
        card = load(self.name).card(order.planned.model)
        check(order.planned, card)
        check_bytes(order, card)
        return await (_edited if order.sent else _drawn)(wire, order, card)


async def _drawn(wire: Wire, order: Order, card: Card) -> Done:
    """A new picture from words; each is kept at its event. Partial pictures cost tokens and are not asked for."""
    ends: list[dict[str, Any]] = []

    async def take(event: dict[str, Any]) -> None:
        if not openai_replies.is_end(event):
            return
        ends.append(event)
        if order.arrived is not None and (output := openai_replies.picture(event)) is not None:
            await order.arrived(len(ends) - 1, output)

    asked = {**body(order.planned, card), "stream": True, "partial_images": 0}
    reply = await wire.pay_stream(wire.url("", "v1/images/generations"), take, json=asked, read_s=READ_S)
    return openai_replies.streamed(reply, ends, card) if ends else openai_replies.done(reply, card)


async def _edited(wire: Wire, order: Order, card: Card) -> Done:
    """Pictures changed after words, perhaps only where a mask lets it."""
    form = {name: str(value) for name, value in body(order.planned, card).items()}
    url = wire.url("", "v1/images/edits")
    return openai_replies.done(await wire.pay(url, form=form, files=files(order), read_s=READ_S), card)
