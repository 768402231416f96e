"""Translator for fal.ai's queue (https://docs.fal.ai, wire read 2026-11-21 from fal-client 1.0.3 and the docs).

Submit goes to the full model id; status, result and cancel live under owner/alias only. A failure is `COMPLETED` with
an error, its details are in the result's body. fal knows no idempotency key and no dependable look-up of a lost
receipt, so there is no `find`: a lost reply stays `unknown`. A report (webhook) is only a reason to ask at once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from hoasi import webhooks
from hoasi.errors import PaymentUnknown
from hoasi.given import Input
from hoasi.providers import fal_replies
from hoasi.providers._outcomes import Done, Handle, Order, Pending, Ready, TryAgain
from hoasi.providers._provider import Way
from hoasi.providers.fal_body import FIELDS, body
from hoasi.record import Medium
from hoasi.records import Planned

if TYPE_CHECKING:
    from hoasi.street import Reply
    from hoasi.wire import Wire

_STILL = "Request is still in progress"
_NAMESPACES = {"workflows", "comfy"}


class Fal:
    """See `_provider.Provider`; optional: follows, watches, cancels, calls back (publishes keys), uploads."""

    name = "fal"
    origins = {"": "https://queue.fal.run", "rest": "https://rest.fal.ai", "cdn": "https://v3.fal.media"}
    secrets = ("FAL_API_KEY", "FAL_KEY")
    key_page = "https://fal.ai/dashboard/keys"
    concurrency = 2
    regions: ClassVar[dict[str, dict[str, str]]] = {}
    ways: ClassVar[dict[Medium, Way]] = {"image": "upload", "video": "upload", "audio": "upload"}
    fields = FIELDS
    callback_keys = ("rest", ".well-known/jwks.json")
    upload_life_s = 6 * 24 * 3600.0

    def auth(self, key: str) -> dict[str, str]:
        """`Authorization: Key <id>:<secret>`."""
        return {"authorization": f"Key {key}"}

    async def submit(self, wire: Wire, order: Order) -> Handle | Done:
        """One POST with the model's input as the whole body; the receipt is the request id and its addresses."""
        reply = await wire.pay(wire.url("", order.planned.model) + _reported(order), json=body(order))
        if not reply.is_ok:
            raise fal_replies.refused(reply)
        if not isinstance(reply.fields.get("request_id"), str):
            raise PaymentUnknown("reply_unclear", provider=self.name, status=reply.status)
        names = ("request_id", "status_url", "response_url", "cancel_url")
        kept = {name: reply.fields[name] for name in names if isinstance(reply.fields.get(name), str)}
        return Handle({"model": order.planned.model, **kept})

    async def poll(self, wire: Wire, receipt: dict[str, Any]) -> Pending | Ready:
        """One status call."""
        reply = await wire.call("GET", _url(wire, receipt, "status"))
        if not reply.is_ok:
            raise fal_replies.unanswered(reply)
        return fal_replies.status(reply.fields)

    def watch(self, wire: Wire, receipt: dict[str, Any]) -> AsyncGenerator[Pending | Ready, None]:
        """The status stream (server-sent events) until `COMPLETED`."""
        return wire.events(_url(wire, receipt, "status") + "/stream", fal_replies.status)

    async def collect(self, wire: Wire, receipt: dict[str, Any], ready: Ready) -> Done:
        """The result; a failed request answers here with the model's own error."""
        reply = await wire.call("GET", _url(wire, receipt, "response"))
        if reply.is_ok:
            return fal_replies.done(reply, ready)
        if reply.fields.get("detail") == _STILL:
            raise TryAgain(reply.status, 0.5)
        if fal_replies.is_told(reply, ready):
            raise fal_replies.failure(reply)
        raise fal_replies.unanswered(reply)

    async def cancel(self, wire: Wire, receipt: dict[str, Any]) -> bool:
        """PUT; 202 takes it off the queue or signals the runner, 400 and 404 mean it had ended."""
        reply = await wire.call("PUT", _url(wire, receipt, "cancel"))
        if reply.status in {400, 404}:
            return False
        if not reply.is_ok:
            raise fal_replies.unanswered(reply)
        return True

    async def upload(self, wire: Wire, item: Input, content: bytes) -> str:
        """Ask for a signed address, PUT the bytes there without the key."""
        asked = {"file_name": item.path.rsplit("/", 1)[-1], "content_type": item.media_type}
        start = await wire.call("POST", wire.url("rest", "storage/upload/initiate?storage_type=fal-cdn-v3"), json=asked)
        if not start.is_ok or not {"upload_url", "file_url"} <= start.fields.keys():
            raise fal_replies.unstored(start)
        headers = {"content-type": item.media_type}
        put = await wire.call("PUT", str(start.fields["upload_url"]), content=content, headers=headers, with_key=False)
        if not put.is_ok:
            raise TryAgain(put.status)
        return str(start.fields["file_url"])

    def keys_of(self, reply: Reply) -> tuple[bytes, ...]:
        """The ED25519 keys of a JWKS."""
        return webhooks.fal_keys(reply.body)

    def report(
        self, headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: float
    ) -> tuple[str, str | None]:
        """One delivery; fal sends the same request id again after a retry, so it is the report's own id too."""
        return webhooks.fal(headers, body, keys=keys, now=now), webhooks.request_of_fal(body)

    def attach(self, planned: Planned, receipt: str) -> Handle:
        """A request id as the fal dashboard shows it."""
        return Handle({"model": planned.model, "request_id": receipt.strip()})


def _reported(order: Order) -> str:
    """The query that asks for a report; empty where nobody listens."""
    return f"?fal_webhook={quote(order.callback_url, safe='')}" if order.callback_url else ""


def _url(wire: Wire, receipt: dict[str, Any], what: str) -> str:
    """The address fal gave, if it is at our origin; else the owner/alias rule."""
    given = receipt.get(f"{what}_url")
    if given and wire.is_own(given):
        return str(given)
    parts = str(receipt["model"]).split("/")
    root = "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])
    tail = "" if what == "response" else f"/{what}"
    return wire.url("", f"{root}/requests/{receipt['request_id']}{tail}")
