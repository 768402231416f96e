"""Translator for Replicate (wire read 2026-11-21 from api.replicate.com/openapi.json, replicate 1.0.7 and 2.0.0b4).

Any model by owner/name: its schema is read first (free). One address takes predictions of all models. Results and
inputs are gone an hour after the end. There is no idempotency key and no field for an id of ours, so a lost receipt is
looked for among the newest predictions by its input, and only a seed makes an input unmistakable. `Cancel-After` is the
only brake on cost: twice as long as we would wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hoasi import webhooks
from hoasi.catalogue import load
from hoasi.errors import PaymentUnknown
from hoasi.given import Input
from hoasi.planning import CAPS_S
from hoasi.providers import replicate_replies
from hoasi.providers._outcomes import Done, Handle, Order, Pending, Ready
from hoasi.providers._provider import Way
from hoasi.providers.replicate_inputs import FIELDS, body, brakes
from hoasi.providers.replicate_lost import look, lost
from hoasi.providers.replicate_schema import Schema, describe, named
from hoasi.record import Medium
from hoasi.records import Planned

if TYPE_CHECKING:
    from hoasi.wire import Wire


class Replicate:
    """See `_provider.Provider`; optional: follows, cancels, finds, settles, calls back (shares a secret), uploads."""

    name = "replicate"
    origins: ClassVar[dict[str, str]] = {"": "https://api.replicate.com"}
    secrets = ("REPLICATE_API_TOKEN",)
    key_page = "https://replicate.com/account/api-tokens"
    concurrency = 4
    regions: ClassVar[dict[str, dict[str, str]]] = {}
    ways: ClassVar[dict[Medium, Way]] = {"image": "upload", "video": "upload", "audio": "upload"}
    fields = FIELDS
    callback_secrets = ("REPLICATE_WEBHOOK_SECRET",)
    upload_life_s = 20 * 3600.0

    def __init__(self) -> None:
        self._schemas: dict[tuple[str, str], Schema] = {}

    def auth(self, key: str) -> dict[str, str]:
        """`Authorization: Bearer <token>`."""
        return {"authorization": f"Bearer {key}"}

    def settle(self, planned: Planned, told: Mapping[str, str]) -> Planned:  # noqa: ARG002  (heeds none)
        """A model without a card is called owner/name, and what it makes is told by what is asked of it.

        Raises:
            NotFound: it is called otherwise.
        """
        named(planned.model)
        if planned.media == "image" and planned.operation.endswith("_to_video"):
            return planned.model_copy(update={"media": "video", "cap_s": CAPS_S["video"]})
        return planned

    async def submit(self, wire: Wire, order: Order) -> Handle:
        """One POST, after the model's schema was read.

        Raises:
            NotFound, NotSupported: no such model, or it does not take this; nothing was sent.
        """
        planned = order.planned
        schema = await self._schema(wire, planned.model)
        url = wire.url("", "v1/predictions")
        reply = await wire.pay(url, json=body(order, schema), headers=brakes(planned))
        if not reply.is_ok:
            if reply.status in {404, 422}:  # perhaps it is not that any more; what is unclear is found as it was sent
                self._schemas.pop((wire.address, planned.model), None)
            raise replicate_replies.refused(reply)
        if not isinstance(reply.fields.get("id"), str):
            raise PaymentUnknown("reply_unclear", provider=self.name, status=reply.status)
        has_ended = isinstance(replicate_replies.seen(reply.fields), Ready)
        return Handle({"id": reply.fields["id"], "model": planned.model, "has_ended": has_ended})

    async def _schema(self, wire: Wire, model: str) -> Schema:
        key = wire.address, model
        if key not in self._schemas:
            self._schemas[key] = await describe(wire, model)
        return self._schemas[key]

    async def poll(self, wire: Wire, receipt: dict[str, Any]) -> Pending | Ready:
        """One question, unless it had ended when it was answered."""
        if receipt.get("has_ended"):
            return Ready()
        return replicate_replies.seen((await replicate_replies.asked(wire, receipt)).fields)

    async def collect(self, wire: Wire, receipt: dict[str, Any], ready: Ready) -> Done:  # noqa: ARG002  (asked anew)
        """The results as they are told now."""
        card = load(self.name).card(str(receipt["model"]))
        return replicate_replies.done(await replicate_replies.asked(wire, receipt), card)

    async def cancel(self, wire: Wire, receipt: dict[str, Any]) -> bool:
        """Take it back; False when it had ended."""
        reply = await wire.call("POST", wire.url("", f"v1/predictions/{receipt['id']}/cancel"))
        if reply.status == 404 or reply.fields.get("status") in {"succeeded", "failed"}:
            return False
        if not reply.is_ok:
            raise replicate_replies.unanswered(reply)
        return True

    async def find(self, wire: Wire, order: Order) -> Handle | None:
        """The prediction with this very input among those since it was sent, unless it is somebody else's.

        Raises:
            PaymentUnknown: several fit, another order would look the same, or it can no longer be read.
        """
        schema = await self._schema(wire, order.planned.model)
        found = await look(wire, lost(order, schema))
        return None if found is None else Handle({"id": found, "model": order.planned.model})

    async def upload(self, wire: Wire, item: Input, content: bytes) -> str:
        """A file that lives a day; only our account can read it."""
        part = ("content", (f"input.{item.media_type.rpartition('/')[2]}", content, item.media_type))
        reply = await wire.call("POST", wire.url("", "v1/files"), form={}, files=[part])
        return replicate_replies.stored(reply)

    def report(
        self, headers: Mapping[str, str], body: bytes, keys: Sequence[Any], now: float
    ) -> tuple[str, str | None]:
        """A report that Replicate signed (Standard Webhooks, as Kling's), and the prediction it speaks of."""
        return webhooks.kling(headers, body, secrets=keys, now=now), webhooks.task_of_kling(body)

    def attach(self, planned: Planned, receipt: str) -> Handle:
        """A prediction's id as replicate.com shows it."""
        return Handle({"id": receipt.strip(), "model": planned.model})
