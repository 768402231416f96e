"""Translator for RunPod's serverless endpoints with ComfyUI workers (runpod 1.12.0, worker-comfyui 5.8.5; 2026-11-21).

There is no idempotency key and no look-up of a lost reply, so there is no `find`: a lost reply stays `unknown`. Results
are kept 30 minutes, those of `/runsync` one minute unless a status asks for more. `/run` takes 10 MB, `/runsync` 20:
what is too large for the one goes to the other. Either answers with a receipt at once: `/runsync` is asked to wait as
short as it can, because who dies before it answers has lost a job that runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from hoasi.comfy import orders
from hoasi.errors import PaymentUnknown
from hoasi.providers import runpod_jobs as jobs
from hoasi.providers import runpod_replies as replies
from hoasi.providers import runpod_settings as places
from hoasi.providers._outcomes import Done, Handle, Order, Pending, Ready
from hoasi.providers._provider import Way
from hoasi.providers._workers import Workers
from hoasi.providers.runpod_workers import workers
from hoasi.record import Medium
from hoasi.records import Planned

if TYPE_CHECKING:
    from hoasi.street import Reply
    from hoasi.wire import Wire

KEPT_S, KEPT_SYNC_S = 1800, 60
WAIT_MS = 1000
"""As short as `/runsync` may be made to wait: until it answers nobody knows the job's id."""
READ_S = 60.0
"""Its reply is waited for at least so long, whatever SYNC_TIMEOUT says: without it the id would be lost."""


class Runpod:
    """See `_provider.Provider`; optional: follows, cancels, heeds, settles, needs, has workers."""

    name = "runpod"
    origins: ClassVar[dict[str, str]] = {"": "https://api.runpod.ai"}
    secrets = ("RUNPOD_API_KEY",)
    key_page = "https://console.runpod.io/user/settings"
    concurrency = 3
    regions: ClassVar[dict[str, dict[str, str]]] = {}
    ways: ClassVar[dict[Medium, Way]] = {"image": "inline"}
    fields: ClassVar[dict[str, str]] = {
        **orders.FIELDS,
        "mode": "endpoint",
        "force_download": "input.force_download",
        "sync": "runsync",
    }
    variables = (*places.VARIABLES, *orders.variables(name))

    def auth(self, key: str) -> dict[str, str]:
        """`Authorization: Bearer <key>`."""
        return {"authorization": f"Bearer {key}"}

    def settle(self, planned: Planned, told: Mapping[str, str]) -> Planned:
        """The graph is made once, the endpoint's id and the result's size looked at, the limits of waiting set."""
        places.endpoint(planned, told)
        rehearsed = orders.rehearsed(planned, told, fetches_loras=True)
        jobs.must_come_back(rehearsed, told)
        return places.limited(rehearsed, told)

    def missing(self, planned: Planned, told: Mapping[str, str]) -> tuple[str, ...]:
        """The names of the mode's endpoint, where none of them is set."""
        return () if places.endpoint(planned, told) else places.names(planned)

    async def submit(self, wire: Wire, order: Order) -> Handle:
        """One POST; the receipt is the job's id at its endpoint. A synchronous reply may hold the result already."""
        endpoint = places.endpoint(order.planned, wire.told)
        body = jobs.body(order, wire.told)
        is_sync = jobs.size(body) > jobs.RUN_BYTES or order.planned.parameters.get("sync") is True
        reply = await (_runsync if is_sync else _run)(wire, endpoint, body)
        if not reply.is_ok:
            raise replies.refused(reply, endpoint, places.names(order.planned))
        if not isinstance(reply.fields.get("id"), str):
            raise PaymentUnknown("reply_unclear", provider=self.name, status=reply.status)
        receipt = {"endpoint": endpoint, "id": reply.fields["id"], "is_sync": is_sync}
        short = {"kept_s": KEPT_SYNC_S} if is_sync else {}
        return Handle({**receipt, **short}, replies.finished(reply.fields, places.number(wire.told, places.RATE, 0)))

    async def poll(self, wire: Wire, receipt: dict[str, Any]) -> Pending | Ready:
        """One status call."""
        return replies.status(replies.told(await self._status(wire, receipt)))

    async def collect(self, wire: Wire, receipt: dict[str, Any], ready: Ready) -> Done:  # noqa: ARG002  (the status tells)
        """The status holds the result, and what it came to."""
        fields = replies.told(await self._status(wire, receipt))
        return replies.done(fields, places.number(wire.told, places.RATE, 0))

    async def cancel(self, wire: Wire, receipt: dict[str, Any]) -> bool:
        """POST; the answer says where it stands: an ended job stays as it is."""
        reply = await wire.call("POST", _url(wire, receipt, f"cancel/{receipt['id']}"))
        return reply.status != 404 and replies.told(reply).get("status") == "CANCELLED"

    def endpoints(self, told: Mapping[str, str]) -> dict[str, str]:
        """The ids that are set, each with the settings that name it."""
        return places.every(told)

    async def health(self, wire: Wire, endpoint: str) -> Workers:
        """One free call; tells whether key and id are right, too.

        Raises:
            KeyRejected, ProviderRefused (there is no such endpoint), TryAgain.
        """
        reply = await wire.call("GET", _url(wire, {"endpoint": endpoint}, "health"))
        if reply.status == 404:
            raise replies.refused(reply, endpoint, tuple(places.every(wire.told).get(endpoint, "").split(" / ")))
        return workers(replies.told(reply))

    def attach(self, planned: Planned, receipt: str) -> Handle:
        """A job's id as RunPod's console shows it, at the endpoint of its mode; or `endpoint/id`."""
        endpoint, _, job = receipt.strip().rpartition("/")
        mode = planned.parameters.get("mode", "wizard")
        return Handle({"id": job, "mode": mode, **({"endpoint": endpoint} if endpoint else {})})

    async def _status(self, wire: Wire, receipt: dict[str, Any]) -> Reply:
        longer = f"?ttl={KEPT_S * 1000}" if receipt.get("is_sync") else ""
        return await wire.call("GET", _url(wire, receipt, f"status/{receipt['id']}{longer}"))


def _url(wire: Wire, receipt: dict[str, Any], path: str) -> str:
    mode = str(receipt.get("mode", "wizard"))
    usual = next((wire.told[name] for name in places.PLACES[mode] if wire.told.get(name)), "sandbox")
    return wire.url("", f"v2/{receipt.get('endpoint') or usual}/{path}")


async def _run(wire: Wire, endpoint: str, body: dict[str, Any]) -> Reply:
    return await wire.pay(wire.url("", f"v2/{endpoint}/run"), json=body)


async def _runsync(wire: Wire, endpoint: str, body: dict[str, Any]) -> Reply:
    read_s = max(places.number(wire.told, places.SYNC, 700.0), READ_S)
    return await wire.pay(wire.url("", f"v2/{endpoint}/runsync?wait={WAIT_MS}"), json=body, read_s=read_s)
